"""The LSTM from scratch equals PyTorch's cell and layer, forward and gradient."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from companion.mathematics.lstm import (
    LSTMWeights,
    backward,
    cell,
    forward,
    gradient_by_lag,
    latch,
    parameter_count,
    set_forget_bias,
)


def test_a_step_equals_the_cell_of_torch() -> None:
    torch.manual_seed(0)
    module = nn.LSTMCell(3, 5, dtype=torch.float64)
    x, hidden, memory = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    x, hidden, memory = x.double(), hidden.double(), memory.double()
    step = cell(LSTMWeights.from_torch(module), x.numpy(), hidden.numpy(), memory.numpy())
    with torch.no_grad():
        expected_hidden, expected_memory = module(x, (hidden, memory))
    np.testing.assert_allclose(step.hidden, expected_hidden.numpy(), atol=1e-10)
    np.testing.assert_allclose(step.memory, expected_memory.numpy(), atol=1e-10)


def test_a_layer_equals_torch_forward_and_gradient() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    inputs = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    downstream = torch.randn(2, 7, 5, dtype=torch.float64)
    outputs = module(inputs)[0]
    (outputs * downstream).sum().backward()
    weights = LSTMWeights.from_torch(module)
    steps = forward(weights, inputs.detach().numpy())
    hidden = np.stack([step.hidden for step in steps], axis=1)
    np.testing.assert_allclose(hidden, outputs.detach().numpy(), atol=1e-10)
    gradients, input_gradients = backward(weights, steps, downstream.numpy())
    assert inputs.grad is not None
    np.testing.assert_allclose(input_gradients, inputs.grad.numpy(), atol=1e-10)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    for name, field in zip(names, dataclasses.fields(weights), strict=True):
        expected = module.get_parameter(name).grad
        assert expected is not None
        np.testing.assert_allclose(getattr(gradients, field.name), expected.numpy(), atol=1e-10)


@pytest.mark.parametrize(("inputs", "hidden"), [(100, 256), (256, 256), (3, 5)])
def test_parameters_are_counted(inputs: int, hidden: int) -> None:
    expected = sum(parameter.numel() for parameter in nn.LSTM(inputs, hidden).parameters())
    assert parameter_count(inputs, hidden) == expected


def test_the_two_layers_of_the_article() -> None:
    assert parameter_count(100, 256) + parameter_count(256, 256) == 892_928


def test_the_latch_stores_when_told() -> None:
    inputs = np.array([[[0.8, 1.0], [-0.5, 0.0], [0.3, 0.0], [-0.6, 1.0], [0.9, 0.0]]])
    memory = [step.memory[0, 0] for step in forward(latch(), inputs)]
    np.testing.assert_allclose(memory, np.tanh([0.8, 0.8, 0.8, -0.6, -0.6]), atol=1e-3)


def test_the_forget_bias_is_set_and_nothing_else() -> None:
    module = nn.LSTM(3, 5)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    set_forget_bias(module, 3.0)
    for name, value in module.state_dict().items():
        if name.startswith("bias"):
            assert torch.equal(value[:5], before[name][:5])
            assert torch.equal(value[10:], before[name][10:])
            assert (value[5:10] == (3.0 if "ih" in name else 0.0)).all()
        else:
            assert torch.equal(value, before[name])


def test_the_gradient_by_lag_equals_the_jacobian() -> None:
    torch.manual_seed(0)
    module = nn.RNN(3, 4, batch_first=True, dtype=torch.float64)
    inputs = torch.randn(5, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
        lambda x: module(x[None])[0][0, -1], inputs
    )  # (hidden, time, input)
    expected = [jacobian[:, 4 - lag].norm().item() for lag in range(5)]
    np.testing.assert_allclose(gradient_by_lag(module, inputs), expected, atol=1e-12)
