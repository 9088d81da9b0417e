"""What the speed page measures: the corpus, the count of operations, the parts of the time."""

import dataclasses
import time

import pytest
import torch

from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.model import LSTMClassifier
from companion.classifier.speed import (
    PARTS,
    generate_news,
    operations_per_token,
    product_peak,
    profile_training,
)


def test_the_texts_have_the_lengths_of_short_news() -> None:
    news = generate_news(2000, words=3000)
    lengths = news["text"].str.split().str.len()
    assert 36 < lengths.mean() < 40
    assert lengths.between(8, 150).all()
    assert len(set(" ".join(news["text"]).replace(".", "").split())) == 3000
    assert sorted(set(news["label"])) == [f"class {number}" for number in range(4)]
    assert news.equals(generate_news(2000, words=3000))
    assert not news.equals(generate_news(2000, words=3000, seed=1))


@pytest.mark.parametrize(
    "changes", [{}, {"bidirectional": True, "layers": 2, "pooling": "max"}, {"hidden_size": 48}]
)
def test_the_operations_are_six_for_each_weight_that_a_token_meets(changes: dict[str, int]) -> None:
    """A multiplication and an addition, forwards once and backwards twice; biases aside."""
    configuration = dataclasses.replace(CONFIGURATIONS["article"], **changes)
    model = LSTMClassifier(10, 2, configuration)
    weights = sum(
        each.numel() for name, each in model.layers.named_parameters() if "weight" in name
    )
    assert operations_per_token(configuration) == 6 * weights


def test_the_peak_is_that_of_a_processor() -> None:
    torch.set_num_threads(1)
    assert 1e8 < product_peak(size=128, repeats=5) < 1e13


@pytest.mark.slow
def test_every_part_of_an_epoch_takes_time() -> None:
    small = dataclasses.replace(CONFIGURATIONS["recommended"], hidden_size=8, embedding_size=8)
    start = time.perf_counter()
    seconds = profile_training(generate_news(100, words=300), small)
    elapsed = time.perf_counter() - start
    assert seconds.name == "seconds"
    assert tuple(seconds.index) == PARTS
    assert (seconds[seconds.index != "tokens and vocabulary"] > 0).all()
    assert seconds.sum() < elapsed, "no part counts twice"
