"""Sampling and sorting text, against what is counted by hand."""

import numpy as np
import pytest
import torch

from companion.applications.language import (
    compare_sampling,
    compare_topics,
    loss_per_token,
    nucleus,
    real_and_shuffled,
    shuffle_words,
    step_entropy,
    train_writers,
    word_shares,
    write_many,
)
from companion.classifier.corpus import load_corpus
from companion.concepts.ngram import ALPHABET
from companion.concepts.transformer import LanguageModel
from companion.errors import DataError


def test_the_nucleus_keeps_the_most_probable() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()[[2, 0, 3, 1]]
    kept = nucleus(logits, top_p=0.7)
    torch.testing.assert_close(kept, torch.tensor([0.0, 0.625, 0.0, 0.375]))
    torch.testing.assert_close(nucleus(logits), torch.tensor([0.15, 0.5, 0.05, 0.3]))
    assert nucleus(logits, top_p=0.1).tolist() == [0, 1, 0, 0]
    squared = torch.tensor([0.15, 0.5, 0.05, 0.3]) ** 2
    torch.testing.assert_close(nucleus(logits, temperature=0.5), squared / squared.sum())


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match="must be above 0"):
        nucleus(torch.zeros(3), **wrong)


def test_entropy_of_equal_chances_is_five_bits() -> None:
    model = LanguageModel(len(ALPHABET) + 1, width=4, layers=1, heads=1, context=4)
    torch.nn.init.zeros_(model.stack.tokens.weight)
    windows = torch.zeros(2, 4, dtype=torch.int64)
    assert step_entropy(model, windows) == pytest.approx(np.log2(len(ALPHABET)))
    assert step_entropy(model, windows, top_p=0.25) == pytest.approx(3, abs=0.01)


def test_writing_many_adds_the_count_and_repeats() -> None:
    torch.manual_seed(0)
    model = LanguageModel(len(ALPHABET) + 1, width=8, layers=1, heads=1, context=4)
    prompts = torch.randint(0, len(ALPHABET), (3, 6))
    texts = write_many(model, prompts, 5)
    assert [len(text) for text in texts] == [5, 5, 5]
    assert texts == write_many(model, prompts, 5)
    assert texts != write_many(model, prompts, 5, seed=1)


def test_the_loss_of_a_model_that_knows_nothing() -> None:
    class Logits:
        def __init__(self, ids: torch.Tensor) -> None:
            self.logits = torch.zeros(*ids.shape, 16)

    loss, count = loss_per_token(lambda text, **_: {"input_ids": torch.arange(7)[None]}, Logits, "")
    assert loss == pytest.approx(np.log(16))
    assert count == 6


def test_shuffling_keeps_the_words() -> None:
    text = "one two three four five six"
    assert shuffle_words(text) != text
    assert sorted(shuffle_words(text).split()) == sorted(text.split())


def test_naive_bayes_beats_the_rules_on_news() -> None:
    table = compare_topics(load_corpus("bbc"), seeds=[0])
    assert table.loc[0, "naive Bayes"] > table.loc[0, "rules"] > 0.8
    assert table.loc[0, "parameters"] % 5 == 0


def test_words_are_counted_without_the_cut_ones() -> None:
    shares = word_shares(["ab cat dog cat x", "q zzz y"], {"cat", "dog"})
    assert shares["known"] == pytest.approx(3 / 4)
    assert shares["distinct"] == pytest.approx(3 / 4)


def test_sharper_sampling_has_less_entropy() -> None:
    text = "the cat sat on the mat. " * 200
    (model,), table = train_writers(text, text[:2000], [0], steps=30)
    assert table.loc[0, "perplexity"] < 16
    sampled = compare_sampling(model, text, text, count=4, length=40)["entropy"]
    assert sampled[0.5, 1.0] < sampled[1.0, 0.8] < sampled[1.0, 1.0] < sampled[1.5, 1.0]


def test_a_model_that_knows_nothing_is_as_unsure_about_shuffled_text() -> None:
    class Logits:
        def __init__(self, ids: torch.Tensor) -> None:
            self.logits = torch.zeros(*ids.shape, 16)

    def tokenizer(text: str, **_: str) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor([[ord(c) % 16 for c in text]])}

    measured = real_and_shuffled(tokenizer, Logits, ["one two three", "four five"])
    assert measured["real"] == pytest.approx(16)
    assert measured["shuffled"] == pytest.approx(16)
    assert measured["per_character"] == pytest.approx(16 ** (20 / 22))
