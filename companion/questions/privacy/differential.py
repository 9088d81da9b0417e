"""Differentially private training, and an attack that asks who was in the training data.

Explained in :doc:`/questions/privacy`, "Differential privacy".
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from companion.errors import DataError, MissingPackageError
from companion.questions.privacy.federated import (
    News,
    accuracy,
    new_network,
    train_locally,
)

__all__ = ["best_attack", "compare_privacy", "document_losses", "membership_auc", "train_privately"]


def train_privately(
    news: News,
    *,
    noise: float,
    delta: float,
    epochs: int = 20,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> tuple[nn.Module, float]:
    """Train by DP-SGD: clip the gradient of each document, add noise to their sum (opacus).

    Args:
        news: The training documents.
        noise: The standard deviation of the noise, as a multiple of the largest clipped gradient.
        delta: The probability with which the promise may fail; well below one in the documents.
        epochs: Passes over the documents, on average: batches are drawn at random.
        learning_rate: Of Adam, which takes the noisy gradients.
        seed: Fixes the parameters, batches and noise. Never fix it where privacy is meant.

    Returns:
        The network, and the ε that was spent.

    Raises:
        DataError: If ``delta`` is one in the documents or more, or ``noise`` is not positive.
        MissingPackageError: If opacus is not installed.
    """
    if not 0 < delta < 1 / len(news) or noise <= 0:
        raise DataError(
            f"delta {delta:g} and noise {noise:g}: choose delta below {1 / len(news):.2g}, one in "
            "the documents, and noise above 0"
        )
    try:
        from opacus import PrivacyEngine
    except ImportError as error:
        raise MissingPackageError(
            "differential privacy needs opacus: pip install opacus"
        ) from error
    network: nn.Module = new_network(int(news.labels.max()) + 1, seed=seed)
    loader = DataLoader(TensorDataset(news.features, news.labels), batch_size=128)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # of a seeded generator, which the docstring says
        torch.manual_seed(seed)
        engine = PrivacyEngine(accountant="rdp")
        network, optimizer, loader = engine.make_private(
            module=network,
            optimizer=torch.optim.Adam(network.parameters(), lr=learning_rate),
            data_loader=loader,
            noise_multiplier=noise,
            max_grad_norm=1.0,
            noise_generator=torch.Generator().manual_seed(seed),
        )
        for _ in range(epochs):
            for features, labels in loader:
                optimizer.zero_grad()
                functional.cross_entropy(network(features), labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return network, float(engine.get_epsilon(delta))


@torch.inference_mode()
def document_losses(network: nn.Module, news: News) -> NDArray[np.float64]:
    """Give the ``(documents,)`` cross-entropy of each document."""
    losses = functional.cross_entropy(
        network(news.features).double(), news.labels, reduction="none"
    )
    return np.asarray(losses.numpy())


def membership_auc(network: nn.Module, members: News, others: News) -> float:
    """Attack a network: was this document in its training data? (Yeom et al., 2018).

    The attack answers yes where the loss is small.

    Args:
        network: The trained network.
        members: Documents it was trained on.
        others: Documents of the same kind that it never saw.

    Returns:
        The area under the ROC curve: 0.5 where the attack guesses, 1 where it is always right.
    """
    losses = np.concatenate([document_losses(network, each) for each in (members, others)])
    return float(roc_auc_score([1] * len(members) + [0] * len(others), -losses))


def best_attack(epsilon: float, delta: float) -> float:
    """Bound the share of right answers that any attack can have, one in two being a member.

    Args:
        epsilon: Of the promise.
        delta: Of the promise.

    Returns:
        At most 1.
    """
    return (math.exp(epsilon) + delta) / (1 + math.exp(epsilon)) if epsilon < 700 else 1.0


def compare_privacy(
    news: News, test: News, *, noises: Sequence[float] = (0.0, 1.0, 2.0), seeds: Sequence[int]
) -> pd.DataFrame:
    """Train with and without differential privacy, and attack each network.

    Args:
        news: The training documents: the members.
        test: Documents that no network saw; they measure the accuracy and the attack.
        noises: The noise of each run, as in :func:`train_privately`; 0 trains without privacy.
        seeds: One run each.

    Returns:
        A row a run: ``noise``, ``seed``, ``epsilon`` (infinite without noise), ``accuracy`` and
        ``attack``, the area under the curve of :func:`membership_auc`.
    """
    delta, rows = 1 / len(news) / 2, []
    for noise in noises:
        for seed in seeds:
            if noise:
                network, epsilon = train_privately(news, noise=noise, delta=delta, seed=seed)
            else:
                network, epsilon = new_network(int(news.labels.max()) + 1, seed=seed), math.inf
                train_locally(network, news, epochs=10, seed=seed)
            attack = membership_auc(network, news, test)
            rows.append((noise, seed, epsilon, accuracy(network, test), attack))
    return pd.DataFrame(rows, columns=["noise", "seed", "epsilon", "accuracy", "attack"])
