"""The same small run again and again, with one choice changed: what the choice is worth.

Explained in :doc:`/training/update` and :doc:`/training/evaluate`. Every sweep trains on the digits
and gives a row a run.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import torch

from companion.training.initialisation import deep_network
from companion.training.loop import digit_classifier, digit_splits, fit, score
from companion.training.schedules import SCHEDULES, EarlyStopping

__all__ = [
    "OPTIMIZERS",
    "sweep_batch_sizes",
    "sweep_initialisation",
    "sweep_optimizers",
    "sweep_schedules",
    "sweep_stopping",
]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "gradient descent": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
}


def sweep_initialisation(
    schemes: Iterable[str], *, epochs: int = 5, seeds: int = 3
) -> pd.DataFrame:
    """Train a network of ten hidden layers by gradient descent from each start.

    Returns:
        The columns ``start``, ``seed``, ``accuracy`` (on the validation part).
    """
    splits, rows = digit_splits(), []
    for scheme in schemes:
        for seed in range(seeds):
            model = deep_network(scheme, seed=seed)
            optimizer = torch.optim.SGD(model.parameters(), 0.05)
            history = fit(model, splits, optimizer, epochs=epochs, seed=seed)
            rows.append((scheme, seed, history["validation_accuracy"].iloc[-1]))
    return pd.DataFrame(rows, columns=["start", "seed", "accuracy"])


def sweep_optimizers(
    learning_rates: Sequence[float] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    *,
    epochs: int = 10,
    seeds: int = 3,
) -> pd.DataFrame:
    """Train with each optimiser and each learning rate.

    Returns:
        The columns ``optimiser``, ``learning rate``, ``seed``, ``loss`` (on the validation part).
    """
    splits, rows = digit_splits(), []
    for name, make in OPTIMIZERS.items():
        for rate in learning_rates:
            for seed in range(seeds):
                model = digit_classifier(seed=seed)
                optimizer = make(model.parameters(), lr=rate)
                history = fit(model, splits, optimizer, epochs=epochs, seed=seed)
                rows.append((name, rate, seed, history["validation_loss"].iloc[-1]))
    return pd.DataFrame(rows, columns=["optimiser", "learning rate", "seed", "loss"])


def sweep_schedules(
    highest: Sequence[float] = (0.3, 1.0), *, epochs: int = 15, seeds: int = 4
) -> pd.DataFrame:
    """Train with each schedule and each highest learning rate, in batches of 16.

    Returns:
        The columns ``schedule``, ``highest rate``, ``seed``, ``loss`` (on the validation part).
    """
    splits, rows = digit_splits(), []
    for rate in highest:
        for name, schedule in SCHEDULES.items():
            for seed in range(seeds):
                model = digit_classifier(seed=seed)
                optimizer = torch.optim.SGD(model.parameters(), rate)
                history = fit(
                    model,
                    splits,
                    optimizer,
                    epochs=epochs,
                    batch_size=16,
                    schedule=schedule,
                    seed=seed,
                )
                rows.append((name, rate, seed, history["validation_loss"].iloc[-1]))
    return pd.DataFrame(rows, columns=["schedule", "highest rate", "seed", "loss"])


def sweep_batch_sizes(
    sizes: Sequence[int] = (8, 32, 128, 512),
    learning_rates: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
    *,
    epochs: int = 10,
    seeds: int = 3,
) -> pd.DataFrame:
    """Train for the same number of epochs with each batch size and each learning rate.

    Returns:
        The columns ``batch size``, ``learning rate``, ``seed``, ``loss`` (on the validation part).
    """
    splits, rows = digit_splits(), []
    for size in sizes:
        for rate in learning_rates:
            for seed in range(seeds):
                model = digit_classifier(seed=seed)
                optimizer = torch.optim.SGD(model.parameters(), rate)
                history = fit(model, splits, optimizer, epochs=epochs, batch_size=size, seed=seed)
                rows.append((size, rate, seed, history["validation_loss"].iloc[-1]))
    return pd.DataFrame(rows, columns=["batch size", "learning rate", "seed", "loss"])


def sweep_stopping(*, epochs: int = 120, patience: int = 10, seeds: int = 5) -> pd.DataFrame:
    """Train on 100 digits to the end, and again with early stopping; score both on the test part.

    Returns:
        A row a seed: ``epochs`` (trained with early stopping), ``best epoch``, and the test loss
        and accuracy of both: ``stopped loss``, ``last loss``, ``stopped accuracy``,
        ``last accuracy``.
    """
    rows = []
    for seed in range(seeds):
        splits, found = digit_splits(100, seed=seed), {}
        for name, stopping in {"last": None, "stopped": EarlyStopping(patience)}.items():
            model = digit_classifier(256, seed=seed)
            optimizer = torch.optim.Adam(model.parameters(), 0.003)
            history = fit(model, splits, optimizer, epochs=epochs, stopping=stopping, seed=seed)
            found[f"{name} loss"], found[f"{name} accuracy"] = score(model, splits.test)
            if stopping is not None:
                found["epochs"], found["best epoch"] = len(history), stopping.best_epoch
        rows.append(found)
    columns = ["epochs", "best epoch", "stopped loss", "last loss"]
    columns += ["stopped accuracy", "last accuracy"]
    return pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(seeds, name="seed"))
