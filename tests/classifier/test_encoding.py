"""From texts to token ids."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.classifier import encoding
from companion.classifier.encoding import build_vocabulary, encode
from companion.classifier.text import PADDING, UNKNOWN, Vocabulary, tokenize
from companion.errors import DataError, EmptyDocumentError

VOCABULARY = Vocabulary([PADDING, UNKNOWN, "goal", "bank"])


def test_words_become_ids_up_to_the_limit() -> None:
    assert encode(["Goal!", "a bank, a goal"], VOCABULARY, 3) == [[2], [1, 3, 1]]
    assert encode([], VOCABULARY, 3) == []


@pytest.mark.parametrize("value", [None, 3.5, b"bytes", ["goal"]])
def test_what_is_no_text_names_its_row(value: Any) -> None:
    with pytest.raises(DataError, match=rf"^row 2: .* is {type(value).__name__} and no text"):
        encode(["goal", value], VOCABULARY, 3)


def test_a_text_without_words_names_its_row() -> None:
    with pytest.raises(EmptyDocumentError, match=r"^row 2: '!!!' has no letter"):
        encode(["goal", "!!!"], VOCABULARY, 3)
    with pytest.raises(EmptyDocumentError) as caught:
        encode(["." * 1000], VOCABULARY, 3)
    assert len(str(caught.value)) < 120


def test_a_single_string_is_refused() -> None:
    with pytest.raises(DataError, match="a single string; give a list of them"):
        encode("goal", VOCABULARY, 3)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["a b a", "我 a"])
    ),
    st.integers(1, 3),
    st.integers(3, 9),
)
def test_the_quick_way_and_the_plain_way_agree(texts: list[str], minimum: int, size: int) -> None:
    """One pass over all texts, against tokens, vocabulary and ids one after the other."""
    tokens = [tokenize(text) for text in texts]
    plain = Vocabulary.build(tokens, minimum_count=minimum, maximum_size=size)
    vocabulary, ids, lengths = build_vocabulary(texts, minimum_count=minimum, maximum_size=size)
    assert vocabulary.tokens == plain.tokens
    assert ids.tolist() == [each for document in tokens for each in plain.encode(document)]
    assert lengths.tolist() == list(map(len, tokens))


def test_tokens_of_any_length_are_told_apart() -> None:
    """The quick way compares eight bytes at a time, up to 64, and longer tokens as a whole."""
    lengths = [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 71, 72, 73, 1000]
    words = [("a" * (length - 1)) + last for length in lengths for last in "abé"]
    vocabulary, ids, _ = build_vocabulary([" ".join(words), " ".join(words)], minimum_count=1)
    assert vocabulary.decode(ids.tolist()) == words * 2
    assert len(vocabulary) == 2 + len(words)


def test_texts_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["goal goal", "bank", "goal bank bank", "a", "goal"]
    whole = build_vocabulary(texts, minimum_count=1)
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 10)
    parts = build_vocabulary(texts, minimum_count=1)
    assert whole[0].tokens == parts[0].tokens == [PADDING, UNKNOWN, "goal", "bank", "a"]
    assert whole[1].tolist() == parts[1].tolist() == [2, 2, 3, 2, 3, 3, 4, 2]
    assert whole[2].tolist() == parts[2].tolist() == [2, 1, 3, 1, 1]
