"""A fine-tuned classifier on disk: what the training changed as safetensors, the rest as JSON.

Explained in :doc:`/training/finetuning`, "Load a pretrained model". The pretrained weights are not
written again: LoRA's file is a few hundred kilobytes. So a saved classifier needs the pretrained
model it came from, which is known by its fingerprint.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from companion.errors import CheckpointError, CompanionError, DataError, OutputError
from companion.finetuning.estimator import TransformerClassifier
from companion.finetuning.model import EncoderClassifier, choose_trained
from companion.finetuning.pretrained import fingerprint, load_pretrained, minilm_folder
from companion.model_folder import ModelFolder

__all__ = ["load_finetuned", "save_finetuned"]

_FOLDER = ModelFolder(
    format="companion fine-tuned classifier",
    version=1,
    kind="fine-tuned classifier",
    maker="TransformerClassifier and save_finetuned",
    description="finetuned.json",
    weights="trained",
    types={"pretrained_sha256": str, "label_type": str, "labels": list, "parameters": dict},
)
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
    parts = {
        "pretrained_sha256": fingerprint(classifier.pretrained or minilm_folder()),
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
    _FOLDER.write(directory, _changed(classifier.model_, classifier.reinitialise_layers), parts)
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
    description = _FOLDER.read(directory)
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
        changed = _changed(model, classifier.reinitialise_layers)
    except (CompanionError, TypeError, ValueError, KeyError) as error:
        raise _FOLDER.damaged(directory, error) from error
    tensors = _FOLDER.read_weights(directory, description, changed)
    model.load_state_dict(tensors, strict=False)
    classifier.model_, classifier.tokenizer_ = model.eval(), start.tokenizer
    return classifier


def _changed(model: EncoderClassifier, reinitialised: int) -> dict[str, torch.Tensor]:
    """Give the tensors that a training or a fresh start changed, by name."""
    layers = len(model.encoder.encoder.layer)  # type: ignore[union-attr, arg-type]
    fresh = tuple(f"encoder.encoder.layer.{layers - 1 - back}." for back in range(reinitialised))
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or name.startswith(fresh)
    }
