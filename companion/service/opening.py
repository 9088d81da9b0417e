"""From a model on disk to a running service.

Explained in :doc:`/questions/service`, "Start it".
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion.errors import MissingPackageError, OutputError
from companion.service.app import Classifier
from companion.service.drift import Reference

__all__ = ["REFERENCE", "drift_reference", "open_model", "run"]

_log = logging.getLogger(__name__)

REFERENCE = "reference.json"
_CONNECTIONS = 1000
_GRACE = 30  # seconds in which a stopping service answers what it accepted
# What the card shows of a model's provenance. The path of a table is left out: it names folders of
# whoever trained.
_SHOWN = ("documents", "test", "intervals", "baselines", "seed", "best_epoch", "epochs")


def open_model(
    path: str | Path, *, device: str = "cpu", threads: int = 1
) -> tuple[Classifier, dict[str, Any]]:
    """Load a folder that ``companion train`` wrote, or an ``.onnx`` file, which needs no torch.

    Args:
        path: The folder or the file.
        device: Where a folder's network runs.
        threads: The processor threads of one answer.

    Returns:
        The classifier, and what its card says of its training.

    Raises:
        CheckpointError: If it is no model of ours.
    """
    if Path(path).suffix == ".onnx":
        from companion.classifier.serving import OnnxClassifier

        return OnnxClassifier(path, threads=threads), {"file": Path(path).name}
    import torch

    from companion.classifier.checkpoint import load_classifier, read_description

    torch.set_num_threads(threads)
    description = read_description(path)
    provenance, source = description["provenance"], description["provenance"].get("source")
    facts: dict[str, Any] = {"weights_sha256": description["weights_sha256"]}
    facts |= {name: provenance[name] for name in _SHOWN if name in provenance}
    if isinstance(source, dict) and isinstance(source.get("corpus"), str):
        facts["corpus"] = source["corpus"]
    return load_classifier(path, device=device), facts


def drift_reference(
    path: str | Path, classifier: Classifier, held_out: Sequence[str] | None
) -> Reference | None:
    """Read the reference of a model, or count held-out documents and keep the result.

    Args:
        path: The file of the reference.
        classifier: The model.
        held_out: Documents that took no part in the training, or None if there are none.

    Returns:
        The reference; None if there is neither a file nor a document.

    Raises:
        DataError: If the file is damaged or of another model.
    """
    if Path(path).is_file():
        return Reference.load(path, classifier.labels)
    if not held_out:
        return None
    reference = Reference.of(
        held_out, classifier.predict_proba(held_out), classifier.vocabulary, classifier.labels
    )
    try:
        reference.save(path)
    except OutputError as error:
        _log.info("the reference is not kept: %s", error)
    return reference


def run(app: Any, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; then answer what was accepted, and return.

    Args:
        app: What :func:`companion.service.app.create_app` built.
        host: The address to listen on.
        port: The port; 0 takes a free one, which the log names.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingPackageError(
            "the service needs uvicorn: pip install 'large-models-at-work[serve]'"
        ) from error
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )
