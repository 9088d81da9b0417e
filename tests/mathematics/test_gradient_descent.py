"""Gradient descent, its regimes and bounds."""

import numpy as np
import pytest
import torch

from companion.errors import DataError
from companion.mathematics.gradient_descent import (
    REGIMES,
    best_weight,
    descend_on_line,
    half_squared_error,
    half_squared_gradient,
    largest_learning_rate,
    regime,
)
from companion.training.optimizers import GradientDescent, descend


def test_the_gradient_equals_autograd() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 7))
    weight = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    loss = 0.5 * ((torch.tensor(y) - weight * torch.tensor(x)) ** 2).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert half_squared_error(0.3, x, y) == pytest.approx(loss.item(), abs=1e-12)
    assert half_squared_gradient(0.3, x, y) == pytest.approx(weight.grad.item(), abs=1e-12)


@pytest.mark.parametrize(
    ("x", "slope", "expected", "kind"),
    [
        ([1, 2, 3], 2, [1, 1.14, 1.2604, 1.363944], "monotone"),
        ([1, 2, 3], 0.5, [1, 0.93, 0.8698], "monotone"),
        ([1, 2, 3], 1, [1, 1, 1], "monotone"),
        ([10], 2, [1, 2, 2], "one step"),
        ([10, 5, 5], 2, [1, 2.5, 1.75, 2.125], "oscillates and converges"),
        ([10, 10], 2, [1, 3, 1, 3], "for ever"),
        ([10, 20], 2, [1, 6, -14, 66, -254], "diverges"),
    ],
)
def test_the_trajectories_of_the_article(
    x: list[float], slope: float, expected: list[float], kind: str
) -> None:
    """With the article's α = 0.01 and w₀ = 1; the expected values follow (1 − αS)ᵗ by hand."""
    y = [slope * value for value in x]
    descent = descend_on_line(x, y, 1.0, 0.01, len(expected) - 1)
    np.testing.assert_allclose(descent.weights, expected, atol=1e-12)
    assert descent.minimum == pytest.approx(slope)
    assert descent.curvature == sum(value * value for value in x)
    assert descent.regime == kind
    assert kind in REGIMES


def test_the_bound_of_many_weights_is_sharp() -> None:
    x = np.random.default_rng(2).normal(size=(9, 4))
    bound = largest_learning_rate(x)
    assert bound == pytest.approx(2 / np.linalg.norm(x, ord=2) ** 2)
    below = descend(GradientDescent(0.99 * bound), np.ones(4), lambda w: x.T @ (x @ w), 2000)
    above = descend(GradientDescent(1.01 * bound), np.ones(4), lambda w: x.T @ (x @ w), 2000)
    assert np.linalg.norm(below[-1]) < 1e-6
    assert np.linalg.norm(above[-1]) > 1e3


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(DataError, match="every x is 0"):
        best_weight([0, 0], [1, 2])
    with pytest.raises(DataError, match="above 0"):
        regime(0.0, 14)
