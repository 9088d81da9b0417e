"""A trained classifier on disk: weights as safetensors and everything else as JSON.

Explained in :doc:`/project/using`. A folder holds ``classifier.json``, which names its weights
file. The weights are written first, under a name made from their content; then the JSON takes the
place of the old one in one step. So whatever happens in between, the folder holds one whole
classifier: the old or the new.
"""

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

import companion
from companion.classifier.configuration import Configuration
from companion.classifier.device import choose_device
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.state import LOCK_FILE, STATE_FILE
from companion.classifier.text import Vocabulary, is_encodable
from companion.errors import CheckpointError, CompanionError, DataError, OutputError
from companion.files import TEMPORARY_SUFFIX, write_atomically
from companion.safety import LIMITS, for_terminal

__all__ = [
    "FORMAT_VERSION",
    "load_classifier",
    "prepare_directory",
    "read_description",
    "save_classifier",
]

FORMAT_VERSION = 1
_FORMAT = "companion text classifier"
_DESCRIPTION = "classifier.json"
_WEIGHTS = re.compile(r"weights-[0-9a-f]{16}\.safetensors")


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
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in classifier.model.state_dict().items()
    }
    weights = save_tensors(tensors)
    digest = hashlib.sha256(weights).hexdigest()
    description = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "companion": companion.__version__,
        "weights": f"weights-{digest[:16]}.safetensors",
        "weights_sha256": digest,
        "configuration": dataclasses.asdict(classifier.configuration),
        "labels": list(classifier.labels),
        "vocabulary": classifier.vocabulary.tokens,
        "provenance": provenance or {},
    }
    write_atomically(directory / str(description["weights"]), weights)
    text = json.dumps(description, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(directory / _DESCRIPTION, text.encode("utf-8"))
    _remove_old_weights(directory, keep=str(description["weights"]))
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
    chosen = choose_device(device)
    description = read_description(directory)
    path = Path(directory) / description["weights"]
    try:
        configuration = Configuration(**description["configuration"])
        vocabulary = Vocabulary(description["vocabulary"])
        labels = _labels(description["labels"])
        with torch.device("meta"):
            model = LSTMClassifier(len(vocabulary), len(labels), configuration)
    except (CompanionError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{Path(directory) / _DESCRIPTION}: damaged ({_shown(error)}); {_REMEDY}"
        ) from error
    tensors = _read_weights(path, description["weights_sha256"], model.state_dict())
    model.load_state_dict(tensors, assign=True)
    return TextClassifier(model.to(chosen), vocabulary, labels, configuration)


def read_description(directory: str | Path) -> dict[str, Any]:
    """Read ``classifier.json``: configuration, labels, vocabulary, provenance of a classifier.

    Raises:
        CheckpointError: If it is missing, damaged, not ours, or of another version.
    """
    path = Path(directory) / _DESCRIPTION
    try:
        is_there, is_folder = path.is_file(), Path(directory).is_dir()
    except OSError as error:
        raise CheckpointError(f"{directory}: cannot be read ({_reason(error)})") from error
    if not is_there:
        reason = f"there is no {_DESCRIPTION} in it" if is_folder else "there is no such folder"
        raise CheckpointError(
            f"{directory}: no saved classifier: {reason}; train one with companion train"
        )
    data = _read_within(path, LIMITS.description_bytes, "description_bytes")
    try:
        description = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{path}: damaged ({_shown(error)}); {_REMEDY}") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path}: not written by this package; give a folder made by companion train"
        )
    version = description.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {_shown(version)}, "
            f"and this package ({companion.__version__}) reads version {FORMAT_VERSION}; "
            f"use companion {_shown(description.get('companion'))} or train again"
        )
    types = {
        "weights": str,
        "weights_sha256": str,
        "configuration": dict,
        "labels": list,
        "vocabulary": list,
        "provenance": dict,
    }
    wrong = [name for name, kind in types.items() if not isinstance(description.get(name), kind)]
    if wrong or not _WEIGHTS.fullmatch(description["weights"]):
        raise CheckpointError(f"{path}: damaged at {', '.join(wrong) or 'weights'}; {_REMEDY}")
    return description


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
            f"{directory}: cannot be a folder for the model ({_reason(error)}); choose another"
        ) from error
    if others and not (directory / _DESCRIPTION).is_file():
        raise OutputError(
            f"{directory}: holds other files ({others[0]}); choose an empty or a new folder"
        )
    probe = directory / f".probe-{os.getpid()}{TEMPORARY_SUFFIX}"
    write_atomically(probe, b"probe")
    probe.unlink()
    return directory


_REMEDY = "copy the folder again from where it was made, or train again"


def _labels(values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) and is_encodable(value) for value in values):
        raise DataError("a label is no text")
    if len(set(values)) < len(values):
        raise DataError("a label stands there twice")
    return values


def _read_weights(
    path: Path, sha256: str, expected: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Read tensors of the names, shapes and types that are expected, and no others."""
    size = sum(value.numel() * value.element_size() for value in expected.values())
    if size > LIMITS.weights_bytes:
        raise CheckpointError(
            f"{path}: the configuration asks for {size:,} bytes of weights; if you trust it, raise "
            "companion.safety.LIMITS.weights_bytes"
        )
    data = _read_within(path, size + _HEADER_BYTES, "weights_bytes", is_expected=True)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"{path}: truncated or changed since it was written; {_REMEDY}")
    try:
        fits = _header(data) == {
            name: (_SAFETENSORS_TYPES[value.dtype], list(value.shape))
            for name, value in expected.items()
        }
        tensors = load_tensors(data) if fits else {}
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file ({_shown(error)}); {_REMEDY}"
        ) from error
    if not fits:
        raise CheckpointError(_misfit(path))
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise CheckpointError(f"{path}: some weights are no finite numbers; train again")
    return tensors


_HEADER_BYTES = 1_000_000
_SAFETENSORS_TYPES = {torch.float32: "F32"}


def _header(data: bytes) -> dict[str, tuple[object, object]]:
    """Read the type and the shape of each tensor of a safetensors file, and no tensor."""
    length = int.from_bytes(data[:8], "little")
    if length > _HEADER_BYTES:
        raise ValueError("the header is too long")
    header = json.loads(data[8 : 8 + length].decode("utf-8"))
    if not isinstance(header, dict) or not all(isinstance(part, dict) for part in header.values()):
        raise ValueError("the header is no list of tensors")
    header.pop("__metadata__", None)
    return {name: (part.get("dtype"), part.get("shape")) for name, part in header.items()}


def _misfit(path: Path) -> str:
    return f"{path}: the weights do not fit the configuration beside them; {_REMEDY}"


def _read_within(path: Path, limit: int, name: str, *, is_expected: bool = False) -> bytes:
    """Read a regular file that really lies in its folder and is not longer than the limit."""
    try:
        if path.resolve().parent != path.parent.resolve():
            raise CheckpointError(f"{path}: a link that leaves its folder; copy the file into it")
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: is no file; {_REMEDY}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, RuntimeError) as error:  # a link to itself is a RuntimeError up to Python 3.12
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CheckpointError(f"{path}: cannot be read ({reason}); {_REMEDY}") from error
    if len(data) > limit and is_expected:
        raise CheckpointError(_misfit(path))
    if len(data) > limit:
        raise CheckpointError(
            f"{path}: longer than {limit:,} bytes; if you trust it, raise "
            f"companion.safety.LIMITS.{name}"
        )
    return data


def _shown(value: object) -> str:
    """Show a little of what a file says, so that it cannot flood or steer a terminal."""
    text = for_terminal(str(value))
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[:_CHARACTERS_SHOWN]}…"


_CHARACTERS_SHOWN = 200


def _remove_old_weights(directory: Path, keep: str) -> None:
    for path in directory.iterdir():
        if _WEIGHTS.fullmatch(path.name) and path.name != keep:
            path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    return (
        path.name in (_DESCRIPTION, STATE_FILE, LOCK_FILE)
        or _WEIGHTS.fullmatch(path.name) is not None
        or path.suffix == TEMPORARY_SUFFIX
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
