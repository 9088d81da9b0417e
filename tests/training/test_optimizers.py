"""Each optimiser against ``torch.optim``, step by step, in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from companion.training.optimizers import (
    Adam,
    GradientDescent,
    Momentum,
    Optimizer,
    descend,
    steps_until,
)

CURVATURES = np.array([1.0, 30.0, 0.01])
START = np.array([-4.0, 1.5, 2.0])
PAIRS: dict[str, tuple[Callable[[], Optimizer], Callable[..., torch.optim.Optimizer]]] = {
    "gradient descent": (lambda: GradientDescent(0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    "momentum": (
        lambda: Momentum(0.02, momentum=0.8),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8),
    ),
    "Adam": (lambda: Adam(0.1), lambda p: torch.optim.Adam(p, lr=0.1)),
    "Adam, other constants": (
        lambda: Adam(0.3, beta1=0.5, beta2=0.9, epsilon=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.3, betas=(0.5, 0.9), eps=1e-3),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_step_equals_torch(name: str) -> None:
    make_ours, make_theirs = PAIRS[name]
    ours = descend(make_ours(), START, lambda point: CURVATURES * point, 60)
    weights = torch.tensor(START, requires_grad=True)
    optimizer = make_theirs([weights])
    theirs = [START]
    for _ in range(60):
        optimizer.zero_grad()
        (0.5 * torch.tensor(CURVATURES) * weights**2).sum().backward()
        optimizer.step()
        theirs.append(weights.detach().numpy().copy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_gradient_descent_follows_its_closed_form() -> None:
    path = descend(GradientDescent(0.05), START, lambda point: CURVATURES * point, 10)
    expected = START * (1 - 0.05 * CURVATURES) ** np.arange(11)[:, None]
    np.testing.assert_allclose(path, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_first_step_of_adam_is_the_learning_rate(scale: float) -> None:
    step = Adam(0.1).step(np.zeros(2), np.array([scale, -scale]))
    np.testing.assert_allclose(step, [-0.1, 0.1], rtol=1e-4)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([4, 2, 1, 0.5], 2),
        ([4, 1, 2, 1], 3),  # it came back up once
        ([1, 1], 0),
        ([4, 2], None),
        ([4, np.nan], None),
    ],
)
def test_steps_until(losses: list[float], expected: int | None) -> None:
    assert steps_until(np.array(losses), 1.0) == expected
