"""What several processes can gain, against a simulated ring and a counted network."""

import dataclasses

import numpy as np
import pytest
from torch import nn

from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.scaling import (
    all_reduce_seconds,
    lstm_operations,
    speedups,
    step_seconds,
)
from companion.classifier.speed import operations_per_token


def bytes_sent_around_a_ring(processes: int, gradient: np.ndarray) -> float:
    """Average gradients piece by piece, and count what one process sends."""
    parts = [np.array_split(gradient * (rank + 1), processes) for rank in range(processes)]
    sent = 0
    for turn in range(2 * (processes - 1)):
        moving = [parts[rank][(rank - turn) % processes].copy() for rank in range(processes)]
        sent += moving[0].nbytes
        for rank in range(processes):
            target = parts[(rank + 1) % processes]
            place = (rank - turn) % processes
            target[place] = target[place] + moving[rank] if turn < processes - 1 else moving[rank]
    whole = gradient * sum(range(1, processes + 1))
    for each in parts:
        np.testing.assert_allclose(np.concatenate(each), whole)
    return sent


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_a_ring_sends_each_piece_twice_but_for_its_own(processes: int) -> None:
    gradient = np.arange(240.0)
    sent = bytes_sent_around_a_ring(processes, gradient)
    assert all_reduce_seconds(gradient.nbytes, processes, bandwidth=50.0) == pytest.approx(
        sent / 50
    )


def test_a_step_is_the_sum_of_its_parts() -> None:
    assert step_seconds(0.5, 0.25) == 0.75
    assert step_seconds(0.5, 0.25, 0.125) == 0.875


def test_the_gain_ends_where_the_averaging_takes_as_long() -> None:
    gains = speedups(1.0, gradient_bytes=1e9, bandwidth=1e10, processes=[1, 2, 4])
    assert gains.index.tolist() == [1, 2, 4]
    assert gains.tolist() == pytest.approx([1.0, 1 / (0.5 + 0.1), 1 / (0.25 + 0.15)])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_operations_are_six_for_each_weight(layers: int) -> None:
    """Two forwards, four backwards; biases are added, not multiplied."""
    lstm = nn.LSTM(100, 32, layers)
    weights = sum(each.numel() for name, each in lstm.named_parameters() if "weight" in name)
    assert lstm_operations(100, 32, layers) == 6 * weights


def test_both_counts_of_operations_agree() -> None:
    article = CONFIGURATIONS["article"]
    assert lstm_operations(100, 256, 2) == operations_per_token(article)
    both_ways = dataclasses.replace(CONFIGURATIONS["recommended"], hidden_size=64)
    assert operations_per_token(both_ways) == 2 * lstm_operations(100, 64)
