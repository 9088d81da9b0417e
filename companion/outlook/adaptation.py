"""Two meanings of adaptive learning: step sizes that adapt, and a model that adapts as it reads.

Explained in :doc:`/outlook/trends`, "Learning that adapts".
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from companion.concepts.transformer import Block, causal_mask
from companion.errors import DataError
from companion.training.schedules import SCHEDULES

__all__ = [
    "InContextRegression",
    "draw_regressions",
    "in_context_errors",
    "optimizer_runs",
    "ridge_predictions",
    "train_in_context",
]

_RATES = (1e-3, 1e-2, 1e-1)


def optimizer_runs(
    *,
    rates: Sequence[float] = _RATES,
    schedules: Sequence[str] = ("constant", "warm-up and cosine"),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
) -> pd.DataFrame:
    """Train a small network on 8 x 8 digits by SGD with momentum and by Adam.

    Args:
        rates: The highest learning rates.
        schedules: Names of ``companion.training.schedules.SCHEDULES``.
        seeds: A start and an order of the digits for each.
        steps: The batches of 64 of each run.

    Returns:
        The columns ``optimizer``, ``schedule``, ``rate``, ``seed`` and ``accuracy`` on 597 digits
        that were not trained on.
    """
    pixels, digits = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digits)
    rows = []
    for optimizer in ("SGD with momentum", "Adam"):
        for schedule in schedules:
            for rate in rates:
                for seed in seeds:
                    model = _train_digits(
                        x[:1200], y[:1200], optimizer, schedule, rate, seed, steps
                    )
                    with torch.inference_mode():
                        right = (model(x[1200:]).argmax(dim=1) == y[1200:]).double().mean().item()
                    rows.append((optimizer, schedule, rate, seed, right))
    return pd.DataFrame(rows, columns=["optimizer", "schedule", "rate", "seed", "accuracy"])


def _train_digits(
    x: Tensor, y: Tensor, optimizer: str, schedule: str, rate: float, seed: int, steps: int
) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
        batches = torch.randint(len(x), (steps, 64))
    rule: Any
    if optimizer == "Adam":
        rule = torch.optim.Adam(model.parameters(), lr=rate)
    else:
        rule = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    shape = torch.optim.lr_scheduler.LambdaLR(rule, lambda step: SCHEDULES[schedule](step / steps))
    for rows in batches:
        rule.zero_grad()
        functional.cross_entropy(model(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call, unused-ignore]
        rule.step()
        shape.step()
    return model


def draw_regressions(
    count: int, points: int, *, size: int = 2, noise: float = 0.3, scale: float = 1.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw linear problems, each with weights of its own: ``y = x . w + noise``.

    Args:
        count: How many problems.
        points: How many points each has.
        size: The numbers in x.
        noise: The standard deviation of the error in y.
        scale: The standard deviation of the weights.
        seed: Fixes the draw.

    Returns:
        ``(count, points, size)`` x, and ``(count, points)`` y.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = scale * torch.randn(count, size, 1, generator=generator)
    x = torch.randn(count, points, size, generator=generator)
    y = (x @ weights)[..., 0] + noise * torch.randn(count, points, generator=generator)
    return x, y


def ridge_predictions(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Predict each y by ridge regression on the points before it.

    With the penalty noise² / scale² this is the best that can be done: the mean of y given all
    that was seen.

    Args:
        x: ``(count, points, size)``.
        y: ``(count, points)``.
        penalty: The weight of the squared length of the weights.

    Returns:
        ``(count, points)`` predictions; the first is 0.

    Raises:
        DataError: If the penalty is not positive.
    """
    if penalty <= 0:
        raise DataError(f"the penalty is {penalty}; with few points it must be positive")
    outer = (x[..., :, None] * x[..., None, :]).cumsum(dim=1)
    moment = (x * y[..., None]).cumsum(dim=1)
    outer = functional.pad(outer, (0, 0, 0, 0, 1, -1)) + penalty * torch.eye(x.shape[2])
    moment = functional.pad(moment, (0, 0, 1, -1))
    weights = torch.linalg.solve(outer, moment[..., None])[..., 0]
    predictions: Tensor = (x * weights).sum(dim=2)
    return predictions


class InContextRegression(nn.Module):
    """A small transformer that reads x, y, x, y, … and predicts each y from what came before.

    Args:
        size: The numbers in x.
        width: The length of a token's vector.
        layers: The number of blocks.
    """

    def __init__(self, size: int = 2, width: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.read = nn.Linear(size + 2, width)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(layers))
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Give the ``(batch, points)`` predictions; that of a point does not see its y."""
        batch, points, size = x.shape
        # Two tokens a point: x alone, marked by 1, and x with its y.
        tokens = torch.zeros(batch, 2 * points, size + 2)
        tokens[:, 0::2, :size] = x
        tokens[:, 0::2, size] = 1
        tokens[:, 1::2, :size] = x
        tokens[:, 1::2, size + 1] = y
        states, mask = self.read(tokens), causal_mask(2 * points)
        for block in self.blocks:
            states, _ = block(states, mask)
        return self.head(states[:, 0::2])[..., 0]  # type: ignore[no-any-return]


def train_in_context(*, points: int = 10, steps: int = 2000, seed: int = 0) -> InContextRegression:
    """Train on fresh problems, 64 a step; no problem is seen twice."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = InContextRegression()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        x, y = draw_regressions(64, points, seed=1_000_000 * (seed + 1) + step)
        optimizer.zero_grad()
        functional.mse_loss(model(x, y), y).backward()  # type: ignore[no-untyped-call, unused-ignore]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.inference_mode()
def in_context_errors(
    model: InContextRegression, *, points: int = 10, scale: float = 1.0, noise: float = 0.3
) -> pd.DataFrame:
    """Compare a trained transformer with ridge regression on 2,000 new problems.

    Args:
        model: The transformer; its weights are not changed.
        points: How many points each problem has.
        scale: The standard deviation of the weights of the problems; training used 1.
        noise: That of the errors.

    Returns:
        The mean squared errors: a row for each number of points seen before, and the columns
        ``transformer``, ``ridge`` (with the penalty of the training problems) and ``always 0``.
    """
    x, y = draw_regressions(2000, points, scale=scale, noise=noise, seed=7)
    predictions = {
        "transformer": model(x, y),
        "ridge": ridge_predictions(x, y, 0.3**2),
        "always 0": torch.zeros_like(y),
    }
    errors = {name: ((each - y) ** 2).mean(dim=0).numpy() for name, each in predictions.items()}
    return pd.DataFrame(errors).rename_axis("seen")
