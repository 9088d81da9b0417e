"""The pinned environment, and whether this processor trains to the weights that others have."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import processor
import pytest

from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.training import train
from companion.reproducibility import hardware

RECORDED = Path(__file__).parents[1] / "book" / "weights.json"


def weights(seed: int = 0) -> str:
    """A digest of the weights after two epochs on 200 of the BBC news."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    choices = dataclasses.replace(CONFIGURATIONS["recommended"], epochs=2, seed=seed)
    training, validation = (
        frame.sample(count, random_state=0)
        for frame, count in ((splits.train, 200), (splits.validation, 60))
    )
    model = train(training, validation, choices, device="cpu", progress=False).classifier.model
    digest = hashlib.sha256()
    for values in model.state_dict().values():
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.slow
def test_the_weights_of_a_small_training(record_property: Callable[[str, object], None]) -> None:
    """Two runs here agree to the bit; whether other processors agree is reported, not required."""
    first, again = weights(), weights()
    assert first == again != weights(seed=1)
    level = os.environ.get("PROCESSOR", "avx2")
    known = json.loads(RECORDED.read_text(encoding="utf-8"))
    others = [each for each in known if each["level"] == level]
    same = [each["processor"] for each in others if each["weights"] == first]
    names = ", ".join(same or [each["processor"] for each in others])
    verdict = f"{'as' if same else 'not as'} on {names}" if names else "recorded nowhere yet"
    record_property("weights", f"Trained weights ({level}, {hardware()}): {first}, {verdict}")


def test_every_level_sets_the_same_libraries() -> None:
    assert processor.LEVELS["avx2"].keys() == processor.LEVELS["default"].keys()


def test_a_level_replaces_another_whole() -> None:
    environment = {"PROCESSOR": "default", "ATEN_CPU_CAPABILITY": "avx2", "OTHER": "kept"}
    processor.pin(environment)
    assert environment["ATEN_CPU_CAPABILITY"] == "default"
    environment["PROCESSOR"] = "native"
    processor.pin(environment)
    assert "ATEN_CPU_CAPABILITY" not in environment
    assert environment["OTHER"] == "kept"
    assert environment["OMP_NUM_THREADS"] == "1"


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="PROCESSOR is 'fast'; choose one of native, avx2"):
        processor.pin({"PROCESSOR": "fast"})


def test_the_tests_run_pinned() -> None:
    expected = processor.pinned(os.environ)
    assert {name: os.environ[name] for name in expected} == expected
