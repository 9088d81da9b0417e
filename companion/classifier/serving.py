"""Answers from an ONNX file, on a machine that has no torch.

Explained in :doc:`/project/ecosystem`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.classifier.encoding import encode
from companion.classifier.text import PADDING_ID, Vocabulary
from companion.errors import CheckpointError, MissingPackageError

__all__ = ["METADATA_KEY", "OnnxClassifier", "read_metadata"]

METADATA_KEY = "companion text classifier"
_REMEDY = "export the classifier again"


class OnnxClassifier:
    """A classifier that :func:`companion.classifier.export.export_onnx` wrote.

    It needs ``onnxruntime`` and NumPy, and neither torch nor pandas.

    Args:
        path: The ``.onnx`` file.
        threads: The processor threads of one answer; 0 takes all.

    Attributes:
        labels: The class of each column.
        vocabulary: The vocabulary it was trained with.

    Raises:
        MissingPackageError: If ``onnxruntime`` is not installed.
        CheckpointError: If the file is missing, damaged or not ours.
    """

    def __init__(self, path: str | Path, *, threads: int = 0) -> None:
        self._session = _session(path, threads)
        metadata = _parse(path, self._session)
        self.labels: list[str] = metadata["labels"]
        self.vocabulary = Vocabulary(metadata["vocabulary"])
        self._maximum_words: int = metadata["maximum_words"]

    def predict_proba(self, texts: Sequence[str], *, batch_size: int = 16) -> NDArray[np.float64]:
        """Give the probability of each class for each text.

        Args:
            texts: The documents.
            batch_size: How many are read at once. It changes the speed and not the answer, but for
                8-bit weights: there the numbers of a batch are rounded together.

        Returns:
            ``(documents, classes)``; the columns are in the order of ``labels``.

        Raises:
            DataError: If ``texts`` is one string and no sequence of them.
            EmptyDocumentError: If a text has no token.
        """
        documents = encode(texts, self.vocabulary, self._maximum_words)
        order = sorted(range(len(documents)), key=lambda row: len(documents[row]))
        probabilities = np.empty((len(documents), len(self.labels)))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            token_ids, lengths = _pad([documents[row] for row in rows])
            inputs = {"token_ids": token_ids, "lengths": lengths}
            probabilities[rows] = self._session.run(["probabilities"], inputs)[0]
        return probabilities

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Give the most probable class of each text; see :meth:`predict_proba`."""
        return [self.labels[index] for index in self.predict_proba(texts).argmax(axis=1)]


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read the ``labels``, the ``vocabulary`` and ``maximum_words`` of an exported classifier.

    Raises:
        MissingPackageError: If ``onnxruntime`` is not installed.
        CheckpointError: If the file is missing, damaged or not ours.
    """
    return _parse(path, _session(path, threads=1))


def _session(path: str | Path, threads: int) -> Any:
    """Open a file with ONNX Runtime; no other file is read."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            "an ONNX file is read by onnxruntime: pip install 'large-models-at-work[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        # From bytes, a graph that points at weights in other files is refused.
        content = Path(path).read_bytes()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); give a file that export_onnx wrote"
        ) from error
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise CheckpointError(
            f"{path}: not an ONNX model that can be run ({str(error).splitlines()[0][:200]}); "
            f"{_REMEDY}"
        ) from error


def _parse(path: str | Path, session: Any) -> dict[str, Any]:
    """Check that a graph and its metadata are those of our export."""
    try:
        metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
        labels, tokens = metadata["labels"], metadata["vocabulary"]
        is_whole = (
            all(isinstance(each, list) for each in (labels, tokens))
            and all(isinstance(each, str) for each in (*labels, *tokens))
            and type(metadata["maximum_words"]) is int
            and metadata["maximum_words"] > 0
            and _fits(session, len(Vocabulary(tokens)), len(labels))
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a classifier of this package, or damaged ({error!r}); {_REMEDY}"
        ) from error
    if not is_whole:
        raise CheckpointError(
            f"{path}: the graph does not fit the labels and words beside it; {_REMEDY}"
        )
    return dict(metadata)


def _fits(session: Any, tokens: int, labels: int) -> bool:
    """Ask the graph about the last token; ONNX Runtime refuses one that it does not have."""
    inputs = {"token_ids": np.array([[tokens - 1]]), "lengths": np.array([1])}
    try:
        answer = session.run(["probabilities"], inputs)[0]
    except Exception:  # ONNX Runtime's errors share no other base
        return False
    return bool(answer.shape == (1, labels))


def _pad(documents: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put documents into one rectangle; :func:`companion.classifier.batches.pad` without torch."""
    lengths = [len(document) for document in documents]
    width = max(lengths)
    rows = [
        [*document, *[PADDING_ID] * (width - length)]
        for document, length in zip(documents, lengths, strict=True)
    ]
    return np.array(rows, dtype=np.int64), np.array(lengths, dtype=np.int64)
