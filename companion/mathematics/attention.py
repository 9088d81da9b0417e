"""The article's gate, and attention as transformers have it, forward and backward.

Explained in :doc:`/mathematics/attention`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.errors import DataError
from companion.mathematics.activations import sigmoid
from companion.mathematics.losses import softmax

__all__ = [
    "MultiHeadWeights",
    "attend",
    "attend_backward",
    "attention_weights",
    "causal_mask",
    "gate",
    "multi_head",
    "multi_head_backward",
    "sigmoid_attention",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def gate(x: Array, weights: Array) -> Array:
    """The article's formula: the sigmoid of the product of each token with one vector.

    Args:
        x: ``(..., features)``.
        weights: ``(features,)``.

    Returns:
        ``(...)`` a number between 0 and 1 for each token.
    """
    return sigmoid(np.asarray(x @ weights))


def causal_mask(time: int) -> Mask:
    """Which key each query may see: itself and what stands before it.

    Args:
        time: The number of tokens.

    Returns:
        ``(time, time)``; row t is True up to column t.
    """
    return np.tri(time, dtype=bool)


def attention_weights(query: Array, key: Array, mask: Mask | None = None) -> Array:
    """How much each query looks at each key.

    Args:
        query: ``(..., queries, features)``.
        key: ``(..., keys, features)``.
        mask: Broadcasts to ``(..., queries, keys)``; True where a query may look.

    Returns:
        ``(..., queries, keys)``, each row with the sum 1.

    Raises:
        DataError: If a query may look nowhere.
    """
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        if not np.broadcast_to(mask, scores.shape).any(axis=-1).all():
            raise DataError("a row of the mask is all False; let each query see at least one key")
        scores = np.where(mask, scores, -np.inf)
    return softmax(scores)


def attend(query: Array, key: Array, value: Array, mask: Mask | None = None) -> Array:
    """Scaled dot-product attention: the mean of the values, weighted for each query.

    Args:
        query: ``(..., queries, features)``.
        key: ``(..., keys, features)``.
        value: ``(..., keys, values)``.
        mask: Broadcasts to ``(..., queries, keys)``; True where a query may look.

    Returns:
        ``(..., queries, values)``.
    """
    return attention_weights(query, key, mask) @ value


def attend_backward(
    query: Array, key: Array, value: Array, output_gradient: Array, mask: Mask | None = None
) -> tuple[Array, Array, Array]:
    """The gradients of :func:`attend`.

    Args:
        query: ``(..., queries, features)``.
        key: ``(..., keys, features)``.
        value: ``(..., keys, values)``.
        output_gradient: ``(..., queries, values)`` the gradient of a loss with respect to the
            output.
        mask: As it was.

    Returns:
        The gradients with respect to query, key and value, each in its shape.
    """
    weights = attention_weights(query, key, mask)
    d_weights = output_gradient @ np.swapaxes(value, -1, -2)
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))
    d_scores = d_scores / math.sqrt(query.shape[-1])
    d_value = np.swapaxes(weights, -1, -2) @ output_gradient
    return d_scores @ key, np.swapaxes(d_scores, -1, -2) @ query, d_value


def sigmoid_attention(query: Array, key: Array, value: Array, bias: float | None = None) -> Array:
    """Attention with a sigmoid for each pair, and no competition between the keys.

    Args:
        query: ``(..., queries, features)``.
        key: ``(..., keys, features)``.
        value: ``(..., keys, values)``.
        bias: Is added to each score; −log(keys) if None, so that the weights start near 1/keys.

    Returns:
        ``(..., queries, values)``.
    """
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    return sigmoid(scores + (-math.log(key.shape[-2]) if bias is None else bias)) @ value


@dataclass(frozen=True)
class MultiHeadWeights:
    """The weights of self-attention with several heads, in the layout of PyTorch.

    Attributes:
        in_weights: ``(3 · width, width)``; query, key and value, one under the other.
        in_bias: ``(3 · width,)``.
        out_weights: ``(width, width)``.
        out_bias: ``(width,)``.
    """

    in_weights: Array
    in_bias: Array
    out_weights: Array
    out_bias: Array


def multi_head(weights: MultiHeadWeights, x: Array, heads: int, mask: Mask | None = None) -> Array:
    """Let each token look at the others, in several ways at once.

    Args:
        weights: The weights.
        x: ``(batch, time, width)``; the width is a multiple of the heads.
        heads: The number of heads.
        mask: Broadcasts to ``(batch, heads, time, time)``; True where a token may look.

    Returns:
        ``(batch, time, width)``.
    """
    query, key, value = _project(weights, x, heads)
    return _merge(attend(query, key, value, mask)) @ weights.out_weights.T + weights.out_bias


def multi_head_backward(
    weights: MultiHeadWeights,
    x: Array,
    heads: int,
    output_gradient: Array,
    mask: Mask | None = None,
) -> tuple[MultiHeadWeights, Array]:
    """The gradients of :func:`multi_head`.

    Args:
        weights: The weights.
        x: ``(batch, time, width)``.
        heads: The number of heads.
        output_gradient: ``(batch, time, width)``.
        mask: As it was.

    Returns:
        The gradients of the weights, and ``(batch, time, width)`` that of ``x``.
    """
    query, key, value = _project(weights, x, heads)
    merged = _merge(attend(query, key, value, mask))
    d_attended = _split(output_gradient @ weights.out_weights, heads)
    parts = attend_backward(query, key, value, d_attended, mask)
    d_projected = np.concatenate([_merge(part) for part in parts], axis=-1)
    gradients = MultiHeadWeights(
        np.einsum("bto,bti->oi", d_projected, x),
        d_projected.sum(axis=(0, 1)),
        np.einsum("bto,bti->oi", output_gradient, merged),
        output_gradient.sum(axis=(0, 1)),
    )
    return gradients, d_projected @ weights.in_weights


def _project(weights: MultiHeadWeights, x: Array, heads: int) -> list[Array]:
    """Make queries, keys and values, each ``(batch, heads, time, width / heads)``."""
    if x.shape[-1] % heads:
        raise DataError(f"the width {x.shape[-1]} is no multiple of {heads} heads; change one")
    projected = x @ weights.in_weights.T + weights.in_bias  # (batch, time, 3 · width)
    return [_split(part, heads) for part in np.split(projected, 3, axis=-1)]


def _split(x: Array, heads: int) -> Array:
    """Cut the width into heads: ``(batch, heads, time, width / heads)``."""
    return np.swapaxes(x.reshape(*x.shape[:2], heads, -1), 1, 2)


def _merge(x: Array) -> Array:
    """Lay the heads side by side: ``(batch, time, width)``."""
    swapped = np.swapaxes(x, 1, 2)
    return swapped.reshape(*swapped.shape[:2], -1)
