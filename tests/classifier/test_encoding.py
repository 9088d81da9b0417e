"""From texts to token ids."""

from typing import Any

import pytest

from companion.classifier.encoding import encode
from companion.classifier.text import PADDING, UNKNOWN, Vocabulary
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
