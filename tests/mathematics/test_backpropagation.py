"""Gradients by hand equal autograd's and those measured by differences."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion.mathematics.backpropagation import (
    backward,
    forward,
    gradients_through_depth,
    initial_parameters,
    loss,
    numerical_gradient,
)

GENERATOR = np.random.default_rng(0)
PARAMETERS = initial_parameters(4, 6, 3, GENERATOR)
X, LABELS = GENERATOR.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0])


def test_two_layers_equal_torch_forward_and_gradient() -> None:
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in PARAMETERS.items()}
    hidden = torch.tanh(torch.tensor(X) @ tensors["W1"] + tensors["b1"])
    expected = functional.cross_entropy(
        hidden @ tensors["W2"] + tensors["b2"], torch.tensor(LABELS)
    )
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss(PARAMETERS, X, LABELS) == pytest.approx(expected.item(), abs=1e-12)
    gradients = backward(PARAMETERS, forward(PARAMETERS, X), LABELS)
    for name, tensor in tensors.items():
        assert tensor.grad is not None
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize("name", PARAMETERS)
def test_differences_agree(name: str) -> None:
    measured = numerical_gradient(
        lambda value: loss(PARAMETERS | {name: value}, X, LABELS), PARAMETERS[name]
    )
    gradients = backward(PARAMETERS, forward(PARAMETERS, X), LABELS)
    np.testing.assert_allclose(gradients[name], measured, atol=1e-8)


def test_measuring_leaves_the_point_as_it_was() -> None:
    point = np.array([1.0, 2.0])
    np.testing.assert_allclose(numerical_gradient(lambda p: float((p**2).sum()), point), [2, 4])
    assert point.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("name", "function"), [("sigmoid", torch.sigmoid), ("ReLU", torch.relu)])
def test_the_way_through_depth_equals_autograd(name: str, function) -> None:  # type: ignore[no-untyped-def]
    lengths = gradients_through_depth(name, 3, 8, 1.5, np.random.default_rng(1))
    generator = np.random.default_rng(1)
    matrices = torch.tensor(generator.normal(0, 1.5 * 8**-0.5, (3, 8, 8)))
    hidden = [torch.tensor(generator.normal(size=8), requires_grad=True)]
    for matrix in matrices:
        hidden.append(function(matrix @ hidden[-1]))
    end = torch.tensor(generator.normal(size=8))
    gradients = torch.autograd.grad(hidden[-1] @ (end / end.norm()), hidden[::-1])
    np.testing.assert_allclose(
        lengths, [gradient.norm().item() for gradient in gradients], atol=1e-10
    )
