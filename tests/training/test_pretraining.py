"""A pretrained start against a random one."""

import torch

from companion.training.loop import digit_splits
from companion.training.pretraining import (
    EARLIER_TASKS,
    only_digits,
    pretraining_scores,
    relabelled,
)

SPLITS = digit_splits()


def test_few_of_each_digit_are_kept_and_nothing_else_changes() -> None:
    few = only_digits(SPLITS, 4)
    assert torch.bincount(few.train[1]).tolist() == [4] * 10
    first = int(torch.nonzero(SPLITS.train[1] == 5)[0])
    assert any(torch.equal(row, SPLITS.train[0][first]) for row in few.train[0])
    assert few.test is SPLITS.test


def test_labels_are_given_anew_and_digits_left_out() -> None:
    old = SPLITS.test[1]
    parity = relabelled(SPLITS, EARLIER_TASKS["even or odd"])
    assert torch.equal(parity.test[1], old % 2)
    assert torch.equal(parity.test[0], SPLITS.test[0])
    low = relabelled(SPLITS, EARLIER_TASKS["the digits 0 to 4"])
    assert torch.equal(low.test[1], old[old < 5])
    assert torch.equal(low.test[0], SPLITS.test[0][old < 5])
    assert torch.equal(relabelled(SPLITS, EARLIER_TASKS["which of five pairs"]).test[1], old % 5)


def test_a_near_task_helps_more_than_a_far_one() -> None:
    means = pretraining_scores(seeds=2).mean()
    assert list(means.index) == ["at random", *EARLIER_TASKS]
    assert means["which of five pairs"] > means["at random"] + 0.03
    assert means["which of five pairs"] > means["even or odd"] + 0.03
    assert means["at random"] > 0.5
