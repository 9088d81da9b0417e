"""Other attention weights that give the same output.

Explained in :doc:`/concepts`, "Attention weights are not explanations".
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.batches import pad, shuffled_batches
from companion.errors import DataError

__all__ = [
    "AttentionClassifier",
    "compare_explanations",
    "other_weights",
    "total_variation",
    "train_attention_classifier",
]


class AttentionClassifier(nn.Module):
    """The smallest classifier with attention: a weighted mean of word vectors, then a linear layer.

    Args:
        vocabulary_size: The number of words.
        classes: The number of classes.
        size: The length of a word's vector.
    """

    def __init__(self, vocabulary_size: int, classes: int, size: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.score = nn.Linear(size, 1)
        self.head = nn.Linear(size, classes)

    def weights(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Give the ``(batch, time)`` weight of each word; padding has none."""
        scores: Tensor = self.score(torch.tanh(self.embedding(token_ids))).squeeze(-1)
        is_word = torch.arange(token_ids.shape[1]) < lengths[:, None]
        return scores.masked_fill(~is_word, -torch.inf).softmax(dim=1)

    def answer(self, token_ids: Tensor, weights: Tensor) -> Tensor:
        """Give the ``(batch, classes)`` logits that any ``(batch, time)`` weights lead to."""
        logits: Tensor = self.head((weights[..., None] * self.embedding(token_ids)).sum(dim=1))
        return logits

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Give the ``(batch, classes)`` logits."""
        return self.answer(token_ids, self.weights(token_ids, lengths))


def train_attention_classifier(
    documents: Sequence[Sequence[int]],
    labels: Sequence[int],
    vocabulary_size: int,
    *,
    epochs: int = 5,
    learning_rate: float = 1e-2,
    seed: int = 0,
) -> AttentionClassifier:
    """Train the classifier.

    Args:
        documents: The token ids of each document.
        labels: The number of each document's class, from 0.
        vocabulary_size: The number of words.
        epochs: Passes over the documents.
        learning_rate: Of AdamW.
        seed: Fixes the first weights and the order.

    Returns:
        The trained classifier.
    """
    torch.manual_seed(seed)
    model = AttentionClassifier(vocabulary_size, max(labels) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    generator, targets = np.random.default_rng(seed), torch.tensor(labels)
    for _ in range(epochs):
        for batch in shuffled_batches(documents, 32, generator):
            optimizer.zero_grad()
            logits = model(batch.token_ids, batch.lengths)
            functional.cross_entropy(logits, targets[batch.rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


def other_weights(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find attention weights that give the same output and share as little as possible.

    The output is ``weights @ values``. Where there are more positions than numbers in a value, many
    weights give the same output. Among them, a linear programme finds those that put the least on
    the positions that have much now.

    Args:
        weights: ``(keys,)`` the weights of one query; not negative, with the sum 1.
        values: ``(keys, size)`` the values that they average.

    Returns:
        ``(keys,)`` weights, not negative, with the sum 1, and the same output.

    Raises:
        DataError: If the shapes do not fit or the weights are no distribution.
    """
    if weights.ndim != 1 or values.shape[:1] != weights.shape:
        raise DataError(
            f"weights of shape {weights.shape} and values of {values.shape}: "
            "give (keys,) and (keys, size)"
        )
    if weights.min() < 0 or abs(weights.sum() - 1) > 1e-6:
        raise DataError("the weights must not be negative and must add up to 1")
    conditions = np.vstack([values.T, np.ones_like(weights)])
    found = linprog(
        weights, A_eq=conditions, b_eq=conditions @ weights, bounds=(0, 1), method="highs"
    )
    if found.x is None:  # the weights themselves fit, so this is a matter of rounding
        return weights
    others: NDArray[np.float64] = found.x
    return others


def total_variation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Measure how different two distributions are: 0 if equal, 1 if they share nothing."""
    return float(np.abs(first - second).sum() / 2)


@torch.inference_mode()
def compare_explanations(
    model: AttentionClassifier, documents: Sequence[Sequence[int]], seed: int = 0
) -> pd.DataFrame:
    """Ask a classifier again with other weights: even ones, shuffled ones, and equivalent ones.

    Args:
        model: A trained classifier.
        documents: The token ids of each document.
        seed: Fixes the shuffling.

    Returns:
        A row a document: whether the ``even`` and the ``shuffled`` weights lead to the same class;
        how far apart the ``equivalent`` weights of :func:`other_weights` are from the model's own
        (0 to 1); and the largest ``change`` of a probability that they cause.
    """
    generator, rows = np.random.default_rng(seed), []
    for document in documents:
        token_ids, lengths = pad([document])
        own = model.weights(token_ids, lengths)
        vectors = model.embedding(token_ids)[0].double().numpy()
        exact = own[0].double().numpy() / own[0].double().numpy().sum()
        equivalent = other_weights(exact, vectors)
        variants = {
            "even": torch.full_like(own, 1 / len(document)),
            "shuffled": own[:, generator.permutation(len(document))],
            "equivalent": torch.from_numpy(equivalent).float()[None],
        }
        answers = {name: model.answer(token_ids, each)[0] for name, each in variants.items()}
        before = model.answer(token_ids, own)[0]
        change = (answers["equivalent"].softmax(0) - before.softmax(0)).abs().max()
        rows.append(
            (
                bool(answers["even"].argmax() == before.argmax()),
                bool(answers["shuffled"].argmax() == before.argmax()),
                total_variation(exact, equivalent),
                float(change),
            )
        )
    return pd.DataFrame(rows, columns=["even", "shuffled", "equivalent", "change"])
