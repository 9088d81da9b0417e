"""Small changes of the input that change the answer: in the pixels of a digit, in words.

Explained in :doc:`/outlook/limits`, "Somebody who wants it to fail".
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = [
    "fgsm",
    "letter_classifier",
    "misspell",
    "misspelling_runs",
    "pgd",
    "replace_words",
    "robustness_runs",
    "telling_words",
    "train_digits",
]


def fgsm(model: nn.Module, images: Tensor, digits: Tensor, epsilon: float) -> Tensor:
    """Move every pixel by epsilon, each in the direction that raises the loss.

    This is the fast gradient sign method: one forward, one backward.

    Args:
        model: Gives logits.
        images: ``(batch, 28, 28)`` from 0 to 1.
        digits: ``(batch,)`` the right answers.
        epsilon: How far a pixel moves, at most.

    Returns:
        The changed images, also from 0 to 1.
    """
    images = images.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(images), digits), images)
    return (images + epsilon * gradient.sign()).clamp(0, 1).detach()


def pgd(
    model: nn.Module, images: Tensor, digits: Tensor, epsilon: float, *, steps: int = 7
) -> Tensor:
    """Take several small steps of :func:`fgsm`, and stay within epsilon of the image.

    Args:
        model: Gives logits.
        images: ``(batch, 28, 28)`` from 0 to 1.
        digits: ``(batch,)`` the right answers.
        epsilon: How far a pixel moves, at most.
        steps: How many steps.

    Returns:
        The changed images.
    """
    changed = images
    for _ in range(steps):
        changed = fgsm(model, changed, digits, 2.5 * epsilon / steps)
        changed = torch.clamp(changed, images - epsilon, images + epsilon)
    return changed


def train_digits(
    images: Tensor, digits: Tensor, *, epsilon: float = 0.0, epochs: int = 12, seed: int = 0
) -> nn.Module:
    """Train a network of one hidden layer, with an attack in each step if asked.

    Args:
        images: ``(count, 28, 28)`` from 0 to 1.
        digits: ``(count,)``.
        epsilon: How strongly each batch is attacked before the network learns from it, by
            :func:`fgsm` from a random start; 0 trains as usual.
        epochs: Passes over the images.
        seed: Fixes the weights, the order and the random starts.

    Returns:
        The trained network, 784 - 100 - 10.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(images)), 64):  # type: ignore[no-untyped-call, unused-ignore]
                x, y = images[rows], digits[rows]
                if epsilon > 0:
                    start = (x + epsilon * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
                    attacked = fgsm(model, start, y, 1.25 * epsilon)
                    x = torch.clamp(attacked, x - epsilon, x + epsilon)
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimizer.step()
    return model.eval()


def robustness_runs(
    images: NDArray[np.float32],
    digits: NDArray[np.int64],
    *,
    training: int = 4000,
    epsilons: Sequence[float] = (0.0, 0.02, 0.05, 0.1, 0.15),
    defence: float = 0.1,
    seeds: Iterable[int] = range(3),
    epochs: int = 12,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Attack a network that was trained as usual, and one that was trained under attack.

    Args:
        images: ``(count, 28, 28)``.
        digits: ``(count,)``.
        training: How many digits are trained on; up to 1,000 of the others are tested.
        epsilons: The strengths of the attacks.
        defence: The strength of the attack in training.
        seeds: A draw and a start for each.
        epochs: Of each training.

    Returns:
        A row for each ``training``, ``seed``, ``attack`` and ``epsilon`` with the ``accuracy``; and
        a row for each training and seed with its ``seconds`` of processor time.
    """
    rows, times = [], []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(images))
        chosen, tested = order[:training], order[training : training + 1000]
        x, y = torch.from_numpy(images[chosen]), torch.from_numpy(digits[chosen])
        x_test, y_test = torch.from_numpy(images[tested]), torch.from_numpy(digits[tested])
        for name, strength in (("as usual", 0.0), ("under attack", defence)):
            start = time.process_time()
            model = train_digits(x, y, epsilon=strength, epochs=epochs, seed=seed)
            times.append((name, seed, time.process_time() - start))
            for attack, epsilon in ((a, e) for a in ("noise", "FGSM", "PGD") for e in epsilons):
                changed = _attack(attack, model, x_test, y_test, epsilon, seed)
                with torch.inference_mode():
                    right = (model(changed).argmax(dim=1) == y_test).double().mean().item()
                rows.append((name, seed, attack, epsilon, right))
    columns = ["training", "seed", "attack", "epsilon", "accuracy"]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(
        times, columns=["training", "seed", "seconds"]
    )


def _attack(
    name: str, model: nn.Module, images: Tensor, digits: Tensor, epsilon: float, seed: int
) -> Tensor:
    if name == "FGSM":
        return fgsm(model, images, digits, epsilon)
    if name == "PGD":
        return pgd(model, images, digits, epsilon)
    signs = torch.randint(2, images.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return (images + epsilon * signs).clamp(0, 1)


def misspell(word: str) -> str:
    """Write a word wrongly so that a person still reads it: swap two letters inside it.

    >>> misspell("football"), misspell("tv")
    ('footabll', 'tvv')
    """
    middle = len(word) // 2
    for first in sorted(range(1, len(word) - 2), key=lambda place: abs(place - middle)):
        if word[first] != word[first + 1]:
            return word[:first] + word[first + 1] + word[first] + word[first + 2 :]
    return word + word[-1:]


def replace_words(text: str, words: Iterable[str]) -> str:
    """Misspell every occurrence of these words in a text.

    Args:
        text: Any text.
        words: In lower case.

    Returns:
        The text with the others unchanged.
    """
    targets = set(words)

    def spoil(match: re.Match[str]) -> str:
        return misspell(match[0]) if match[0].lower() in targets else match[0]

    return re.sub(r"\w+", spoil, text)


def telling_words(model: Pipeline, texts: Sequence[str]) -> list[list[str]]:
    """Order the words of each text by what they add to the answer of a linear classifier.

    Args:
        model: TF-IDF and a linear classifier of three classes or more, fitted.
        texts: The texts.

    Returns:
        For each text the words that speak for its class and against the second best, the most
        telling first.

    Raises:
        DataError: If the classifier has two classes only.
    """
    features, scores = model[0].transform(texts), model.decision_function(texts)
    if scores.ndim != 2:
        raise DataError("the words are ordered between the best and the second of three classes")
    names, weights = model[0].get_feature_names_out(), model[-1].coef_
    ordered = []
    for row, score in enumerate(scores):
        second, best = np.argsort(score)[-2:]
        words = features[[row]]
        gains = words.data * (weights[best] - weights[second])[words.indices]
        order = np.argsort(-gains, kind="stable")
        ordered.append([str(names[words.indices[place]]) for place in order if gains[place] > 0])
    return ordered


def letter_classifier() -> Pipeline:
    """A classifier by groups of three and four letters, which survive most misspellings."""
    return make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, min_df=5),
        LogisticRegression(C=10, max_iter=1000),
    )


def misspelling_runs(
    victims: Mapping[str, Any],
    guide: Pipeline,
    test: pd.DataFrame,
    *,
    counts: Sequence[int] = (0, 1, 3, 10, 30),
    seeds: Iterable[int] = range(3),
) -> pd.DataFrame:
    """Misspell the most telling words of each text, or as many at random.

    Args:
        victims: The classifiers that answer: anything with ``predict``.
        guide: The TF-IDF classifier by which the words are chosen.
        test: The columns ``text`` and ``label``.
        counts: How many different words of each text are misspelt.
        seeds: A draw of the random words for each.

    Returns:
        The columns ``victim``, ``words`` (``telling`` or ``random``), ``count``, ``seed`` and
        ``accuracy``.
    """
    texts, labels = test["text"].tolist(), test["label"].to_numpy()
    orders = [("telling", 0, telling_words(guide, texts))]
    for seed in seeds:
        generator = np.random.default_rng(seed)
        shuffled = [generator.permutation(sorted(set(tokenize(text)))).tolist() for text in texts]
        orders.append(("random", seed, shuffled))
    rows = []
    for kind, seed, order in orders:
        for count in counts:
            spoilt = [
                replace_words(text, words[:count]) for text, words in zip(texts, order, strict=True)
            ]
            for name, victim in victims.items():
                right = float(np.mean(np.asarray(victim.predict(spoilt)) == labels))
                rows.append((name, kind, count, seed, right))
    return pd.DataFrame(rows, columns=["victim", "words", "count", "seed", "accuracy"])
