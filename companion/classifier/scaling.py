"""What several processes can gain: the time of a step as computing, averaging and waiting.

Explained in :doc:`/project/scale`, "A model of the cost".
"""

from collections.abc import Sequence

import pandas as pd

__all__ = ["all_reduce_seconds", "lstm_operations", "speedups", "step_seconds"]


def all_reduce_seconds(gradient_bytes: float, processes: int, bandwidth: float) -> float:
    """Give the time to average a gradient over a ring of processes.

    Each process sends the gradient in ``processes`` pieces, once around to add them up and once to
    hand the sums out, and leaves out its own piece both times.

    Args:
        gradient_bytes: The bytes of the gradient.
        processes: How many, from 1.
        bandwidth: Bytes a second that a process can send.

    Returns:
        Seconds.

    >>> all_reduce_seconds(10e6, processes=2, bandwidth=1e9)
    0.01
    """
    return 2 * (processes - 1) / processes * gradient_bytes / bandwidth


def step_seconds(
    compute_seconds: float, communication_seconds: float, straggler_seconds: float = 0.0
) -> float:
    """Add up a step: computing a share, waiting for the slowest, averaging; nothing overlaps."""
    return compute_seconds + straggler_seconds + communication_seconds


def speedups(
    compute_seconds: float, gradient_bytes: float, bandwidth: float, processes: Sequence[int]
) -> "pd.Series[float]":
    """Say how many times as fast a step is with more processes, for the same global batch.

    Args:
        compute_seconds: A step of one process over the whole batch.
        gradient_bytes: The bytes of the gradient.
        bandwidth: Bytes a second that a process can send.
        processes: How many, each from 1.

    Returns:
        The speed-up by the number of processes, without stragglers.
    """
    seconds = [
        step_seconds(compute_seconds / count, all_reduce_seconds(gradient_bytes, count, bandwidth))
        for count in processes
    ]
    return pd.Series([compute_seconds / each for each in seconds], index=list(processes))


def lstm_operations(input_size: int, hidden_size: int, layers: int = 1) -> int:
    """Count the floating-point operations of an LSTM for one token, forward and backward.

    A layer multiplies a vector of ``input + hidden`` numbers by four matrices, two operations a
    weight; the way back costs twice as much again.

    >>> lstm_operations(100, 256, layers=2)
    5332992
    """
    sizes = [input_size] + [hidden_size] * (layers - 1)
    return sum(3 * 2 * 4 * hidden_size * (size + hidden_size) for size in sizes)
