"""Drift: quiet where nothing changed, loud where something did, and no text is kept."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.classifier.text import PADDING, UNKNOWN, Vocabulary
from companion.errors import DataError
from companion.service.drift import FEATURES, DriftMonitor, Reference, divergence, threshold

WORDS = [f"word{number}" for number in range(200)]
VOCABULARY = Vocabulary([PADDING, UNKNOWN, *WORDS[:150]])


def documents(count: int, seed: int, *, known: int = 200, length: int = 12) -> list[str]:
    generator = np.random.default_rng(seed)
    return [
        " ".join(generator.choice(WORDS[-known:], generator.integers(2, 2 * length)))
        for _ in range(count)
    ]


def answers(texts: list[str], shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> NDArray[np.float64]:
    generator = np.random.default_rng(len(texts))
    return np.eye(3)[generator.choice(3, len(texts), p=shares)]


def monitor(window: int = 50) -> DriftMonitor:
    texts = documents(300, 0)
    reference = Reference.of(texts, answers(texts), VOCABULARY, ["a", "b", "c"])
    return DriftMonitor(reference, VOCABULARY, window=window)


def test_the_divergence_is_that_of_its_formula() -> None:
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.3, 0.4])
    middle = (p + q) / 2
    by_hand = (p * np.log2(p / middle)).sum() / 2 + (q * np.log2(q / middle)).sum() / 2
    assert divergence(p, q * 100) == pytest.approx(by_hand, abs=1e-12)


def test_unchanged_texts_rarely_raise_an_alarm() -> None:
    watching, alarms = monitor(), 0
    for seed in range(1, 101):
        texts = documents(50, seed)
        generator = np.random.default_rng(seed)
        watching.observe(texts, np.eye(3)[generator.choice(3, 50, p=(0.5, 0.3, 0.2))])
        alarms += bool(watching.report().drifted)
    assert watching.report().windows == 100
    # At one in a hundred 1 is expected. The reference is one sample for all windows: leave room.
    assert alarms <= 6


@pytest.mark.parametrize(
    ("texts", "shares", "feature"),
    [
        (documents(50, 1, known=60), (0.5, 0.3, 0.2), "unknown_words"),
        (documents(50, 1, length=60), (0.5, 0.3, 0.2), "length"),
        (documents(50, 1), (0.05, 0.05, 0.9), "classes"),
    ],
)
def test_a_change_is_found_and_named(
    texts: list[str], shares: tuple[float, ...], feature: str
) -> None:
    watching = monitor()
    watching.observe(texts, answers(texts, shares))
    assert watching.report().drifted == [feature]


def test_nothing_is_said_before_the_first_window_is_full() -> None:
    watching = monitor()
    texts = documents(49, 1)
    watching.observe(texts, answers(texts))
    report = watching.report()
    assert (report.documents, report.windows, report.divergences) == (49, 0, {})


def test_the_memory_does_not_grow_and_no_text_is_kept() -> None:
    watching = monitor()

    def size() -> int:
        return sum(each.nbytes for each in watching._counts.values())

    before = size()
    texts = documents(500, 2)
    watching.observe(texts, answers(texts))
    assert size() == before
    assert "word1" not in repr({**vars(watching), "_vocabulary": None})


def test_a_larger_window_has_a_smaller_threshold() -> None:
    counts = [100, 60, 40]
    assert threshold(counts, 500, 0.01) < threshold(counts, 50, 0.01)


def test_a_reference_comes_back_from_its_file(tmp_path: Path) -> None:
    texts = documents(30, 0)
    reference = Reference.of(texts, answers(texts), VOCABULARY, ["a", "b", "c"])
    reference.save(tmp_path / "reference.json")
    assert Reference.load(tmp_path / "reference.json", ["a", "b", "c"]) == reference


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["a", "b"]},
        {"counts": {}},
        {"counts": {name: [0, 0, 0] for name in FEATURES}},
        {"counts": {name: ["1"] * 3 for name in FEATURES}},
    ],
)
def test_a_reference_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    texts = documents(30, 0)
    path = tmp_path / "reference.json"
    Reference.of(texts, answers(texts), VOCABULARY, ["a", "b", "c"]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DataError, match="delete it"):
        Reference.load(path, ["a", "b", "c"])


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_reference_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reference.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no reference for drift"):
        Reference.load(path, ["a"])


def test_a_reference_needs_documents() -> None:
    with pytest.raises(DataError, match="needs documents"):
        Reference.of([], np.zeros((0, 3)), VOCABULARY, ["a", "b", "c"])
