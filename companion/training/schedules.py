"""When the learning rate changes, and when training ends.

Explained in :doc:`/training/evaluate`.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from companion.errors import DataError

__all__ = ["SCHEDULES", "EarlyStopping", "constant", "linear_decay", "warmup_cosine"]


def constant(progress: float) -> float:
    """Keep the learning rate."""
    return 1.0


def linear_decay(progress: float) -> float:
    """Fall in a straight line, from 1 at the start to 0 at the end."""
    return 1.0 - progress


def warmup_cosine(progress: float, warmup: float = 0.1) -> float:
    """Rise in a straight line for the first tenth, then fall along half a cosine to 0.

    Args:
        progress: The share of the steps that are done, from 0 to 1.
        warmup: The share of the steps that rise.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


SCHEDULES = {
    "constant": constant,
    "linear decay": linear_decay,
    "warm-up and cosine": warmup_cosine,
}


@dataclass
class EarlyStopping:
    """End when the validation loss has not fallen for some epochs, and go back to the best one.

    Attributes:
        patience: How many epochs in a row may pass without a lower loss.
        best: The lowest loss so far.
        best_epoch: Its epoch, from 1.
    """

    patience: int
    best: float = field(default=math.inf, init=False)
    best_epoch: int = field(default=0, init=False)
    _epoch: int = field(default=0, init=False)
    _weights: dict[str, Any] | None = field(default=None, init=False, repr=False)

    def update(self, loss: float, model: nn.Module) -> bool:
        """Note an epoch's loss, copy the weights if it is the lowest, and say whether to end."""
        self._epoch += 1
        if loss < self.best:
            self.best, self.best_epoch = loss, self._epoch
            self._weights = copy.deepcopy(model.state_dict())
        return self._epoch - self.best_epoch >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch.

        Raises:
            DataError: If no epoch had a loss that is a number.
        """
        if self._weights is None:
            raise DataError("no epoch had a finite validation loss; lower the learning rate")
        model.load_state_dict(self._weights)
