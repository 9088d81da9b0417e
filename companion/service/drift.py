"""Notice when the texts that come in are no longer those that the model was measured on.

Explained in :doc:`/questions/service`, "Drift". Nothing of a text is kept but three counts, so the
memory does not grow and no text of a user is stored.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon

from companion.classifier.text import Vocabulary, tokenize
from companion.errors import DataError
from companion.files import write_atomically

__all__ = ["FEATURES", "DriftMonitor", "Reference", "Report", "divergence", "threshold"]

FEATURES = ("unknown_words", "length", "classes")
# Shares of unknown words, and numbers of words: the upper edges of all bins but the last.
_UNKNOWN_EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75)
_LENGTH_EDGES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_DRAWS = 2000
Counts = dict[str, NDArray[np.int64]]


def divergence(first: ArrayLike, second: ArrayLike) -> float:
    """Measure how far two histograms lie apart: the Jensen–Shannon divergence in bits, 0 to 1.

    Args:
        first: Counts or shares of the bins; not all 0.
        second: Those of the same bins.

    >>> divergence([5, 5], [50, 50])
    0.0
    >>> divergence([1, 0], [0, 7])
    1.0
    """
    return float(jensenshannon(np.asarray(first, float), np.asarray(second, float), base=2) ** 2)


def threshold(reference: ArrayLike, window: int, false_alarm: float, *, seed: int = 0) -> float:
    """Find the divergence that chance alone rarely exceeds.

    Both histograms are samples. So both are drawn again, of the sizes that they have, from the
    shares of the reference; what is exceeded in a share ``false_alarm`` of the draws is the
    threshold. Half a document is added to each bin first: that a bin was empty in some hundred
    documents does not prove that it always will be.

    Args:
        reference: The counts of the reference.
        window: How many documents a window of live inputs has.
        false_alarm: How often it may be exceeded where nothing has changed.
        seed: Fixes the draws.

    Returns:
        A divergence in bits.
    """
    counts, generator = np.asarray(reference, int), np.random.default_rng(seed)
    shares = (counts + 0.5) / (counts + 0.5).sum()
    first, second = (
        generator.multinomial(size, shares, size=_DRAWS) for size in (counts.sum(), window)
    )
    apart = jensenshannon(first, second, base=2, axis=1) ** 2
    return float(np.quantile(apart, 1 - false_alarm))


@dataclass(frozen=True)
class Reference:
    """Histograms of documents like those on which the model was measured.

    Take held-out documents: the vocabulary was made from the training documents, so that those have
    fewer unknown words than any text that comes later.

    Attributes:
        labels: The classes, in the order of the model.
        counts: For each of :data:`FEATURES`, how many documents fell into each bin.
    """

    labels: list[str]
    counts: dict[str, list[int]]

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        probabilities: NDArray[np.float64],
        vocabulary: Vocabulary,
        labels: Sequence[str],
    ) -> "Reference":
        """Count held-out documents and the model's answers to them.

        Raises:
            DataError: If there are none.
        """
        if not texts:
            raise DataError("a reference needs documents; give those held out in training")
        counts = count(texts, probabilities, vocabulary)
        return cls(list(labels), {name: each.tolist() for name, each in counts.items()})

    def save(self, path: str | Path) -> None:
        """Write it as JSON; see :func:`companion.files.write_atomically` for the errors."""
        write_atomically(path, json.dumps(asdict(self), ensure_ascii=False).encode("utf-8"))

    @classmethod
    def load(cls, path: str | Path, labels: Sequence[str]) -> "Reference":
        """Read one that :meth:`save` wrote.

        Args:
            path: The file.
            labels: The classes of the model that it must belong to.

        Raises:
            DataError: If it is missing, damaged, or of another model.
        """
        remedy = "delete it, and it is made again from the documents of the training"
        try:
            content = json.loads(Path(path).read_bytes())
            found = cls(content["labels"], content["counts"])
            is_whole = found.labels == list(labels) and all(
                len(found.counts[name]) == bins
                and all(type(each) is int and each >= 0 for each in found.counts[name])
                and sum(found.counts[name]) > 0
                for name, bins in _bins(len(labels)).items()
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{path}: no reference for drift ({error!r:.200}); {remedy}") from error
        if not is_whole:
            raise DataError(f"{path}: the reference of another model, or damaged; {remedy}")
        return found


@dataclass(frozen=True)
class Report:
    """What the monitor says.

    Attributes:
        documents: How many documents it has seen.
        window: How many documents are compared at a time.
        windows: How many windows are full.
        divergences: Of the last full window, in bits; empty before the first.
        thresholds: What chance alone rarely exceeds, in bits.
        drifted: The features above their threshold.
    """

    documents: int
    window: int
    windows: int
    divergences: dict[str, float]
    thresholds: dict[str, float]
    drifted: list[str]


class DriftMonitor:
    """Counts live inputs in windows and compares each full window with the reference.

    Args:
        reference: What to compare with.
        vocabulary: That of the model.
        window: The documents of a window.
        false_alarm: How often a window of unchanged inputs may raise an alarm. It is shared among
            the features.
    """

    def __init__(
        self,
        reference: Reference,
        vocabulary: Vocabulary,
        *,
        window: int = 200,
        false_alarm: float = 0.01,
    ) -> None:
        self._reference = {name: np.array(reference.counts[name]) for name in FEATURES}
        self._vocabulary, self._window = vocabulary, window
        self._thresholds = {
            name: threshold(each, window, false_alarm / len(FEATURES))
            for name, each in self._reference.items()
        }
        self._lock = threading.Lock()
        self._seen = self._windows = 0
        self._counts = _zeros(self._reference)
        self._divergences: dict[str, float] = {}

    def observe(self, texts: Sequence[str], probabilities: NDArray[np.float64]) -> None:
        """Count documents and the answers that they got."""
        rows = [
            count([text], row[None], self._vocabulary)
            for text, row in zip(texts, probabilities, strict=True)
        ]
        with self._lock:
            for row in rows:
                self._add(row)

    def report(self) -> Report:
        """Say how far the last full window lies from the reference."""
        with self._lock:
            seen, windows, divergences = self._seen, self._windows, dict(self._divergences)
        drifted = [name for name, each in divergences.items() if each > self._thresholds[name]]
        return Report(seen, self._window, windows, divergences, dict(self._thresholds), drifted)

    def _add(self, row: Counts) -> None:
        for name, each in row.items():
            self._counts[name] += each
        self._seen += 1
        if self._seen % self._window == 0:
            self._windows += 1
            self._divergences = {
                name: divergence(self._reference[name], each) for name, each in self._counts.items()
            }
            self._counts = _zeros(self._reference)


def count(
    texts: Sequence[str], probabilities: NDArray[np.float64], vocabulary: Vocabulary
) -> Counts:
    """Put documents into the bins of each feature."""
    documents = [tokenize(text) for text in texts]
    unknown = [
        sum(token not in vocabulary for token in tokens) / max(1, len(tokens))
        for tokens in documents
    ]
    bins = _bins(probabilities.shape[1])
    places: Mapping[str, Any] = {
        "unknown_words": np.searchsorted(_UNKNOWN_EDGES, unknown),
        "length": np.searchsorted(_LENGTH_EDGES, [len(tokens) for tokens in documents]),
        "classes": probabilities.argmax(axis=1),
    }
    return {name: np.bincount(places[name], minlength=bins[name]) for name in FEATURES}


def _bins(classes: int) -> dict[str, int]:
    sizes = (len(_UNKNOWN_EDGES) + 1, len(_LENGTH_EDGES) + 1, classes)
    return dict(zip(FEATURES, sizes, strict=True))


def _zeros(like: Counts) -> Counts:
    return {name: np.zeros_like(each) for name, each in like.items()}
