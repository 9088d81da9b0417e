"""The losses and their gradients equal PyTorch's, also where exp overflows."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion.mathematics.gradient_descent import half_squared_error
from companion.mathematics.losses import (
    cross_entropy,
    cross_entropy_gradient,
    log_sum_exp,
    softmax,
    softmax_jacobian,
)

GENERATOR = np.random.default_rng(0)
LABELS = np.array([0, 2, 1, 1])


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_cross_entropy_equals_torch_forward_and_gradient(scale: float) -> None:
    logits = scale * GENERATOR.normal(size=(4, 3))
    tensor = torch.tensor(logits, requires_grad=True)
    loss = functional.cross_entropy(tensor, torch.tensor(LABELS))
    loss.backward()  # type: ignore[no-untyped-call]
    assert tensor.grad is not None
    assert cross_entropy(logits, LABELS) == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(
        cross_entropy_gradient(logits, LABELS), tensor.grad.numpy(), atol=1e-10
    )
    np.testing.assert_allclose(
        log_sum_exp(logits), torch.logsumexp(tensor.detach(), 1, keepdim=True).numpy(), rtol=1e-12
    )


def test_the_jacobian_equals_autograd() -> None:
    logits = GENERATOR.normal(size=5)
    jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
        lambda z: torch.softmax(z, 0), torch.tensor(logits)
    )
    np.testing.assert_allclose(softmax_jacobian(softmax(logits)), jacobian.numpy(), atol=1e-10)


def test_worked_numbers() -> None:
    np.testing.assert_allclose(
        softmax(np.array([1.0, 2.0, 3.0])), [0.0900, 0.2447, 0.6652], atol=5e-5
    )
    loss = cross_entropy(np.array([[2.0, 1.0, 0.1]]), np.array([0]))
    assert loss == pytest.approx(0.41703, abs=5e-6)


def test_the_article_has_half_the_sum_and_not_the_mean() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert half_squared_error(1.0, x, 2 * x) == 7
    mean = functional.mse_loss(torch.tensor(x), torch.tensor(2 * x))
    assert mean.item() == pytest.approx(14 / 3)
