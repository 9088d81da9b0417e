"""The activations and their derivatives equal PyTorch's and its autograd."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion.mathematics.activations import ACTIVATIONS, naive_sigmoid, relu, sigmoid, swiglu

TORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": torch.relu,
    "GELU": functional.gelu,
    "SiLU": functional.silu,
}
# Both sides of 0, 0 itself, and far out.
POINTS = np.concatenate([np.linspace(-9, 9, 181), [-750.0, -40.0, 40.0, 750.0]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_it_equals_torch_forward_and_gradient(name: str) -> None:
    activation = ACTIVATIONS[name]
    x = torch.tensor(POINTS, requires_grad=True)
    values = TORCH[name](x)
    values.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(activation.function(POINTS), values.detach().numpy(), atol=1e-10)
    np.testing.assert_allclose(activation.derivative(POINTS), x.grad.numpy(), atol=1e-10)


def test_every_activation_is_compared() -> None:
    assert set(TORCH) == set(ACTIVATIONS)


def test_swiglu_equals_torch() -> None:
    generator = np.random.default_rng(0)
    x, gate, value = (generator.normal(size=shape) for shape in [(5, 3), (3, 4), (3, 4)])
    tensors = [torch.tensor(array) for array in (x, gate, value)]
    expected = functional.silu(tensors[0] @ tensors[1]) * (tensors[0] @ tensors[2])
    np.testing.assert_allclose(swiglu(x, gate, value), expected.numpy(), atol=1e-10)


def test_the_sigmoid_does_not_overflow() -> None:
    with np.errstate(over="raise"):
        np.testing.assert_array_equal(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])
        with pytest.raises(FloatingPointError, match="overflow"):
            naive_sigmoid(np.array([-1000.0]))


def test_sigmoids_of_the_article() -> None:
    assert sigmoid(np.array(1.4)) == pytest.approx(0.8021838886, abs=1e-10)
    assert sigmoid(np.array(1.1)) == pytest.approx(0.7502601056, abs=1e-10)
    assert relu(np.array(-2.0)) == 0
