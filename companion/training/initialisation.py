"""Where the weights start, and what that does to the signals of a deep network.

Explained in :doc:`/training/forward`, "Step 3: initialisation".
"""

import functools
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from companion.errors import DataError

__all__ = ["SCHEMES", "deep_network", "signal_scales"]

# The name of each scheme, and what fills a weight matrix by it.
SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": nn.init.zeros_,
    "N(0, 0.02)": functools.partial(nn.init.normal_, std=0.02),
    "N(0, 0.2)": functools.partial(nn.init.normal_, std=0.2),
    "Xavier": nn.init.xavier_normal_,
    "He": functools.partial(nn.init.kaiming_normal_, nonlinearity="relu"),
}


def deep_network(
    scheme: str,
    *,
    inputs: int = 64,
    width: int = 128,
    depth: int = 10,
    outputs: int = 10,
    activation: type[nn.Module] = nn.ReLU,
    seed: int = 0,
) -> nn.Sequential:
    """Build a network of equal hidden layers in float64, with biases of zero.

    Args:
        scheme: One of :data:`SCHEMES`, for every weight matrix.
        inputs: The length of an input.
        width: The units of each hidden layer.
        depth: The number of hidden layers.
        outputs: The number of scores.
        activation: What follows each hidden layer.
        seed: Fixes the weights.

    Raises:
        DataError: If there is no scheme of that name.
    """
    if scheme not in SCHEMES:
        raise DataError(f"there is no scheme {scheme!r}; choose one of {', '.join(SCHEMES)}")
    torch.manual_seed(seed)
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = []
    for size in sizes[:-1]:
        layers += [nn.Linear(size, width, dtype=torch.float64), activation()]
    layers.append(nn.Linear(sizes[-1], outputs, dtype=torch.float64))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            SCHEMES[scheme](layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def signal_scales(network: nn.Sequential, inputs: Tensor, labels: Tensor) -> pd.DataFrame:
    """Measure how large the signals and the gradients are in each hidden layer.

    Args:
        network: A network of :func:`deep_network`.
        inputs: ``(examples, inputs)``, float64.
        labels: ``(examples,)``, int64.

    Returns:
        A row a hidden layer, from 1: the ``variance`` of the activations over units and examples,
        and the ``gradient``, the norm of the loss's gradient with respect to the layer's weights.
    """
    network.zero_grad()
    variances = []
    signal = inputs
    for layer in network:
        signal = layer(signal)
        if not isinstance(layer, nn.Linear):
            variances.append(signal.var().item())
    nn.functional.cross_entropy(signal, labels).backward()  # type: ignore[no-untyped-call]
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    gradients = [
        layer.weight.grad.norm().item() for layer in linear[:-1] if layer.weight.grad is not None
    ]
    layers = pd.RangeIndex(1, len(variances) + 1, name="layer")
    return pd.DataFrame({"variance": variances, "gradient": gradients}, index=layers)
