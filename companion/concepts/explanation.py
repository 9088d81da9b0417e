"""Other attention weights that give the same output.

Explained in :doc:`/concepts`, "Attention weights are not explanations".
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from companion.errors import DataError

__all__ = ["other_weights", "total_variation"]


def other_weights(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find attention weights that give the same output and avoid the favourite as far as they can.

    The output is ``weights @ values``. Where there are more positions than numbers in a value, many
    weights give the same output. Among them, a linear programme finds those with the least weight
    on the position that has the most now.

    Args:
        weights: ``(keys,)`` the weights of one query; not negative, with the sum 1.
        values: ``(keys, size)`` the values that they average.

    Returns:
        ``(keys,)`` weights, not negative, with the sum 1, and the same output.

    Raises:
        DataError: If the shapes do not fit or the weights are no distribution.
    """
    if weights.ndim != 1 or values.shape[:1] != weights.shape:
        raise DataError(
            f"weights of shape {weights.shape} and values of {values.shape}: "
            "give (keys,) and (keys, size)"
        )
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-6:
        raise DataError("the weights must not be negative and must add up to 1")
    cost = np.zeros_like(weights)
    cost[weights.argmax()] = 1
    conditions = np.vstack([values.T, np.ones_like(weights)])
    found = linprog(cost, A_eq=conditions, b_eq=conditions @ weights, bounds=(0, 1), method="highs")
    if found.x is None:  # the weights themselves fit, so this is a matter of rounding
        return weights
    others: NDArray[np.float64] = found.x
    return others


def total_variation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Measure how different two distributions are: 0 if equal, 1 if they share nothing."""
    return float(np.abs(first - second).sum() / 2)
