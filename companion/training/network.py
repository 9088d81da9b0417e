"""A small network whose every weight is a :class:`~companion.training.autograd.Value`.

Explained in :doc:`/training/backward`, "Train a network with it".
"""

import random
from collections.abc import Sequence
from itertools import pairwise

from companion.training.autograd import Operand, Value

__all__ = ["ScalarNetwork", "mean_squared_error"]


class ScalarNetwork:
    """Layers of tanh units, and one linear unit at the end.

    Args:
        sizes: The number of inputs, of the units of each hidden layer, and of outputs.
        seed: Fixes the weights, which start at N(0, 1 / inputs of the unit); biases start at 0.

    Attributes:
        layers: For each layer, for each unit, its weights and, last, its bias.
    """

    def __init__(self, sizes: Sequence[int], *, seed: int = 0) -> None:
        draw = random.Random(seed)
        self.layers = [
            [
                [*(Value(draw.gauss(0, inputs**-0.5)) for _ in range(inputs)), Value(0.0)]
                for _ in range(outputs)
            ]
            for inputs, outputs in pairwise(sizes)
        ]

    def __call__(self, inputs: Sequence[Operand]) -> list[Value]:
        """Give the outputs for one example."""
        signals: list[Operand] = list(inputs)
        for layer in self.layers[:-1]:
            signals = [_weighted_sum(unit, signals).tanh() for unit in layer]
        return [_weighted_sum(unit, signals) for unit in self.layers[-1]]

    def parameters(self) -> list[Value]:
        """List every weight and bias."""
        return [parameter for layer in self.layers for unit in layer for parameter in unit]


def _weighted_sum(unit: list[Value], signals: Sequence[Operand]) -> Value:
    total = unit[-1]
    for weight, signal in zip(unit[:-1], signals, strict=True):
        total = total + weight * signal
    return total


def mean_squared_error(outputs: Sequence[Value], targets: Sequence[float]) -> Value:
    """Average the squared differences."""
    squares = [(output - target) ** 2 for output, target in zip(outputs, targets, strict=True)]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    return total / len(squares)
