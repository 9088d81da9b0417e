"""A fine-tuned classifier on disk: what the training changed as safetensors, the rest as JSON.

Explained in :doc:`/training/finetuning`, "Load a pretrained model". The pretrained weights are not
written again: LoRA's file is a few hundred kilobytes. So a saved classifier needs the pretrained
model it came from, which is known by its fingerprint.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from sklearn.utils.validation import check_is_fitted

from companion.classifier.checkpoint import _read_weights, _read_within
from companion.errors import CheckpointError, CompanionError, DataError, OutputError
from companion.files import write_atomically
from companion.finetuning.estimator import TransformerClassifier
from companion.finetuning.model import EncoderClassifier, choose_trained
from companion.finetuning.pretrained import fingerprint, load_pretrained, minilm_folder
from companion.safety import LIMITS

__all__ = ["load_finetuned", "save_finetuned"]

_FORMAT = "companion fine-tuned classifier"
_FORMAT_VERSION = 1
_DESCRIPTION = "finetuned.json"
_WEIGHTS = re.compile(r"trained-[0-9a-f]{16}\.safetensors")
_REMEDY = "copy the folder again from where it was made, or train again"
_LABELS = {"str": str, "int": int, "float": float, "bool": bool}


def save_finetuned(classifier: TransformerClassifier, directory: str | Path) -> Path:
    """Write a fitted classifier into a folder, in place of the one that may be there.

    Args:
        classifier: The classifier.
        directory: The folder; it is made if it is missing.

    Returns:
        The folder.

    Raises:
        sklearn.exceptions.NotFittedError: Before ``fit``.
        DataError: If the labels are not all texts, or all numbers, or all truth values.
        OutputError: If the folder cannot be written. What was there before stays whole.
    """
    check_is_fitted(classifier)
    labels = classifier.classes_.tolist()
    kind = type(labels[0]).__name__
    if kind not in _LABELS or any(type(label).__name__ != kind for label in labels):
        raise DataError(f"labels of type {kind} cannot be saved; use texts or numbers")
    weights = save_tensors(_trained_tensors(classifier))
    digest = hashlib.sha256(weights).hexdigest()
    description = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "pretrained_sha256": fingerprint(classifier.pretrained or minilm_folder()),
        "weights": f"trained-{digest[:16]}.safetensors",
        "weights_sha256": digest,
        "label_type": kind,
        "labels": labels,
        "parameters": {
            name: getattr(classifier, name)
            for name in ("method", "top_layers", "reinitialise_layers", "rank", "maximum_length")
        },
    }
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{directory}: cannot be a folder ({error.strerror})") from error
    write_atomically(directory / str(description["weights"]), weights)
    text = json.dumps(description, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(directory / _DESCRIPTION, text.encode("utf-8"))
    for path in directory.iterdir():
        if _WEIGHTS.fullmatch(path.name) and path.name != description["weights"]:
            path.unlink(missing_ok=True)
    return directory


def load_finetuned(
    directory: str | Path, *, pretrained: str | Path | None = None
) -> TransformerClassifier:
    """Read a classifier that :func:`save_finetuned` wrote, onto the CPU.

    Args:
        directory: The folder.
        pretrained: The folder of the pretrained model it came from; MiniLM if None.

    Returns:
        The classifier, ready to predict.

    Raises:
        CheckpointError: If the folder holds no whole classifier of this version, or the pretrained
            model is another one.
        MissingPackageError: If transformers, peft or MiniLM is needed and not installed.
    """
    directory = Path(directory)
    description = _read_description(directory)
    folder = Path(pretrained) if pretrained is not None else minilm_folder()
    start = load_pretrained(folder)
    if fingerprint(folder) != description["pretrained_sha256"]:
        raise CheckpointError(
            f"{directory}: was fine-tuned from another pretrained model than {folder}; "
            "give the folder of that one as pretrained"
        )
    try:
        classifier = TransformerClassifier(pretrained=pretrained, **description["parameters"])
        classifier._check_parameters()
        kind = _LABELS[description["label_type"]]
        classifier.classes_ = np.array([kind(label) for label in description["labels"]])
        model = EncoderClassifier(start.encoder, len(classifier.classes_))
        choose_trained(
            model, classifier.method, top_layers=classifier.top_layers, rank=classifier.rank
        )
        names = _changed_names(model, classifier.reinitialise_layers)
    except (CompanionError, TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{directory / _DESCRIPTION}: damaged ({error}); {_REMEDY}"
        ) from error
    state = model.state_dict()
    tensors = _read_weights(
        directory / description["weights"],
        description["weights_sha256"],
        {name: state[name] for name in names},
    )
    model.load_state_dict(tensors, strict=False)
    classifier.model_, classifier.tokenizer_ = model.eval(), start.tokenizer
    return classifier


def _changed_names(model: EncoderClassifier, reinitialised: int) -> list[str]:
    """Name the tensors that a training or a fresh start changed, in a fixed order."""
    layers = len(model.encoder.encoder.layer)  # type: ignore[union-attr, arg-type]
    fresh = tuple(f"encoder.encoder.layer.{layers - 1 - back}." for back in range(reinitialised))
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or name.startswith(fresh)
    ]


def _trained_tensors(classifier: TransformerClassifier) -> dict[str, torch.Tensor]:
    state = classifier.model_.state_dict()
    names = _changed_names(classifier.model_, classifier.reinitialise_layers)
    return {name: state[name].detach().cpu().contiguous() for name in names}


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / _DESCRIPTION
    try:
        is_there = path.is_file()
    except OSError as error:
        raise CheckpointError(f"{directory}: cannot be read ({error.strerror})") from error
    if not is_there:
        raise CheckpointError(
            f"{directory}: no fine-tuned classifier: there is no {_DESCRIPTION} in it"
        )
    data = _read_within(path, LIMITS.description_bytes, "description_bytes")
    try:
        description = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); {_REMEDY}") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not written by save_finetuned; give a folder that was")
    if description.get("format_version") != _FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {description.get('format_version')!r}; "
            f"this package reads version {_FORMAT_VERSION}: train again"
        )
    types = {
        "pretrained_sha256": str,
        "weights": str,
        "weights_sha256": str,
        "label_type": str,
        "labels": list,
        "parameters": dict,
    }
    wrong = [name for name, kind in types.items() if not isinstance(description.get(name), kind)]
    if wrong or not _WEIGHTS.fullmatch(description["weights"]):
        raise CheckpointError(f"{path}: damaged at {', '.join(wrong) or 'weights'}; {_REMEDY}")
    return description
