"""Gradient descent on a line through the origin, and its five regimes.

Explained in :doc:`/mathematics/gradient-descent`. The steps themselves are those of
:mod:`companion.training.optimizers`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.errors import DataError
from companion.training.optimizers import GradientDescent, descend

__all__ = [
    "REGIMES",
    "LineDescent",
    "best_weight",
    "descend_on_line",
    "half_squared_error",
    "half_squared_gradient",
    "largest_learning_rate",
    "regime",
]

Array = NDArray[np.float64]
REGIMES = ("monotone", "one step", "oscillates and converges", "for ever", "diverges")


def half_squared_error(weight: float, x: ArrayLike, y: ArrayLike) -> float:
    """Half the sum of the squared errors of the line ``y = weight · x``."""
    return 0.5 * float(np.sum((np.asarray(y) - weight * np.asarray(x)) ** 2))


def half_squared_gradient(weight: float, x: ArrayLike, y: ArrayLike) -> float:
    """The derivative of :func:`half_squared_error` with respect to the weight."""
    return -float(np.sum((np.asarray(y) - weight * np.asarray(x)) * np.asarray(x)))


def best_weight(x: ArrayLike, y: ArrayLike) -> float:
    """The weight with the smallest squared error, Σxy / Σx².

    Raises:
        DataError: If every x is 0, so that no weight is better than another.
    """
    squares = float(np.dot(x, x))
    if squares == 0:
        raise DataError("every x is 0, so every weight fits alike; give an x that is not 0")
    return float(np.dot(x, y)) / squares


def regime(learning_rate: float, curvature: float) -> str:
    """Say how gradient descent moves on a parabola, from how far a step goes.

    Args:
        learning_rate: The factor of each step, above 0.
        curvature: The second derivative, above 0; for :func:`half_squared_error` it is Σx².

    Returns:
        One of ``REGIMES``.

    Raises:
        DataError: If one of the two is not above 0.
    """
    product = learning_rate * curvature
    if not (learning_rate > 0 and curvature > 0):
        raise DataError(
            f"the learning rate is {learning_rate} and the curvature {curvature}; "
            "both must be above 0"
        )
    if math.isclose(product, 1):
        return "one step"
    if math.isclose(product, 2):
        return "for ever"
    if product < 1:
        return "monotone"
    return "oscillates and converges" if product < 2 else "diverges"


@dataclass(frozen=True)
class LineDescent:
    """A descent to the best line through the origin.

    Attributes:
        weights: ``(steps + 1,)`` the weights, with the start as the first.
        minimum: The best weight.
        curvature: Σx², the second derivative of the loss.
        regime: One of ``REGIMES``.
    """

    weights: Array
    minimum: float
    curvature: float
    regime: str


def descend_on_line(
    x: ArrayLike, y: ArrayLike, start: float, learning_rate: float, steps: int
) -> LineDescent:
    """Fit the line ``y = weight · x`` by gradient descent on half the squared error.

    Args:
        x: ``(examples,)``, not all 0.
        y: ``(examples,)``.
        start: The first weight.
        learning_rate: The factor of each step, above 0.
        steps: How many steps to take.
    """
    curvature = float(np.dot(x, x))
    weights = descend(
        GradientDescent(learning_rate),
        start,
        lambda weight: half_squared_gradient(float(weight), x, y),
        steps,
    )
    return LineDescent(weights, best_weight(x, y), curvature, regime(learning_rate, curvature))


def largest_learning_rate(x: ArrayLike) -> float:
    """The bound 2 / λ_max(XᵀX), below which gradient descent on half the squared error converges.

    Args:
        x: ``(examples, features)``.
    """
    features = np.asarray(x, dtype=np.float64)
    return 2 / float(np.linalg.eigvalsh(features.T @ features)[-1])
