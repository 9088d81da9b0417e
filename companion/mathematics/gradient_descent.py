"""Gradient descent on a line through the origin, its five regimes, and Adam.

Explained in :doc:`/mathematics/gradient-descent`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.errors import DataError

__all__ = [
    "REGIMES",
    "LineDescent",
    "adam",
    "best_weight",
    "descend",
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


def descend(
    gradient: Callable[[Array], ArrayLike], start: ArrayLike, learning_rate: float, steps: int
) -> Array:
    """Follow the negative gradient.

    Args:
        gradient: Gives the gradient at a point, in the shape of the point.
        start: Where to begin: a number or an array.
        learning_rate: The factor of each step.
        steps: How many steps to take.

    Returns:
        ``(steps + 1, ...)`` the points, with the start as the first.
    """
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * np.asarray(gradient(path[-1])))
    return np.stack(path)


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
        lambda weight: half_squared_gradient(float(weight), x, y), start, learning_rate, steps
    )
    return LineDescent(weights, best_weight(x, y), curvature, regime(learning_rate, curvature))


def largest_learning_rate(x: ArrayLike) -> float:
    """The bound 2 / λ_max(XᵀX), below which gradient descent on half the squared error converges.

    Args:
        x: ``(examples, features)``.
    """
    features = np.asarray(x, dtype=np.float64)
    return 2 / float(np.linalg.eigvalsh(features.T @ features)[-1])


def adam(
    gradient: Callable[[Array], ArrayLike],
    start: ArrayLike,
    learning_rate: float,
    steps: int,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> Array:
    """Follow the gradient as Adam does, with bias correction.

    Args:
        gradient: Gives the gradient at a point, in the shape of the point.
        start: Where to begin: a number or an array.
        learning_rate: The length of the first step, for each number of the point.
        steps: How many steps to take.
        betas: How much of the mean gradient, and of the mean squared gradient, each step keeps.
        epsilon: Keeps the division away from 0.

    Returns:
        ``(steps + 1, ...)`` the points, with the start as the first.
    """
    path = [np.asarray(start, dtype=np.float64)]
    mean, square = np.zeros_like(path[0]), np.zeros_like(path[0])
    for step in range(1, steps + 1):
        slope = np.asarray(gradient(path[-1]))
        mean = betas[0] * mean + (1 - betas[0]) * slope
        square = betas[1] * square + (1 - betas[1]) * slope**2
        unbiased_mean = mean / (1 - betas[0] ** step)
        unbiased_square = square / (1 - betas[1] ** step)
        path.append(path[-1] - learning_rate * unbiased_mean / (np.sqrt(unbiased_square) + epsilon))
    return np.stack(path)
