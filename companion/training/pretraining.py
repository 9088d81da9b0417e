"""What weights that were trained before are worth as a start.

Explained in :doc:`/training/forward`, "A pretrained start is fine-tuning".
"""

import copy

import pandas as pd
import torch
from torch import Tensor, nn

from companion.training.loop import DigitSplits, Part, digit_classifier, digit_splits, fit, score

__all__ = ["EARLIER_TASKS", "only_digits", "pretraining_scores", "relabelled"]

# What a network may have learned before, as the label that each of the digits 0 to 9 had then.
# Digits without a label were not shown.
EARLIER_TASKS: dict[str, list[int | None]] = {
    "even or odd": [0, 1] * 5,
    "the digits 0 to 4": [0, 1, 2, 3, 4, None, None, None, None, None],
    "which of five pairs": [0, 1, 2, 3, 4] * 2,
}


def relabelled(splits: DigitSplits, labels: list[int | None]) -> DigitSplits:
    """Give each of the digits 0 to 9 another label, and leave out those whose label is None."""

    def relabel(part: Part) -> Part:
        new = torch.tensor([-1 if label is None else label for label in labels])[part[1]]
        return part[0][new >= 0], new[new >= 0]

    return DigitSplits(relabel(splits.train), relabel(splits.validation), relabel(splits.test))


def only_digits(splits: DigitSplits, each: int) -> DigitSplits:
    """Keep so many training examples of each digit, the first ones."""
    inputs, labels = splits.train
    rows: Tensor = torch.cat([torch.nonzero(labels == digit)[:each, 0] for digit in range(10)])
    return DigitSplits((inputs[rows], labels[rows]), splits.validation, splits.test)


def pretraining_scores(*, each: int = 2, seeds: int = 5) -> pd.DataFrame:
    """Learn the ten digits from few examples, from a random start and from pretrained ones.

    Each pretrained start has learned an earlier task from all training examples, itself from the
    random start. Its last layer is drawn anew.

    Args:
        each: The training examples of each digit.
        seeds: How many draws of the examples and the weights.

    Returns:
        The test accuracy: a row a seed, a column for ``at random`` and each of
        :data:`EARLIER_TASKS`.
    """
    rows = []
    for seed in range(seeds):
        splits = digit_splits(seed=seed)
        few = only_digits(splits, each)
        fresh = digit_classifier(seed=seed)
        starts = {"at random": copy.deepcopy(fresh)}
        for name, labels in EARLIER_TASKS.items():
            starts[name] = copy.deepcopy(fresh)
            _train(starts[name], relabelled(splits, labels), 20, 32, seed)
            starts[name][2].load_state_dict(fresh[2].state_dict())
        for model in starts.values():
            _train(model, few, 30, 8, seed)
        rows.append({name: score(model, few.test)[1] for name, model in starts.items()})
    return pd.DataFrame(rows, index=pd.RangeIndex(seeds, name="seed"))


def _train(model: nn.Module, splits: DigitSplits, epochs: int, batch_size: int, seed: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    fit(model, splits, optimizer, epochs=epochs, batch_size=batch_size, seed=seed)
