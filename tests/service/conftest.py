"""A classifier whose answers are known in advance, and a service around it."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from companion.classifier.text import PADDING, UNKNOWN, Vocabulary, tokenize

LABELS = ["even", "odd"]


def expected(text: str) -> float:
    """The probability of the class ``odd`` that the model below gives."""
    return (sum(map(ord, text)) % 1000) / 1000


class KnownClassifier:
    """Answers by a formula, so that a mix-up of two answers shows."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.labels = LABELS
        self.vocabulary = Vocabulary([PADDING, UNKNOWN, "shares", "rose", "the"])
        self.seconds = seconds
        self.batches: list[int] = []
        self.threads = set[str]()

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        self.batches.append(len(texts))
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if any("poison" in tokenize(text) for text in texts):
            raise RuntimeError("poisoned")
        odd = np.array([expected(text) for text in texts])
        return np.column_stack([1 - odd, odd])


@pytest.fixture
def classifier() -> KnownClassifier:
    return KnownClassifier()


def odd_of(response: httpx.Response) -> list[float]:
    body: dict[str, Any] = response.json()
    return [answer["probabilities"]["odd"] for answer in body["answers"]]
