"""A generated corpus with the size and the statistics of short news, as large as you like.

Words follow Zipf's law. A share of the words of a document is drawn from the words of its class, so
that there is something to learn; another share of the documents has the words of two classes, so
that nobody can be right about all of them.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["documents", "texts"]

CLASSES = 4
_WORDS = 40_000
_TOPIC_WORDS = 500  # for each class
_TOPIC_SHARE = 0.25
_MIXED = 0.08  # documents with the words of two classes, labelled with either
_PART = 10_000


def documents(
    count: int, *, seed: int = 0, mean_length: int = 38
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]]:
    """Draw documents, a part at a time.

    Args:
        count: How many.
        seed: Fixes them.
        mean_length: Words of a document, on average.

    Yields:
        ``(tokens,)`` ids from 2 up, ``(documents,)`` lengths and ``(documents,)`` classes.
    """
    generator = np.random.default_rng(seed)
    common = 1 / np.arange(1, _WORDS + 1)
    common = np.cumsum(common / common.sum())
    topical = 1 / np.arange(1, _TOPIC_WORDS + 1) ** 0.5
    topical = np.cumsum(topical / topical.sum())
    for start in range(0, count, _PART):
        size = min(_PART, count - start)
        lengths = np.maximum(8, generator.normal(mean_length, mean_length / 3, size)).astype(int)
        labels = generator.integers(0, CLASSES, size)
        others = np.where(
            generator.random(size) < _MIXED, generator.integers(0, CLASSES, size), labels
        )
        owner = np.repeat(np.arange(size), lengths)
        total = len(owner)
        words = np.searchsorted(common, generator.random(total)).clip(max=_WORDS - 1)
        topic = np.where(generator.random(total) < 0.5, labels[owner], others[owner])
        of_topic = np.searchsorted(topical, generator.random(total)).clip(max=_TOPIC_WORDS - 1)
        of_topic += _WORDS + topic * _TOPIC_WORDS
        ids = np.where(generator.random(total) < _TOPIC_SHARE, of_topic, words) + 2
        yield ids.astype(np.int32), lengths.astype(np.int64), labels


def texts(count: int, *, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Write the same documents as texts with their labels."""
    names = np.array([f"w{number}" for number in range(_WORDS + CLASSES * _TOPIC_WORDS + 2)])
    for ids, lengths, labels in documents(count, seed=seed):
        words = names[ids].tolist()
        ends = np.cumsum(lengths).tolist()
        for end, length, label in zip(ends, lengths.tolist(), labels.tolist(), strict=True):
            yield " ".join(words[end - length : end]), f"class {label}"
