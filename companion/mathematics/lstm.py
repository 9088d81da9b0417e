"""An LSTM layer from scratch, forward and backward, and how far back a gradient reaches.

Explained in :doc:`/mathematics/lstm`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from companion.mathematics.activations import sigmoid

__all__ = [
    "LSTMWeights",
    "Step",
    "backward",
    "cell",
    "forward",
    "gradient_by_lag",
    "latch",
    "parameter_count",
    "set_forget_bias",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LSTMWeights:
    """The weights of a layer, in PyTorch's order of the gates: input, forget, candidate, output.

    Attributes:
        input_weights: ``(4 · hidden, input)``; PyTorch's ``weight_ih``.
        state_weights: ``(4 · hidden, hidden)``; ``weight_hh``.
        input_bias: ``(4 · hidden,)``; ``bias_ih``.
        state_bias: ``(4 · hidden,)``; ``bias_hh``. Two biases do the work of one; PyTorch has both.
    """

    input_weights: Array
    state_weights: Array
    input_bias: Array
    state_bias: Array

    @classmethod
    def from_torch(cls, module: nn.LSTM | nn.LSTMCell) -> "LSTMWeights":
        """Copy the weights of PyTorch's cell, or of the first layer of its LSTM."""
        suffix = "_l0" if isinstance(module, nn.LSTM) else ""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        values = [module.get_parameter(name + suffix).detach() for name in names]
        return cls(*(value.double().numpy().copy() for value in values))


@dataclass(frozen=True)
class Step:
    """What a cell computed at one step; each array is ``(batch, hidden)``, but ``x``.

    Attributes:
        x: ``(batch, input)`` what came in.
        previous_hidden: The state that the cell had handed on before.
        previous_memory: Its memory before.
        input_gate: How much of the candidate is written.
        forget_gate: How much of the memory is kept.
        candidate: What is offered to the memory.
        output_gate: How much of the memory is shown.
        memory: The memory now.
        hidden: What is handed on.
    """

    x: Array
    previous_hidden: Array
    previous_memory: Array
    input_gate: Array
    forget_gate: Array
    candidate: Array
    output_gate: Array
    memory: Array
    hidden: Array


def cell(weights: LSTMWeights, x: Array, hidden: Array, memory: Array) -> Step:
    """Take one step.

    Args:
        weights: The weights of the layer.
        x: ``(batch, input)``.
        hidden: ``(batch, hidden)``.
        memory: ``(batch, hidden)``.
    """
    sums = x @ weights.input_weights.T + weights.input_bias
    sums = sums + hidden @ weights.state_weights.T + weights.state_bias  # (batch, 4 · hidden)
    i, f, g, o = np.split(sums, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new_memory = f * memory + i * g
    return Step(x, hidden, memory, i, f, g, o, new_memory, o * np.tanh(new_memory))


def forward(weights: LSTMWeights, inputs: Array) -> list[Step]:
    """Read sequences, from a state of zeros.

    Args:
        weights: The weights of the layer.
        inputs: ``(batch, time, input)``.

    Returns:
        One :class:`Step` for each time.
    """
    hidden = memory = np.zeros((len(inputs), weights.state_weights.shape[1]))
    steps = []
    for x in np.moveaxis(inputs, 1, 0):
        step = cell(weights, x, hidden, memory)
        hidden, memory = step.hidden, step.memory
        steps.append(step)
    return steps


def backward(
    weights: LSTMWeights, steps: list[Step], hidden_gradients: Array
) -> tuple[LSTMWeights, Array]:
    """Go back through time.

    Args:
        weights: The weights of the layer.
        steps: What :func:`forward` gave.
        hidden_gradients: ``(batch, time, hidden)`` the gradient of a loss with respect to the state
            at each step, as far as the loss reads it directly.

    Returns:
        The gradients of the weights, and ``(batch, time, input)`` those of the inputs.
    """
    input_weights = np.zeros_like(weights.input_weights)
    state_weights = np.zeros_like(weights.state_weights)
    bias = np.zeros_like(weights.input_bias)
    inputs = []
    d_hidden = d_memory = np.zeros_like(steps[0].hidden)
    for time in reversed(range(len(steps))):
        step = steps[time]
        d_sums, d_memory = _backward_cell(step, d_hidden + hidden_gradients[:, time], d_memory)
        input_weights += d_sums.T @ step.x
        state_weights += d_sums.T @ step.previous_hidden
        bias += d_sums.sum(axis=0)
        d_hidden = d_sums @ weights.state_weights
        inputs.append(d_sums @ weights.input_weights)
    gradients = LSTMWeights(input_weights, state_weights, bias, bias.copy())
    return gradients, np.stack(inputs[::-1], axis=1)


def _backward_cell(step: Step, d_hidden: Array, d_memory: Array) -> tuple[Array, Array]:
    """Go back through one step: gradients of the sums before the gates, and of the old memory."""
    shown = np.tanh(step.memory)
    i, f, g, o = step.input_gate, step.forget_gate, step.candidate, step.output_gate
    d_memory = d_memory + d_hidden * o * (1 - shown**2)
    d_sums = [
        d_memory * g * i * (1 - i),
        d_memory * step.previous_memory * f * (1 - f),
        d_memory * i * (1 - g**2),
        d_hidden * shown * o * (1 - o),
    ]
    return np.concatenate(d_sums, axis=1), d_memory * f


def parameter_count(input_size: int, hidden_size: int) -> int:
    """The numbers that training changes in one layer and direction, 4(ih + h² + 2h)."""
    return 4 * (input_size * hidden_size + hidden_size**2 + 2 * hidden_size)


def latch(sharpness: float = 20.0) -> LSTMWeights:
    """An LSTM of one unit, set by hand: it stores its first input whenever the second is 1.

    Args:
        sharpness: How abruptly the gates open and close.
    """
    s = sharpness
    return LSTMWeights(
        input_weights=np.array([[0.0, s], [0.0, -s], [1.0, 0.0], [0.0, 0.0]]),
        state_weights=np.zeros((4, 1)),
        input_bias=np.array([-s / 2, s / 2, 0.0, s / 2]),
        state_bias=np.zeros(4),
    )


def set_forget_bias(module: nn.LSTM, value: float) -> None:
    """Set the forget gate's bias of every layer and direction, in place."""
    hidden = module.hidden_size
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.startswith("bias"):
                first = name.startswith("bias_ih")
                parameter[hidden : 2 * hidden] = value if first else 0.0


def gradient_by_lag(module: nn.LSTM | nn.RNN, inputs: torch.Tensor) -> Array:
    """Measure how much the last state moves with each input before it.

    Args:
        module: An LSTM or RNN of one layer, with ``batch_first``.
        inputs: ``(time, input)``.

    Returns:
        ``(time,)`` the Frobenius norms of the Jacobians of the last state with respect to the
        input so many steps before the end.
    """
    inputs = inputs.detach().clone().requires_grad_()
    last = module(inputs[None])[0][0, -1]  # (hidden,)
    rows = [torch.autograd.grad(value, inputs, retain_graph=True)[0] for value in last]
    norms = torch.stack(rows).square().sum(dim=(0, 2)).sqrt()  # (time,)
    return np.asarray(norms.flip(0).double().numpy())
