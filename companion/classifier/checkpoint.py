"""A trained classifier on disk: weights as safetensors and everything else as JSON.

Explained in :doc:`/project/using`. A folder holds ``classifier.json`` and the weights file that it
names; :mod:`companion.model_folder` writes and reads both.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch

from companion.classifier.configuration import Configuration
from companion.classifier.device import choose_device
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.state import LOCK_FILE, STATE_FILE
from companion.classifier.text import Vocabulary, is_encodable
from companion.errors import CompanionError, DataError, OutputError
from companion.files import TEMPORARY_SUFFIX, write_atomically
from companion.model_folder import ModelFolder

__all__ = [
    "FORMAT_VERSION",
    "load_classifier",
    "prepare_directory",
    "read_description",
    "save_classifier",
]

FORMAT_VERSION = 1
_FOLDER = ModelFolder(
    format="companion text classifier",
    version=FORMAT_VERSION,
    kind="saved classifier",
    maker="companion train",
    description="classifier.json",
    weights="weights",
    types={"configuration": dict, "labels": list, "vocabulary": list, "provenance": dict},
)


def save_classifier(
    classifier: TextClassifier, directory: str | Path, *, provenance: dict[str, Any] | None = None
) -> Path:
    """Write a classifier into a folder, in place of the one that may be there.

    Args:
        classifier: The trained classifier.
        directory: The folder; it is made if it is missing.
        provenance: What it was trained on and how it did, as JSON values; kept beside the weights.

    Returns:
        The folder.

    Raises:
        OutputError: If the folder cannot be used or written. What was there before stays whole.
    """
    directory = prepare_directory(directory)
    parts = {
        "configuration": dataclasses.asdict(classifier.configuration),
        "labels": list(classifier.labels),
        "vocabulary": classifier.vocabulary.tokens,
        "provenance": provenance or {},
    }
    _FOLDER.write(directory, classifier.model.state_dict(), parts)
    return directory


def load_classifier(directory: str | Path, *, device: str = "auto") -> TextClassifier:
    """Read a classifier that :func:`save_classifier` wrote.

    Nothing in the folder is executed or unpickled, no file outside it is read, and the weights are
    held against the configuration before any memory is taken for them.

    Args:
        directory: The folder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        The classifier, ready to predict.

    Raises:
        CheckpointError: If the folder holds no whole classifier of this version.
        DeviceError: If the device is not there.
    """
    chosen, directory = choose_device(device), Path(directory)
    description = read_description(directory)
    try:
        configuration = Configuration(**description["configuration"])
        vocabulary = Vocabulary(description["vocabulary"])
        labels = _labels(description["labels"])
        with torch.device("meta"):
            model = LSTMClassifier(len(vocabulary), len(labels), configuration)
    except (CompanionError, TypeError, ValueError) as error:
        raise _FOLDER.damaged(directory, error) from error
    tensors = _FOLDER.read_weights(directory, description, model.state_dict())
    model.load_state_dict(tensors, assign=True)
    return TextClassifier(model.to(chosen), vocabulary, labels, configuration)


def read_description(directory: str | Path) -> dict[str, Any]:
    """Read ``classifier.json``: configuration, labels, vocabulary, provenance of a classifier.

    Raises:
        CheckpointError: If it is missing, damaged, not ours, or of another version.
    """
    return _FOLDER.read(Path(directory))


def prepare_directory(directory: str | Path) -> Path:
    """Make sure, before the training, that a classifier can be written into a folder.

    Raises:
        OutputError: If the path is a file, holds something else than a classifier, or cannot be
            written.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in directory.iterdir() if not _is_ours(path)]
    except OSError as error:
        raise OutputError(
            f"{directory}: cannot be a folder for the model ({error.strerror}); choose another"
        ) from error
    if others and not (directory / _FOLDER.description).is_file():
        raise OutputError(
            f"{directory}: holds other files ({others[0]}); choose an empty or a new folder"
        )
    probe = directory / f".probe-{os.getpid()}{TEMPORARY_SUFFIX}"
    write_atomically(probe, b"probe")
    probe.unlink()
    return directory


def _labels(values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) and is_encodable(value) for value in values):
        raise DataError("a label is no text")
    if len(set(values)) < len(values):
        raise DataError("a label stands there twice")
    return values


def _is_ours(path: Path) -> bool:
    return (
        _FOLDER.owns(path)
        or path.name in (STATE_FILE, LOCK_FILE)
        or path.suffix == TEMPORARY_SUFFIX
    )
