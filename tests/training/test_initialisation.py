"""The schemes and what they do to a deep network."""

import numpy as np
import pytest
import torch
from torch import nn

from companion.errors import DataError
from companion.training.initialisation import SCHEMES, deep_network, signal_scales

INPUTS = torch.randn(200, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(200) % 10


@pytest.mark.parametrize(
    ("scheme", "variance"),
    [
        ("zeros", 0.0),
        ("N(0, 0.02)", 0.02**2),
        ("N(0, 0.2)", 0.2**2),
        ("Xavier", 2 / (400 + 300)),
        ("He", 2 / 400),
    ],
)
def test_the_variance_of_the_weights(scheme: str, variance: float) -> None:
    torch.manual_seed(0)
    weights = SCHEMES[scheme](torch.empty(300, 400, dtype=torch.float64))
    assert weights.var().item() == pytest.approx(variance, rel=0.02)


def test_the_network_is_as_asked() -> None:
    network = deep_network("He", width=32, depth=3)
    assert [tuple(p.shape) for p in network.parameters()] == [
        (32, 64), (32,), (32, 32), (32,), (32, 32), (32,), (10, 32), (10,)
    ]  # fmt: skip
    biases = [layer.bias for layer in network if isinstance(layer, nn.Linear)]
    assert all((bias == 0).all() for bias in biases)


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="Xavier"):
        deep_network("LSUV")


def test_signals_shrink_keep_or_grow() -> None:
    variances = {
        name: signal_scales(deep_network(name, width=256), INPUTS, LABELS)["variance"]
        for name in SCHEMES
    }
    assert (variances["zeros"] == 0).all()
    # A layer multiplies the mean square by width · σ² / 2 after a ReLU.
    for name, sigma in [("N(0, 0.02)", 0.02), ("N(0, 0.2)", 0.2)]:
        factor = (variances[name][10] / variances[name][2]) ** (1 / 8)
        assert factor == pytest.approx(256 * sigma**2 / 2, rel=0.25)
    assert 0.2 < variances["He"][10] / variances["He"][1] < 5


def test_the_first_row_by_hand() -> None:
    network = deep_network("He", depth=2, width=16)
    scales = signal_scales(network, INPUTS, LABELS)
    weight = network[0].weight.detach().numpy()
    hidden = np.maximum(INPUTS.numpy() @ weight.T, 0)
    assert scales["variance"][1] == pytest.approx(hidden.var(ddof=1), rel=1e-12)
    assert list(scales.index) == [1, 2]


def test_zeros_get_no_gradient_but_for_the_last_bias() -> None:
    network = deep_network("zeros")
    assert (signal_scales(network, INPUTS, LABELS)["gradient"] == 0).all()
    assert network[-1].weight.grad.abs().max() == 0
