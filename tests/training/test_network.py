"""The scalar network against the same network in PyTorch."""

import pytest
import torch

from companion.training.network import ScalarNetwork, mean_squared_error

SIZES = (2, 4, 3, 1)
POINTS = [(0.3, -1.2), (2.0, 0.5), (-0.7, 0.1)]
TARGETS = [1.0, -1.0, 0.5]


def torch_twin(network: ScalarNetwork) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for layer in network.layers:
        linear = torch.nn.Linear(len(layer[0]) - 1, len(layer), dtype=torch.float64)
        rows = torch.tensor(
            [[weight.data for weight in unit] for unit in layer], dtype=torch.float64
        )
        with torch.no_grad():
            linear.weight.copy_(rows[:, :-1])
            linear.bias.copy_(rows[:, -1])
        layers += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def test_loss_and_every_gradient_equal_torch() -> None:
    network = ScalarNetwork(SIZES, seed=1)
    twin = torch_twin(network)
    loss = mean_squared_error([network(point)[0] for point in POINTS], TARGETS)
    loss.backward()
    outputs = twin(torch.tensor(POINTS, dtype=torch.float64))[:, 0]
    expected = torch.nn.functional.mse_loss(outputs, torch.tensor(TARGETS, dtype=torch.float64))
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-12)
    ours = [[[value.grad for value in unit] for unit in layer] for layer in network.layers]
    linears = [module for module in twin if isinstance(module, torch.nn.Linear)]
    for rows, linear in zip(ours, linears, strict=True):
        theirs = torch.cat([linear.weight.grad, linear.bias.grad[:, None]], dim=1)
        torch.testing.assert_close(
            torch.tensor(rows, dtype=torch.float64), theirs, rtol=1e-10, atol=1e-10
        )


def test_parameters_are_all_of_them_once() -> None:
    parameters = ScalarNetwork(SIZES).parameters()
    assert len({id(parameter) for parameter in parameters}) == 4 * 3 + 3 * 5 + 1 * 4


def test_the_seed_fixes_the_weights() -> None:
    first, again, other = (
        [value.data for value in ScalarNetwork(SIZES, seed=seed).parameters()] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_an_input_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ScalarNetwork(SIZES)([1.0])
