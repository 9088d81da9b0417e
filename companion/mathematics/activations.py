"""Activation functions with their derivatives.

Explained in :doc:`/mathematics/activations`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "gelu",
    "gelu_derivative",
    "naive_sigmoid",
    "relu",
    "relu_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "silu",
    "silu_derivative",
    "swiglu",
    "tanh_derivative",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Activation:
    """A function that is applied to each number of an array.

    Attributes:
        function: The function.
        derivative: Its derivative.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def naive_sigmoid(x: Array) -> Array:
    """The sigmoid as the formula says it, 1 / (1 + exp(−x)), which overflows far below 0."""
    return np.asarray(1 / (1 + np.exp(-x)))


def sigmoid(x: Array) -> Array:
    """The sigmoid, without overflow: exp is only taken of numbers that are not above 0."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


def sigmoid_derivative(x: Array) -> Array:
    """The slope of the sigmoid, σ(1 − σ), at most 1/4."""
    return sigmoid(x) * sigmoid(-x)


def tanh_derivative(x: Array) -> Array:
    """The slope of tanh, 1 − tanh², at most 1."""
    return 1 - np.tanh(x) ** 2


def relu(x: Array) -> Array:
    """The rectifier, max(0, x)."""
    return np.maximum(0.0, x)


def relu_derivative(x: Array) -> Array:
    """The slope of the rectifier: 1 above 0, 0 below, and 0 at 0, as PyTorch's ``relu`` has it."""
    return np.where(x > 0, 1.0, 0.0)


def gelu(x: Array) -> Array:
    """The Gaussian error linear unit: x times the share of a standard normal below x."""
    return x * _normal_share(x)


def gelu_derivative(x: Array) -> Array:
    """The slope of :func:`gelu`."""
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return _normal_share(x) + x * density


def _normal_share(x: Array) -> Array:
    """The share of a standard normal distribution below x."""
    return (1 + np.asarray(erf(x / math.sqrt(2)))) / 2


def silu(x: Array) -> Array:
    """The sigmoid linear unit, x · σ(x), also called Swish."""
    return x * sigmoid(x)


def silu_derivative(x: Array) -> Array:
    """The slope of :func:`silu`."""
    return sigmoid(x) * (1 + x * sigmoid(-x))


def swiglu(x: Array, gate_weights: Array, value_weights: Array) -> Array:
    """A gated layer: one linear map, multiplied by SiLU of another.

    Args:
        x: ``(batch, inputs)``.
        gate_weights: ``(inputs, outputs)``.
        value_weights: ``(inputs, outputs)``.

    Returns:
        ``(batch, outputs)``.
    """
    return silu(x @ gate_weights) * (x @ value_weights)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(np.tanh, tanh_derivative),
    "ReLU": Activation(relu, relu_derivative),
    "GELU": Activation(gelu, gelu_derivative),
    "SiLU": Activation(silu, silu_derivative),
}
