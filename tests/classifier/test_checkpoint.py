"""A saved classifier is whole, or the error says what is wrong with it."""

import hashlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.classifier.checkpoint import (
    load_classifier,
    prepare_directory,
    read_description,
    save_classifier,
)
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import split_corpus
from companion.classifier.inference import TextClassifier
from companion.classifier.training import train
from companion.errors import CheckpointError, DeviceError, OutputError
from tests.conftest import news

TEXTS = ["the goal of the season", "the bank and its shares"]


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    splits = split_corpus(news(6))
    configuration = Configuration(embedding_size=4, hidden_size=4, epochs=1)
    return train(splits.train, splits.validation, configuration, progress=False).classifier


@pytest.fixture
def saved(classifier: TextClassifier, tmp_path: Path) -> Path:
    return save_classifier(classifier, tmp_path / "model", provenance={"seed": 7})


def test_it_comes_back_as_it_was(classifier: TextClassifier, saved: Path) -> None:
    loaded = load_classifier(saved, device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    assert loaded.labels == classifier.labels
    assert loaded.configuration == classifier.configuration
    assert read_description(saved)["provenance"] == {"seed": 7}
    assert not loaded.model.training or loaded.predict(TEXTS)


def test_saving_again_leaves_one_classifier(classifier: TextClassifier, saved: Path) -> None:
    with torch.no_grad():
        state = {name: value.clone() for name, value in classifier.model.state_dict().items()}
        classifier.model.head.bias.add_(1)
    save_classifier(classifier, saved)
    np.testing.assert_array_equal(
        load_classifier(saved).predict_proba(TEXTS), classifier.predict_proba(TEXTS)
    )
    assert sorted(path.suffix for path in saved.iterdir()) == [".json", ".safetensors"]
    classifier.model.load_state_dict(state)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _edit(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "classifier.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: _truncate(next(folder.glob("*.safetensors"))), "truncated or changed"),
        (lambda folder: _truncate(folder / "classifier.json"), "damaged"),
        (lambda folder: next(folder.glob("*.safetensors")).unlink(), "cannot be read"),
        (lambda folder: (folder / "classifier.json").unlink(), "no saved classifier"),
        (lambda folder: (folder / "classifier.json").write_bytes(b"\xff\xfe"), "damaged"),
        (lambda folder: (folder / "classifier.json").write_text("[" * 100_000), "damaged"),
        (
            lambda folder: (folder / "classifier.json").write_text('{"a": 1}'),
            "not written by this package",
        ),
        (_edit(format_version=99), "format version 99"),
        (_edit(weights="../../etc/passwd"), "damaged at weights"),
        (_edit(labels="film"), "damaged at labels"),
        (_edit(labels=["film"]), "do not fit"),
        (_edit(vocabulary=["<pad>"]), "damaged"),
        (_edit(configuration={"hidden_size": 10**12}), "hidden_size"),
        (_edit(configuration={"nonsense": 1}), "nonsense"),
        (_edit(configuration={"hidden_size": 5000}), "do not fit"),
    ],
)
def test_a_damaged_classifier_is_refused(
    damage: Callable[[Path], None], message: str, saved: Path
) -> None:
    damage(saved)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_classifier(saved, device="cpu")
    assert str(saved) in str(raised.value)


def test_a_pickle_is_not_loaded(saved: Path) -> None:
    """A file of pickled weights that would leave a trace when it is loaded."""

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(saved / "trace"),)

    data = pickle.dumps(Payload())
    digest = hashlib.sha256(data).hexdigest()
    path = saved / f"weights-{digest[:16]}.safetensors"
    path.write_bytes(data)
    _edit(weights=path.name, weights_sha256=digest)(saved)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_classifier(saved, device="cpu")
    assert not (saved / "trace").exists()


def test_a_missing_device_is_named(saved: Path) -> None:
    with pytest.raises(DeviceError):
        load_classifier(saved, device="mps" if torch.cuda.is_available() else "cuda")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"):
        prepare_directory(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be a folder"):
        prepare_directory(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be a folder"):
        prepare_directory(tmp_path / "file" / "below")


def test_a_full_disk_keeps_the_old_classifier(classifier: TextClassifier, saved: Path) -> None:
    """The system refuses to write over 1,000 bytes, as a full disk does, amid the weights."""
    before = load_classifier(saved).predict_proba(TEXTS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with torch.no_grad():
            classifier.model.head.bias.add_(1)
        with pytest.raises(OutputError, match="free some space"):
            save_classifier(classifier, saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
        with torch.no_grad():
            classifier.model.head.bias.sub_(1)
    np.testing.assert_array_equal(load_classifier(saved).predict_proba(TEXTS), before)
    assert len(list(saved.iterdir())) == 2


@pytest.mark.parametrize("renames_before_the_crash", [0, 1, 2])
def test_a_crash_leaves_a_whole_classifier(saved: Path, renames_before_the_crash: int) -> None:
    """Killed at each step of the second save, what is left loads, and is the old or the new."""
    before = load_classifier(saved).predict_proba(TEXTS)
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        import torch
        from companion.classifier.checkpoint import load_classifier, save_classifier
        folder, left = sys.argv[1], int(sys.argv[2])
        classifier = load_classifier(folder)
        with torch.no_grad():
            classifier.model.head.bias.copy_(torch.arange(3.0) * 5)
        replace, probes = Path.replace, 0
        def counted(self, target):
            global left
            if "weights" in target.name or target.name == "classifier.json":
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            return replace(self, target)
        Path.replace = counted
        save_classifier(classifier, folder)
    """)
    outcome = subprocess.run(
        [sys.executable, "-c", program, str(saved), str(renames_before_the_crash)], check=False
    )
    assert outcome.returncode == (0 if renames_before_the_crash == 2 else -signal.SIGKILL)
    is_old = np.array_equal(load_classifier(saved).predict_proba(TEXTS), before)
    assert is_old == (renames_before_the_crash < 2)
