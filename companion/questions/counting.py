"""Counting: what autograd keeps, what an optimiser holds, what a step computes.

Explained in :doc:`/questions/compute`, "Memory". The formulas of
:mod:`companion.questions.compute` are held against these counts.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["MixedPrecisionAdam", "TransformerBlock", "saved_bytes", "step_flop"]


class TransformerBlock(nn.Module):
    """The block that Korthikanti et al. (2023) count: attention and network, with dropout.

    Args:
        width: The length of a token's vector.
        heads: The attentions.
        dropout: The share of numbers that is set to zero in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries, self.keys = nn.Linear(width, width), nn.Linear(width, width)
        self.values, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Give the new ``(batch, time, width)`` states."""
        states = states + self._drop(self.output(self._attend(self.first_norm(states))))
        hidden = functional.gelu(self.up(self.second_norm(states)))
        changed: Tensor = states + self._drop(self.down(hidden))
        return changed

    def _attend(self, states: Tensor) -> Tensor:
        queries, keys, values = (
            layer(states).unflatten(2, (self.heads, -1)).transpose(1, 2).contiguous()
            for layer in (self.queries, self.keys, self.values)
        )
        scores = queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
        weights = self._drop(torch.softmax(scores, dim=-1))
        joined: Tensor = (weights @ values).transpose(1, 2).flatten(2)
        return joined

    def _drop(self, values: Tensor) -> Tensor:
        # As a GPU does it, with a mask of one byte a number; functional.dropout on a CPU takes two.
        kept: Tensor = torch.native_dropout(values, self.dropout, self.training)[0]
        return kept


def saved_bytes(module: nn.Module, compute: Callable[[], Tensor]) -> int:
    """Count the bytes that autograd keeps for the backward pass, each memory once.

    Args:
        module: Its parameters are not counted: they are there anyway.
        compute: Runs the forward pass.

    Returns:
        Bytes.
    """
    known = {each.untyped_storage().data_ptr() for each in module.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(value: Tensor) -> Tensor:
        if value.untyped_storage().data_ptr() not in known:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        result = compute()
    size = sum(value.untyped_storage().nbytes() for value in kept.values())
    del result
    return size


class MixedPrecisionAdam:
    """Adam for a model in 16 bits: it keeps the weights in single precision and rounds them.

    Args:
        model: The model, in bfloat16.
        learning_rate: The size of a step.
    """

    def __init__(self, model: nn.Module, learning_rate: float = 1e-3) -> None:
        self.small = list(model.parameters())
        self.large = [each.detach().float().requires_grad_() for each in self.small]
        self.adam = torch.optim.Adam(self.large, lr=learning_rate)

    def step(self) -> None:
        """Make a step from the gradients of the model, and write the rounded weights into it."""
        for small, large in zip(self.small, self.large, strict=True):
            large.grad = None if small.grad is None else small.grad.float()
        self.adam.step()
        for small, large in zip(self.small, self.large, strict=True):
            large.grad = None
            small.data.copy_(large.data)

    def bytes_held(self) -> dict[str, int]:
        """Count the bytes between two steps: ``weights``, ``gradients``, ``optimizer``."""
        gradients = [each.grad for each in self.small if each.grad is not None]
        moments = [
            state[name] for state in self.adam.state.values() for name in ("exp_avg", "exp_avg_sq")
        ]
        return {
            "weights": sum(each.nbytes for each in self.small),
            "gradients": sum(each.nbytes for each in gradients),
            "optimizer": sum(each.nbytes for each in [*self.large, *moments]),
        }


def step_flop(forward: Callable[[], Tensor]) -> tuple[int, int]:
    """Count the operations of the matrix products in a forward and in its backward pass.

    Args:
        forward: Gives a scalar to derive.

    Returns:
        The operations forward and backward.
    """
    with FlopCounterMode(display=False) as counter:
        loss = forward()
        read = counter.get_total_flops()
        loss.backward()  # type: ignore[no-untyped-call]
    return read, counter.get_total_flops() - read
