"""A loop of training on small real data: scikit-learn's handwritten digits.

Explained in :doc:`/training/evaluate`. Everything is float64 and fits in a cache, so that hundreds
of runs take seconds, and processors agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from companion.training.schedules import EarlyStopping

__all__ = ["DigitSplits", "digit_classifier", "digit_splits", "fit", "score"]

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class DigitSplits:
    """Three parts, each of pixels from 0 to 1, ``(examples, 64)``, and labels, ``(examples,)``."""

    train: Part
    validation: Part
    test: Part


def digit_splits(examples: int | None = None, *, seed: int = 0) -> DigitSplits:
    """Split the 1,797 digits: 400 to validate, 400 to test, and of the rest so many to train.

    Args:
        examples: The training examples, with every class in its share; all 997 if None.
        seed: Fixes the draw.
    """
    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels / 16

    def cut(rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        kept, taken = train_test_split(
            rows, test_size=size, stratify=labels[rows], random_state=seed
        )
        return kept, taken

    rest, test = cut(np.arange(len(labels)), 400)
    train, validation = cut(rest, 400)
    if examples is not None:
        train = cut(train, examples)[1]
    parts = [
        (torch.tensor(pixels[rows]), torch.tensor(labels[rows]))
        for rows in (train, validation, test)
    ]
    return DigitSplits(*parts)


def digit_classifier(hidden: int = 64, *, seed: int = 0) -> nn.Sequential:
    """Build a network with one hidden layer of ReLU units, in float64."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(64, hidden, dtype=torch.float64),
        nn.ReLU(),
        nn.Linear(hidden, 10, dtype=torch.float64),
    )


def score(model: nn.Module, part: Part) -> tuple[float, float]:
    """Give the mean cross-entropy and the accuracy on a part."""
    inputs, labels = part
    with torch.inference_mode():
        logits = model(inputs)
    loss = nn.functional.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def fit(
    model: nn.Module,
    splits: DigitSplits,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int = 32,
    schedule: Callable[[float], float] | None = None,
    stopping: EarlyStopping | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Train, and score the validation part after each epoch.

    Args:
        model: Changed in place; with ``stopping``, it ends with its best weights.
        splits: The data; the test part is not looked at.
        optimizer: Of the model's parameters.
        epochs: The most passes over the training part.
        batch_size: The examples of a step; the last batch of an epoch may be smaller.
        schedule: The factor of the learning rate by progress, from 0 at the first step to 1 after
            the last.
        stopping: Decides on the validation loss when to end.
        seed: Fixes the order of the examples.

    Returns:
        A row an epoch, from 1: ``training_loss`` (the mean over the epoch's batches, while the
        weights move), ``validation_loss``, ``validation_accuracy``.
    """
    inputs, labels = splits.train
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(labels) // batch_size)
    highest = [group["lr"] for group in optimizer.param_groups]
    taken, rows = 0, []
    for _ in range(epochs):
        losses = []
        for batch in torch.randperm(len(labels), generator=generator).split(batch_size):  # type: ignore[no-untyped-call]
            if schedule is not None:
                for group, rate in zip(optimizer.param_groups, highest, strict=True):
                    group["lr"] = rate * schedule(taken / steps)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
            taken += 1
        validation_loss, accuracy = score(model, splits.validation)
        rows.append((float(np.mean(losses)), validation_loss, accuracy))
        if stopping is not None and stopping.update(validation_loss, model):
            break
    if stopping is not None:
        stopping.restore(model)
    columns = ["training_loss", "validation_loss", "validation_accuracy"]
    return pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))
