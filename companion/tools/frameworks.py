"""One gradient, computed by NumPy, PyTorch and Keras.

Explained in :doc:`/tools`, "One gradient, three frameworks".
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from companion.errors import DataError, MissingPackageError
from companion.mathematics.losses import cross_entropy_gradient

__all__ = ["KERAS_BACKENDS", "keras_logits", "numpy_gradient", "torch_gradient"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
KERAS_BACKENDS = ("jax", "tensorflow", "torch")
"""What Keras 3 can train with."""

_KERAS = """
import json, sys
import keras, numpy as np
given = json.load(sys.stdin)
weights, inputs = (np.array(given[name]) for name in ("weights", "inputs"))
layer = keras.layers.Dense(weights.shape[1], use_bias=False, dtype="float32")
layer.build(inputs.shape)
layer.set_weights([weights])
logits = layer(keras.ops.convert_to_tensor(inputs, dtype="float32"))
print(json.dumps([keras.backend.backend(), keras.ops.convert_to_numpy(logits).tolist()]))
"""


def numpy_gradient(weights: Array, inputs: Array, labels: Labels) -> Array:
    """Derive the mean cross-entropy of a linear classifier by hand.

    Args:
        weights: ``(features, classes)``.
        inputs: ``(examples, features)``.
        labels: ``(examples,)`` the numbers of the right classes.

    Returns:
        ``(features, classes)``.
    """
    return np.asarray(inputs.T @ cross_entropy_gradient(inputs @ weights, labels))


def torch_gradient(weights: Array, inputs: Array, labels: Labels) -> Array:
    """Let PyTorch derive the same.

    Args:
        weights: ``(features, classes)``.
        inputs: ``(examples, features)``.
        labels: ``(examples,)`` the numbers of the right classes.

    Returns:
        ``(features, classes)``.
    """
    parameters = torch.tensor(weights, requires_grad=True)
    logits = torch.from_numpy(inputs) @ parameters
    loss = functional.cross_entropy(logits, torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(loss, parameters)
    return np.asarray(gradient.numpy())


def keras_logits(weights: Array, inputs: Array, backend: str) -> Array:
    """Compute the logits of the same classifier by Keras, in a process of its own.

    Keras chooses its backend once, when it is imported, so each backend needs a new process.

    Args:
        weights: ``(features, classes)``.
        inputs: ``(examples, features)``.
        backend: One of :data:`KERAS_BACKENDS` that is installed.

    Returns:
        ``(examples, classes)`` logits, in single precision.

    Raises:
        DataError: If Keras has no such backend.
        MissingPackageError: If Keras or the backend is not installed.
    """
    if backend not in KERAS_BACKENDS:
        raise DataError(f"{backend!r} is no backend of Keras; take one of {KERAS_BACKENDS}")
    given = json.dumps({"weights": weights.tolist(), "inputs": inputs.tolist()})
    with tempfile.TemporaryDirectory() as home:  # Keras writes its settings where it starts
        run = subprocess.run(
            [sys.executable, "-c", _KERAS],
            input=given,
            capture_output=True,
            text=True,
            env=os.environ | {"KERAS_BACKEND": backend, "KERAS_HOME": str(Path(home))},
        )
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise MissingPackageError(
            f"Keras cannot compute with {backend} here ({reason}); pip install keras {backend}"
        )
    used, logits = json.loads(run.stdout.splitlines()[-1])
    if used != backend:
        raise DataError(f"Keras computed with {used}, not with {backend}; see KERAS_BACKEND")
    return np.array(logits)
