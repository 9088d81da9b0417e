"""The numbers that the interactive figures of the book start from.

A figure computes in the reader's browser, and what it computes with comes from the package, by a
function of this module, when the book is built. Explained on the pages where the figures stand, as
:doc:`/mathematics/gradient-descent`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from companion.classifier.listing import ListingClassifier
from companion.concepts.sizes import NAMED_SYSTEMS
from companion.questions.constants import constants_as_json

__all__ = ["AMNESIA_DOCUMENTS", "AMNESIA_PADS", "STARTS", "TRANSFORMERS", "amnesia_network"]

AMNESIA_PADS = 60
# Eight documents of different lengths, as token ids; 0 pads.
AMNESIA_DOCUMENTS = tuple(
    tuple((3 * row + 5 * place) % 11 + 1 for place in range(3 + row)) for row in range(8)
)

# Published architectures: layers, width, tokens, positions; what transformer_parameters takes.
TRANSFORMERS = {
    "GPT-2 small": (12, 768, 50257, 1024, "gpt"),
    "BERT-base": (12, 768, 30522, 512, "bert"),
    "BERT-large": (24, 1024, 30522, 512, "bert"),
    "GPT-3": (96, 12288, 50257, 2048, "gpt"),
}


def amnesia_network() -> ListingClassifier:
    """Make a network of the listing's shape, small enough to be carried by a page.

    Returns:
        A :class:`~companion.classifier.listing.ListingClassifier` of two layers with fresh weights,
        the same each time, in double precision.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ListingClassifier(12, embedding_size=4, hidden_size=8, dropout=0.0)
    return network.double().eval()


def _amnesia() -> dict[str, Any]:
    network = amnesia_network()
    return {
        "pads": AMNESIA_PADS,
        "documents": AMNESIA_DOCUMENTS,
        "embedding": _numbers(network.embedding.weight),
        "layers": [_layer(network.lstm, number) for number in range(network.lstm.num_layers)],
        "head": _numbers(network.head.weight[0]),
    }


def _layer(lstm: nn.LSTM, number: int) -> dict[str, Any]:
    weights = {name: getattr(lstm, f"{name}_l{number}") for name in ("weight_ih", "weight_hh")}
    bias = getattr(lstm, f"bias_ih_l{number}") + getattr(lstm, f"bias_hh_l{number}")
    return {
        "input": _numbers(weights["weight_ih"]),
        "state": _numbers(weights["weight_hh"]),
        "bias": _numbers(bias),
    }


def _numbers(tensor: Tensor) -> Any:
    return tensor.detach().tolist()


def _sizes() -> dict[str, Any]:
    systems = {each.name: each.parameters for each in NAMED_SYSTEMS if each.parameters}
    return {"systems": systems, "transformers": TRANSFORMERS, "threshold": 1_000_000_000}


def _latch() -> dict[str, Any]:
    return {
        "values": [0.8, -0.5, 0.9, -0.9, -0.6, 0.7, 0.2, 0.9],
        "writes": [1, 0, 0, 0, 1, 0, 0, 0],
    }


STARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "compute": constants_as_json,
    "padding-amnesia": _amnesia,
    "model-size": _sizes,
    "lstm-gates": _latch,
}
"""By the name of a figure, what gives the numbers that it starts from, as JSON values."""
