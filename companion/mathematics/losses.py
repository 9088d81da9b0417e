"""Softmax and cross-entropy, with their gradients.

Explained in :doc:`/mathematics/losses`.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cross_entropy",
    "cross_entropy_gradient",
    "log_sum_exp",
    "softmax",
    "softmax_jacobian",
]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def log_sum_exp(logits: Array) -> Array:
    """The logarithm of the sum of exponentials over the last axis, without overflow.

    Args:
        logits: ``(..., classes)``.

    Returns:
        ``(..., 1)``.
    """
    largest = logits.max(axis=-1, keepdims=True)
    return np.asarray(largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True)))


def softmax(logits: Array) -> Array:
    """Turn scores into shares that are above 0 and sum to 1 over the last axis."""
    return np.exp(logits - log_sum_exp(logits))


def softmax_jacobian(probabilities: Array) -> Array:
    """How each share of a softmax moves with each score, diag(p) − p pᵀ.

    Args:
        probabilities: ``(classes,)``, what :func:`softmax` gave.

    Returns:
        ``(classes, classes)``; row k holds the derivatives of share k.
    """
    return np.diag(probabilities) - np.outer(probabilities, probabilities)


def cross_entropy(logits: Array, labels: Labels) -> float:
    """The mean of −log p over the right classes.

    Args:
        logits: ``(batch, classes)``.
        labels: ``(batch,)`` the right classes, counted from 0.
    """
    right = logits[np.arange(len(labels)), labels]
    return float(np.mean(log_sum_exp(logits)[:, 0] - right))


def cross_entropy_gradient(logits: Array, labels: Labels) -> Array:
    """The gradient of :func:`cross_entropy` with respect to the logits, (p − y) / batch.

    Args:
        logits: ``(batch, classes)``.
        labels: ``(batch,)`` the right classes, counted from 0.

    Returns:
        ``(batch, classes)``.
    """
    gradient = softmax(logits)
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)
