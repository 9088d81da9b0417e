"""The trained classifier as one ONNX file, also with 8-bit weights, and as a script for a page.

Explained in :doc:`/project/ecosystem` and :doc:`/project/live`. What answers from an ONNX file,
without torch, is :class:`companion.classifier.serving.OnnxClassifier`; what answers on a web page
is ``book/_scripts/companion.js``.
"""

import base64
import contextlib
import copy
import dataclasses
import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier, pool
from companion.classifier.serving import METADATA_KEY, OnnxClassifier, read_metadata
from companion.classifier.text import PADDING_ID, Vocabulary
from companion.errors import DataError, MissingPackageError
from companion.files import write_atomically

__all__ = [
    "compare_exports",
    "export_onnx",
    "export_web",
    "quantize_onnx",
    "quantize_rows",
    "shrink_vectors",
]

_INSTALL = "pip install 'large-models-at-work[export]'"
_OPSET = 20


def export_onnx(classifier: TextClassifier, path: str | Path) -> Path:
    """Write a classifier into one ONNX file.

    The graph takes ``token_ids`` ``(batch, time)`` int64, padded on the right with 0, and
    ``lengths`` ``(batch,)`` int64, each from 1 to ``time``; batch and time may be any from 1 up. It
    gives ``probabilities`` ``(batch, classes)`` float32, which do not depend on the padding. The
    vocabulary, the labels and ``maximum_words`` lie in the file's metadata.

    Args:
        classifier: The trained classifier.
        path: The file, as ``model.onnx``; one that is there is replaced.

    Returns:
        The path.

    Raises:
        MissingPackageError: If the extra ``export`` is not installed.
        OutputError: If the file cannot be written; what was there before stays whole.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"the export needs onnx and onnxscript: {_INSTALL}") from error
    graph = _Graph(classifier.model).eval()
    example = (torch.full((2, 3), 2), torch.tensor([3, 2]))
    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            input_names=["token_ids", "lengths"],
            output_names=["probabilities"],
            dynamic_shapes={"token_ids": {0: "batch", 1: "time"}, "lengths": {0: "batch"}},
            opset_version=_OPSET,
            verbose=False,
        )
    model = program.model_proto
    _strip_source(model)
    onnx.helper.set_model_props(model, {METADATA_KEY: _metadata(classifier)})
    onnx.checker.check_model(model)
    path = Path(path)
    write_atomically(path, model.SerializeToString())
    return path


def quantize_onnx(source: str | Path, target: str | Path) -> Path:
    """Write a smaller model whose weights are 8-bit integers ("dynamic quantisation").

    Each weight matrix becomes integers and a scale, and so do the numbers that meet it, at the
    moment when they do. Seven of the eight bits are used, because with eight some processors
    overflow and give other answers.

    Args:
        source: A file that :func:`export_onnx` wrote.
        target: The new file.

    Returns:
        ``target``.

    Raises:
        MissingPackageError: If the extra ``export`` is not installed.
        CheckpointError: If ``source`` is no file of :func:`export_onnx`.
        OutputError: If the file cannot be written.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingPackageError(f"quantisation needs onnxruntime: {_INSTALL}") from error
    read_metadata(source)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        small = Path(folder) / "int8.onnx"
        quantize_dynamic(str(source), str(small), weight_type=QuantType.QInt8, reduce_range=True)
        content = small.read_bytes()
    target = Path(target)
    write_atomically(target, content)
    return target


class _Graph(nn.Module):
    """The trained network with no choice that depends on a shape, and with ONNX's own LSTM.

    :class:`~companion.classifier.model.LSTMClassifier` leaves a short document whole and cuts a
    long one. A graph has one way for both: here every document is cut into windows, and where all
    are shorter than a window, the window is as long as the longest.
    """

    def __init__(self, model: LSTMClassifier) -> None:
        super().__init__()
        model = copy.deepcopy(model).cpu()
        self.window, self.pooling = model.window, model.pooling
        self.embedding, self.head = model.embedding, model.head
        layers: Any = model.layers
        self.layers = nn.ModuleList(_OnnxLSTM(layer.directions) for layer in layers)

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Map ``(batch, time)`` ids and ``(batch,)`` lengths to ``(batch, classes)``."""
        windows, window_lengths = self._cut(token_ids, lengths)
        hidden = self.embedding(windows)  # (batch · windows, window, embedding)
        for layer in self.layers:
            hidden = layer(hidden, window_lengths)
        hidden = hidden.reshape(token_ids.shape[0], -1, hidden.shape[2])  # (batch, time, width)
        logits: Tensor = self.head(pool(hidden, lengths, self.pooling))
        return logits.softmax(dim=1)

    def _cut(self, token_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Do as :func:`~companion.classifier.model.cut_windows` does, with the window cut too."""
        if self.window == 0:
            return token_ids, lengths
        window = torch.sym_min(self.window, token_ids.shape[1])  # type: ignore[no-untyped-call]
        windows = (token_ids.shape[1] + window - 1) // window
        missing = windows * window - token_ids.shape[1]
        padded = functional.pad(token_ids, (0, missing), value=PADDING_ID)
        starts = torch.arange(windows) * window
        window_lengths = (lengths[:, None] - starts).clamp(0, window)  # (batch, windows)
        return padded.reshape(-1, window), window_lengths.reshape(-1)


class _OnnxLSTM(nn.Module):
    """A layer of one or two ``nn.LSTM`` of one direction as the LSTM operator of ONNX.

    Torch's exporter writes that operator too, but fixes the time at that of the example. The
    operator takes the lengths, and reads a document backwards from its last word by itself.
    """

    def __init__(self, directions: Sequence[nn.LSTM]) -> None:
        super().__init__()
        self.hidden_size = directions[0].hidden_size
        self.direction = "bidirectional" if len(directions) == 2 else "forward"
        weights = [
            {name: _onnx_order(each) for name, each in lstm.named_parameters()}
            for lstm in directions
        ]
        # (directions, 4 · hidden, input), and the same with hidden
        self.input_weights = nn.Buffer(torch.stack([each["weight_ih_l0"] for each in weights]))
        self.hidden_weights = nn.Buffer(torch.stack([each["weight_hh_l0"] for each in weights]))
        biases = [torch.cat([each["bias_ih_l0"], each["bias_hh_l0"]]) for each in weights]
        self.bias = nn.Buffer(torch.stack(biases))  # (directions, 8 · hidden)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Map ``(batch, time, input)`` to ``(batch, time, directions · hidden)``; for an export."""
        batch, time = inputs.shape[0], inputs.shape[1]
        outputs = torch.onnx.ops.symbolic(
            "LSTM",
            [
                inputs.transpose(0, 1),
                self.input_weights,
                self.hidden_weights,
                self.bias,
                lengths.int(),
            ],
            {"hidden_size": self.hidden_size, "direction": self.direction},
            dtype=inputs.dtype,
            shape=[time, len(self.bias), batch, self.hidden_size],
        )
        return outputs.permute(2, 0, 1, 3).reshape(batch, time, -1)


def _onnx_order(weights: Tensor) -> Tensor:
    """Put the gates of torch (input, forget, cell, output) into ONNX's order."""
    input_gate, forget_gate, cell, output_gate = weights.detach().chunk(4)
    return torch.cat([input_gate, output_gate, forget_gate, cell])


def _metadata(classifier: TextClassifier) -> str:
    return json.dumps(
        {
            "labels": classifier.labels,
            "maximum_words": classifier.configuration.maximum_words,
            "vocabulary": classifier.vocabulary.tokens,
        },
        ensure_ascii=False,
    )


def _strip_source(model: Any) -> None:
    """Remove what the exporter notes of this machine: the stack trace of every node."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's hints to its developers out of the user's output."""
    level = logging.root.manager.disable
    logging.disable(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def compare_exports(classifier: TextClassifier, test: pd.DataFrame) -> dict[str, float]:
    """Compare a classifier with its ONNX file, and that with its 8-bit copy.

    Args:
        classifier: The trained classifier.
        test: The columns ``text`` and ``label``.

    Returns:
        ``onnx_difference`` and ``int8_difference``: the largest difference of a probability from
        torch's. ``int8_accuracy_loss``: the accuracy of torch minus that of int8.
        ``int8_changed_answers``: the share of the texts with another answer. ``int8_size``: the
        size of the 8-bit file, as a share of that of the whole one.
    """
    texts, labels = test["text"].tolist(), test["label"].to_numpy()
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(classifier, Path(folder) / "model.onnx")
        small = quantize_onnx(whole, Path(folder) / "int8.onnx")
        size = small.stat().st_size / whole.stat().st_size
        answers = [
            each.predict_proba(texts)
            for each in (
                classifier,
                OnnxClassifier(whole, threads=1),
                OnnxClassifier(small, threads=1),
            )
        ]
    by_torch, by_onnx, by_int8 = answers
    names = np.asarray(classifier.labels, dtype=object)
    predicted = {"torch": names[by_torch.argmax(axis=1)], "int8": names[by_int8.argmax(axis=1)]}
    return {
        "onnx_difference": float(np.abs(by_onnx - by_torch).max()),
        "int8_difference": float(np.abs(by_int8 - by_torch).max()),
        "int8_accuracy_loss": float(
            (predicted["torch"] == labels).mean() - (predicted["int8"] == labels).mean()
        ),
        "int8_changed_answers": float((predicted["torch"] != predicted["int8"]).mean()),
        "int8_size": size,
    }


def export_web(classifier: TextClassifier, path: str | Path) -> Path:
    """Write a classifier into a script for a web page, with 8-bit weights.

    The script sets ``CompanionModel``: ``labels``, ``vocabulary``, ``settings``, which is the
    configuration, and ``tensors``, by the names of the model's state. A matrix is base64 of int8
    with the float32 scale of each row, as :func:`quantize_rows` makes them; a vector is base64 of
    float32. A script and no JSON, because a page that is opened from a disk may not
    read files.

    Args:
        classifier: The trained classifier.
        path: The file, as ``model.js``; one that is there is replaced.

    Returns:
        The path.

    Raises:
        OutputError: If the file cannot be written; what was there before stays whole.
    """
    configuration = classifier.configuration
    content = {
        "labels": classifier.labels,
        "settings": dataclasses.asdict(configuration),
        "vocabulary": classifier.vocabulary.tokens,
        "tensors": {
            name: _packed(tensor.detach().cpu().float())
            for name, tensor in classifier.model.state_dict().items()
        },
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    path = Path(path)
    write_atomically(path, f"window.CompanionModel = {text};\n".encode())
    return path


def shrink_vectors(classifier: TextClassifier, *, words: int, size: int) -> TextClassifier:
    """Copy a classifier with fewer and shorter word vectors, without training it again.

    The rarest words become unknown. A word vector matters only by what it adds to the sums of the
    gates, and these products are nearly of low rank: the largest directions of their singular value
    decomposition become the new vectors, and the first layer reads them by the others.

    Args:
        classifier: The trained classifier.
        words: How many token ids are left.
        size: How many numbers a word vector has then.

    Returns:
        Another classifier, on the CPU.

    Raises:
        DataError: If it has fewer words or shorter vectors already.
    """
    old = classifier.model
    if not (2 < words <= len(classifier.vocabulary) and 0 < size <= old.embedding.embedding_dim):
        raise DataError(
            f"{words} words with vectors of {size} are no part of {len(classifier.vocabulary)} "
            f"words with vectors of {old.embedding.embedding_dim}; choose fewer"
        )
    configuration = dataclasses.replace(classifier.configuration, embedding_size=size)
    model = LSTMClassifier(words, len(classifier.labels), configuration).eval()
    state = {name: tensor.detach().cpu() for name, tensor in old.state_dict().items()}
    readers = [name for name in state if re.fullmatch(r"layers\.0\..*\.weight_ih_l0", name)]
    vectors, weights = state["embedding.weight"][:words], torch.cat([state[n] for n in readers])
    left, strengths, right = torch.linalg.svd(
        vectors.double() @ weights.double().T, full_matrices=False
    )
    state["embedding.weight"] = left[:, :size] * strengths[:size]
    state["embedding.weight"][PADDING_ID] = 0
    for name, part in zip(readers, right[:size].T.chunk(len(readers)), strict=True):
        state[name] = part
    model.load_state_dict(state)
    vocabulary = Vocabulary(classifier.vocabulary.tokens[:words])
    return TextClassifier(model, vocabulary, classifier.labels, configuration)


def quantize_rows(classifier: TextClassifier) -> TextClassifier:
    """Copy a classifier with the weights that :func:`export_web` leaves it.

    In each row of a matrix the largest number becomes 127 or -127 and the others whole numbers
    between; biases stay as they are.

    Args:
        classifier: The trained classifier.

    Returns:
        Another classifier on the CPU, whose weights are those integers times the rows' scales.
    """
    model = copy.deepcopy(classifier.model).cpu().eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.dim() == 2:
                integers, scales = _integers(tensor)
                tensor.copy_(integers * scales[:, None])
    return TextClassifier(model, classifier.vocabulary, classifier.labels, classifier.configuration)


def _integers(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Give ``(rows, columns)`` int8 and the ``(rows,)`` float32 scales that belong to them."""
    scales = matrix.abs().amax(dim=1) / 127
    divisors = torch.where(scales > 0, scales, 1)  # a row of zeros, as that of the padding
    return (matrix / divisors[:, None]).round().to(torch.int8), scales


def _packed(tensor: Tensor) -> dict[str, str]:
    if tensor.dim() != 2:
        return {"data": _base64(tensor)}
    integers, scales = _integers(tensor)
    return {"data": _base64(integers), "scales": _base64(scales)}


def _base64(tensor: Tensor) -> str:
    """Give the numbers' bytes, the lowest first on every machine."""
    array = np.ascontiguousarray(tensor.numpy())
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
