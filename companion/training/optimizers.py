"""Gradient descent, momentum and Adam, in NumPy: what ``torch.optim`` does, in a few lines each.

Explained in :doc:`/training/update`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Adam", "GradientDescent", "Momentum", "Optimizer", "descend", "steps_until"]

Array = npt.NDArray[np.float64]


class Optimizer(Protocol):
    """Anything that turns parameters and their gradient into better parameters."""

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Give the parameters after one step."""
        ...


@dataclass
class GradientDescent:
    """Go against the gradient."""

    learning_rate: float

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Give the parameters after one step."""
        return parameters - self.learning_rate * gradient


@dataclass
class Momentum:
    """Keep a velocity, to which each gradient adds, and go against it."""

    learning_rate: float
    momentum: float = 0.9
    velocity: Array | float = field(default=0.0, init=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Give the parameters after one step."""
        self.velocity = self.momentum * self.velocity + gradient
        return parameters - self.learning_rate * self.velocity


@dataclass
class Adam:
    """Divide the mean of the past gradients by their root mean square, parameter by parameter."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    steps: int = field(default=0, init=False)
    mean: Array | float = field(default=0.0, init=False)
    square: Array | float = field(default=0.0, init=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Give the parameters after one step."""
        self.steps += 1
        self.mean = self.beta1 * self.mean + (1 - self.beta1) * gradient
        self.square = self.beta2 * self.square + (1 - self.beta2) * gradient**2
        # Both averages start at zero; the division takes the share of that start out again.
        mean = self.mean / (1 - self.beta1**self.steps)
        square = self.square / (1 - self.beta2**self.steps)
        return parameters - self.learning_rate * mean / (np.sqrt(square) + self.epsilon)


def descend(
    optimizer: Optimizer,
    start: npt.ArrayLike,
    gradient: Callable[[Array], npt.ArrayLike],
    steps: int,
) -> Array:
    """Let an optimiser walk.

    Args:
        optimizer: A new one; it keeps its state.
        start: ``(parameters,)``, or a number.
        gradient: The gradient at a point, in the shape of the point.
        steps: How many.

    Returns:
        ``(steps + 1, parameters)``, or ``(steps + 1,)``: the points, the start first.
    """
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        path.append(optimizer.step(path[-1], np.asarray(gradient(path[-1]))))
    return np.stack(path)


def steps_until(losses: Array, bound: float) -> int | None:
    """Count the steps after which the losses stay at or below a bound; None if they do not."""
    above = np.flatnonzero(~(losses <= bound))
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first < len(losses) else None
