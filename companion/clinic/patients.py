"""Fifteen functions that run, look right, and are wrong: the patients of :doc:`/clinic`.

Do not use them. Each has one bug that raises no error. Those of the article's listing are here in
our own words; the page names their ids.
"""

import string
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "answers",
    "attention",
    "best_weights",
    "clip",
    "document_vector",
    "dropout",
    "ends",
    "mean_loss",
    "mean_vector",
    "prepare",
    "softmax",
    "split",
    "step",
    "tokens",
    "vocabulary",
]


def tokens(text: str) -> list[str]:
    """Cut a text into its words, in lower case, without punctuation."""
    return "".join(sign for sign in text.lower() if sign not in string.punctuation).split()


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a table whose column ``text`` is in lower case."""
    frame["text"] = frame["text"].str.lower()
    return frame


def vocabulary(documents: list[list[str]]) -> dict[str, int]:
    """Number the words of the training documents: 0 is for padding, 1 for unknown words."""
    words = {word for document in documents for word in document}
    return {"<pad>": 0, "<unk>": 1} | {word: number for number, word in enumerate(words, 2)}


def split(texts: list[str], labels: list[int], seed: int) -> tuple[list[int], list[int]]:
    """Choose four fifths of the documents for training and the rest for the test, by index."""
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    cut = len(order) * 4 // 5
    return order[:cut], order[cut:]


def document_vector(states: Tensor, lengths: Tensor) -> Tensor:
    """Give each document's state after its last word.

    States are ``(batch, time, hidden)``, lengths ``(batch,)``, the result ``(batch, hidden)``.
    """
    return states[:, -1]


def mean_vector(states: Tensor, lengths: Tensor) -> Tensor:
    """Average the states of each document's words, ``(batch, time, hidden)`` to two dimensions."""
    return states.mean(dim=1)


def ends(forward: Tensor, backward: Tensor, lengths: Tensor) -> Tensor:
    """Join what the two directions know after reading a whole document.

    Both are ``(batch, time, hidden)``; ``backward[:, t]`` has read from the last word down to word
    ``t``. The result is ``(batch, 2 * hidden)``.
    """
    rows = torch.arange(len(lengths))
    return torch.cat([forward[rows, lengths - 1], backward[rows, lengths - 1]], dim=1)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn the scores of each row, ``(rows, classes)``, into probabilities."""
    exponentials = np.exp(scores)
    shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def mean_loss(losses: list[float], sizes: list[int]) -> float:
    """Give the mean loss a document from the mean loss and the size of each batch."""
    return sum(losses) / len(losses)


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor
) -> float:
    """Take one training step; give the loss before it."""
    loss = functional.cross_entropy(model(inputs), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.item())


def answers(model: nn.Module, inputs: Tensor) -> Tensor:
    """Give the class of each input, and leave the model as it was."""
    with torch.no_grad():
        classes: Tensor = model(inputs).argmax(dim=1)
    return classes


def best_weights(model: nn.Module, epochs: Iterable[float]) -> dict[str, Tensor]:
    """Train, and give the weights after the epoch with the lowest validation loss.

    Each item of ``epochs`` trains the model for an epoch and is its validation loss.
    """
    best, lowest = model.state_dict(), float("inf")
    for loss in epochs:
        if loss < lowest:
            best, lowest = model.state_dict(), loss
    return best


def clip(gradients: list[Tensor], bound: float) -> list[Tensor]:
    """Shorten the gradient of all parameters together to a length of at most ``bound``."""
    return [gradient * min(1.0, bound / gradient.norm().item()) for gradient in gradients]


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """In training, set values to zero with a probability, and keep what the next layer expects."""
    if not training:
        return values
    return values * (torch.rand_like(values) >= probability)


def attention(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Scaled dot-product attention, ``(queries, width)`` over ``(keys, width)``.

    ``allowed`` is ``(queries, keys)`` and says which keys a query may see.
    """
    scores = queries @ keys.T / keys.shape[1] ** 0.5
    weights: Tensor = scores.softmax(dim=1) * allowed
    return weights @ values
