"""Federated averaging of a news classifier, and sums that hide their terms.

Explained in :doc:`/questions/privacy`, "Federated averaging".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError, MissingPackageError

__all__ = [
    "News",
    "accuracy",
    "average",
    "compare_divisions",
    "divide",
    "federated_rounds",
    "hashed_news",
    "masked_updates",
    "new_network",
    "train_locally",
]

_BUCKETS = 1024
_MODULUS = 2**32

State = dict[str, Tensor]


@dataclass(frozen=True)
class News:
    """Documents as vectors.

    Attributes:
        features: ``(documents, 1024)`` float32, each row of length 1.
        labels: ``(documents,)`` int64.
    """

    features: Tensor
    labels: Tensor

    def __getitem__(self, rows: NDArray[np.int64]) -> "News":
        """Give some of the documents."""
        return News(self.features[rows], self.labels[rows])

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.labels)


def hashed_news(frame: pd.DataFrame, labels: Sequence[str]) -> News:
    """Turn documents into vectors without a vocabulary.

    Each word falls into one of 1,024 buckets by its hash. A vocabulary would have to be collected
    from all clients, and would tell their words.

    Args:
        frame: The columns ``text`` and ``label``.
        labels: The classes, in the order of their numbers.

    Returns:
        The vectors and numbers.
    """
    vectorizer = HashingVectorizer(n_features=_BUCKETS, stop_words="english", binary=True)
    vectors = vectorizer.transform(frame["text"])
    numbers = [labels.index(label) for label in frame["label"]]
    return News(torch.tensor(vectors.toarray(), dtype=torch.float32), torch.tensor(numbers))


def new_network(classes: int, *, seed: int) -> nn.Sequential:
    """Give an untrained network: 1,024 numbers in, 32 hidden, a number a class."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(_BUCKETS, 32), nn.ReLU(), nn.Linear(32, classes))


def train_locally(
    network: nn.Module, news: News, *, epochs: int, learning_rate: float = 0.01, seed: int = 0
) -> None:
    """Train in place by Adam, 16 documents a step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(news), generator=generator), 16):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(news.features[rows]), news.labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def divide(
    labels: NDArray[np.int64], clients: int, *, concentration: float, seed: int
) -> list[NDArray[np.int64]]:
    """Divide documents among clients, evenly or each class to a few of them.

    The shares of each class are drawn from a Dirichlet distribution. A large concentration gives
    all clients the same mix; a small one gives a class nearly whole to one client.

    Args:
        labels: ``(documents,)`` the class of each.
        clients: How many.
        concentration: The parameter of the distribution.
        seed: Fixes the draw.

    Returns:
        The rows of each client; no client is empty.

    Raises:
        DataError: If there are fewer documents than clients, or the concentration is not positive.
    """
    if len(labels) < clients or concentration <= 0:
        raise DataError(
            f"{len(labels)} documents, {clients} clients, concentration {concentration}: give a "
            "document a client or more, and a concentration above 0"
        )
    generator = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in range(clients)]
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        shares = generator.dirichlet(np.full(clients, concentration))
        ends = np.round(np.cumsum(shares) * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, ends[:-1]), strict=True):
            part.extend(piece.tolist())
    for part in parts:
        if not part:
            part.append(max(parts, key=len).pop())
    return [np.array(part, dtype=np.int64) for part in parts]


def average(states: Sequence[State], weights: Sequence[float]) -> State:
    """Average the parameters of clients, by the aggregator of NVIDIA FLARE.

    Args:
        states: The parameters of each client.
        weights: How much each counts; in federated averaging, its number of documents.

    Returns:
        The weighted mean.

    Raises:
        MissingPackageError: If nvflare is not installed.
    """
    try:
        from nvflare.app_common.aggregators.weighted_aggregation_helper import (
            WeightedAggregationHelper,
        )
    except ImportError as error:
        raise MissingPackageError(
            "federated averaging needs nvflare: pip install nvflare"
        ) from error
    helper = WeightedAggregationHelper()
    for number, (state, weight) in enumerate(zip(states, weights, strict=True)):
        helper.add(state, weight, f"client {number}", 0)
    mean: State = helper.get_result()
    return mean


def federated_rounds(
    news: News,
    test: News,
    parts: Sequence[NDArray[np.int64]],
    *,
    rounds: int,
    epochs: int = 2,
    seed: int = 0,
) -> list[float]:
    """Train by federated averaging (McMahan et al., 2017) and test after each round.

    In a round the server sends its parameters to every client, each client trains on its own
    documents, and the server averages what comes back.

    Args:
        news: All training documents.
        test: The test documents, at the server.
        parts: The rows of each client.
        rounds: How often parameters go out and back.
        epochs: Passes of a client over its documents in a round.
        seed: Fixes the first parameters and the orders.

    Returns:
        The accuracy after each round.
    """
    network = new_network(int(news.labels.max()) + 1, seed=seed)
    state, accuracies = _copy(network), []
    for number in range(rounds):
        returned = []
        for client, rows in enumerate(parts):
            network.load_state_dict(state)
            train_locally(network, news[rows], epochs=epochs, seed=seed + 1000 * number + client)
            returned.append(_copy(network))
        state = average(returned, [len(rows) for rows in parts])
        network.load_state_dict(state)
        accuracies.append(accuracy(network, test))
    return accuracies


@torch.inference_mode()
def accuracy(network: nn.Module, news: News) -> float:
    """Give the share of documents whose class is right."""
    return float((network(news.features).argmax(dim=1) == news.labels).float().mean())


def _copy(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def masked_updates(updates: NDArray[np.uint32], *, seed: int) -> NDArray[np.uint32]:
    """Hide each client's update under masks that cancel in the sum.

    Each pair of clients shares a secret, from which both draw the same numbers; one adds them and
    the other subtracts them, modulo 2³² (Bonawitz et al., 2017). Here one seed stands for the
    secrets that real clients agree on between them, without the server.

    Args:
        updates: ``(clients, numbers)`` whole numbers.
        seed: Stands for the secrets.

    Returns:
        ``(clients, numbers)`` what the server sees.
    """
    masked = updates.astype(np.uint64)
    for one in range(len(updates)):
        for other in range(one + 1, len(updates)):
            shared = np.random.default_rng([seed, one, other])
            secret = shared.integers(0, _MODULUS, updates.shape[1], dtype=np.uint64)
            masked[one] = (masked[one] + secret) % _MODULUS
            masked[other] = (masked[other] + _MODULUS - secret) % _MODULUS
    return masked.astype(np.uint32)


def compare_divisions(
    news: News, test: News, *, rounds: int = 6, seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, NDArray[np.float64]]:
    """Train by federated averaging with eight clients, alike and each with classes of its own.

    Args:
        news: All training documents.
        test: The test documents.
        rounds: How often parameters go out and back.
        seeds: One run each.

    Returns:
        ``(seeds, rounds)`` accuracies by the name of the division.
    """
    return {
        name: np.array(
            [
                federated_rounds(
                    news,
                    test,
                    divide(news.labels.numpy(), 8, concentration=concentration, seed=seed),
                    rounds=rounds,
                    epochs=1,
                    seed=seed,
                )
                for seed in seeds
            ]
        )
        for name, concentration in {"alike": 100.0, "each its own classes": 0.05}.items()
    }
