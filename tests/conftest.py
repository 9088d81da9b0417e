"""Small, seeded data that every test may use, and how many examples hypothesis tries."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, settings

from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits, split_corpus

torch.set_num_threads(1)

# A run in the background starts with Ctrl-C ignored, and its children inherit that; the tests of
# Ctrl-C need the ordinary handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `make test` tries the same 50 examples every time, so that it fails only when the code changes.
# HYPOTHESIS_PROFILE=nightly looks for new ones.
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "default", max_examples=50, deadline=None, derandomize=True, suppress_health_check=_QUIET
)
settings.register_profile(
    "nightly", max_examples=10_000, deadline=None, suppress_health_check=_QUIET
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training in bfloat16 run on every processor.

    oneDNN has no LSTM of this type for a processor without the instructions. Without oneDNN torch
    computes the LSTM in float32 and the other products in bfloat16, slowly, whatever the processor.
    """
    monkeypatch.setattr("companion.classifier.training.multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


TOPICS = {
    "sport": ["goal", "match", "team", "coach", "league", "season", "striker", "penalty"],
    "money": ["bank", "shares", "profit", "market", "rates", "debt", "growth", "trade"],
    "film": ["actor", "director", "scene", "oscar", "script", "cinema", "role", "studio"],
}
COMMON = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "new",
    "said",
    "after",
    "over",
    "week",
    "report",
    "two",
]


def news(
    documents_a_class: int = 30,
    *,
    topics: tuple[str, ...] = ("sport", "money", "film"),
    seed: int = 0,
) -> pd.DataFrame:
    """Draw documents of 4 to 30 words, a third of them words of their topic."""
    generator = np.random.default_rng(seed)
    rows = []
    for label in topics:
        for _ in range(documents_a_class):
            length = int(generator.integers(4, 31))
            is_topic = generator.random(length) < 0.4
            is_topic[0] = True
            words = np.where(
                is_topic, generator.choice(TOPICS[label], length), generator.choice(COMMON, length)
            )
            rows.append((" ".join(words), label))
    return pd.DataFrame(rows, columns=["text", "label"]).sample(
        frac=1, random_state=seed, ignore_index=True
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    return news()


@pytest.fixture
def splits(frame: pd.DataFrame) -> Splits:
    return split_corpus(frame)


@pytest.fixture
def small() -> Configuration:
    return Configuration(
        embedding_size=8,
        hidden_size=8,
        epochs=3,
        batch_size=16,
        window=8,
        training_words=24,
        learning_rate=2e-2,
    )
