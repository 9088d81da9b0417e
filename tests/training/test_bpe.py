"""Our byte-pair encoding against the ``tokenizers`` library."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from companion.classifier.corpus import load_corpus
from companion.classifier.text import tokenize
from companion.errors import DataError
from companion.training.bpe import join_pair, learn_bpe


def reference(words: list[str], size: int, minimum_count: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=minimum_count, show_progress=False)
    tokenizer.train_from_iterator([" ".join(words)], trainer)
    return tokenizer


def assert_equal_to_the_library(words: list[str], size: int, minimum_count: int = 2) -> None:
    ours = learn_bpe(Counter(words), size, minimum_count=minimum_count)
    theirs = reference(words, size, minimum_count)
    vocabulary = theirs.get_vocab()
    assert ours.pieces == sorted(vocabulary, key=vocabulary.__getitem__)
    for word in set(words):
        assert ours.split(word) == theirs.encode(word).tokens


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=30),
    st.integers(3, 40),
    st.integers(1, 3),
)
def test_it_equals_the_library_on_any_words(
    words: list[str], size: int, minimum_count: int
) -> None:
    assert_equal_to_the_library(words, size, minimum_count)


def test_it_equals_the_library_on_news() -> None:
    texts = load_corpus("bbc")["text"].iloc[::20]
    assert_equal_to_the_library([word for text in texts for word in tokenize(text)], 600)


def test_a_word_never_seen_is_split_as_the_library_does() -> None:
    words = ["lower", "lowest", "newer", "newest", "wider", "widest"] * 3
    ours, theirs = learn_bpe(Counter(words), 30), reference(words, 30, 2)
    for word in ["slow", "slower", "wiser", "wow", "tenderest"]:
        if set(word) <= set(ours.alphabet):
            assert ours.split(word) == theirs.encode(word).tokens
    assert "".join(ours.split("slower")) == "slower"


def test_the_first_merge_by_hand() -> None:
    # "ab" stands 3 + 1 times, "bc" once, "bb" twice.
    assert learn_bpe({"ab": 3, "abc": 1, "bb": 2}, 4).merges == (("a", "b"),)


def test_join_pair_takes_the_left_one_first() -> None:
    assert join_pair(list("aaab"), ("a", "a")) == ["aa", "a", "b"]


def test_a_strange_character_is_refused() -> None:
    with pytest.raises(DataError, match="'é'"):
        learn_bpe({"cafe": 2}, 5).split("café")


@pytest.mark.parametrize(("counts", "size"), [({}, 10), ({"abc": 1}, 2)])
def test_no_room_is_refused(counts: dict[str, int], size: int) -> None:
    with pytest.raises(DataError, match="places"):
        learn_bpe(counts, size)
