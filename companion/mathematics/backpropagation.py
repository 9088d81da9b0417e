"""Back-propagation through a network of two layers, by hand, and through a deep one.

Explained in :doc:`/mathematics/backpropagation`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from companion.mathematics.activations import ACTIVATIONS, tanh_derivative
from companion.mathematics.losses import Labels, cross_entropy, cross_entropy_gradient

__all__ = [
    "backward",
    "forward",
    "gradients_through_depth",
    "initial_parameters",
    "loss",
    "numerical_gradient",
]

Array = NDArray[np.float64]
Parameters = dict[str, Array]


def initial_parameters(
    inputs: int, hidden: int, classes: int, generator: np.random.Generator
) -> Parameters:
    """Draw the weights of two layers from a normal distribution; the biases are 0.

    Args:
        inputs: The numbers that come in.
        hidden: The numbers between the layers.
        classes: The numbers that go out.
        generator: Draws the numbers.

    Returns:
        ``W1 (inputs, hidden)``, ``b1 (hidden,)``, ``W2 (hidden, classes)``, ``b2 (classes,)``.
    """
    return {
        "W1": generator.normal(0, inputs**-0.5, (inputs, hidden)),
        "b1": np.zeros(hidden),
        "W2": generator.normal(0, hidden**-0.5, (hidden, classes)),
        "b2": np.zeros(classes),
    }


def forward(parameters: Parameters, x: Array) -> dict[str, Array]:
    """Compute the logits, and keep what the way back needs.

    Args:
        parameters: As :func:`initial_parameters` gives them.
        x: ``(batch, inputs)``.

    Returns:
        ``x``, ``a (batch, hidden)`` before tanh, ``h (batch, hidden)`` after it, and ``z (batch,
        classes)``, the logits.
    """
    a = x @ parameters["W1"] + parameters["b1"]
    h = np.tanh(a)
    return {"x": x, "a": a, "h": h, "z": h @ parameters["W2"] + parameters["b2"]}


def loss(parameters: Parameters, x: Array, labels: Labels) -> float:
    """The mean cross-entropy of the network."""
    return cross_entropy(forward(parameters, x)["z"], labels)


def backward(parameters: Parameters, kept: dict[str, Array], labels: Labels) -> Parameters:
    """Compute the gradient of the mean cross-entropy, from the last layer to the first.

    Args:
        parameters: As :func:`initial_parameters` gives them.
        kept: What :func:`forward` gave.
        labels: ``(batch,)`` the right classes, counted from 0.

    Returns:
        A gradient for each parameter, in its shape.
    """
    dz = cross_entropy_gradient(kept["z"], labels)  # (batch, classes)
    dh = dz @ parameters["W2"].T  # (batch, hidden)
    da = dh * tanh_derivative(kept["a"])  # (batch, hidden)
    return {
        "W1": kept["x"].T @ da,
        "b1": da.sum(axis=0),
        "W2": kept["h"].T @ dz,
        "b2": dz.sum(axis=0),
    }


def numerical_gradient(
    function: Callable[[Array], float], point: Array, step: float = 1e-6
) -> Array:
    """Measure a gradient by central differences: two values of the function for each number.

    Args:
        function: Gives a number at a point.
        point: Where to measure; it is left as it was.
        step: How far to go to each side.

    Returns:
        The gradient, in the shape of the point.
    """
    point = point.copy()
    gradient = np.zeros_like(point)
    for index in np.ndindex(*point.shape):
        middle = point[index]
        point[index] = middle + step
        above = function(point)
        point[index] = middle - step
        gradient[index] = (above - function(point)) / (2 * step)
        point[index] = middle
    return gradient


def gradients_through_depth(
    activation: str, depth: int, width: int, gain: float, generator: np.random.Generator
) -> Array:
    """Measure how long a gradient still is after going back through layer after layer.

    Every layer is a random square matrix, followed by the activation. A gradient of length 1
    starts at the output.

    Args:
        activation: A key of ``companion.mathematics.activations.ACTIVATIONS``.
        depth: The number of layers.
        width: The numbers in each layer.
        gain: The standard deviation of the weights, times the square root of the width.
        generator: Draws the numbers.

    Returns:
        ``(depth + 1,)`` the lengths, from the output back to the input.
    """
    bend = ACTIVATIONS[activation]
    matrices = generator.normal(0, gain * width**-0.5, (depth, width, width))
    hidden, slopes = generator.normal(size=width), []
    for matrix in matrices:
        slopes.append(bend.derivative(matrix @ hidden))
        hidden = bend.function(matrix @ hidden)
    gradient = generator.normal(size=width)
    gradient /= np.linalg.norm(gradient)
    lengths = [1.0]
    for matrix, slope in zip(matrices[::-1], slopes[::-1], strict=True):
        gradient = matrix.T @ (slope * gradient)
        lengths.append(float(np.linalg.norm(gradient)))
    return np.array(lengths)
