"""Whether an explanation says what the model does: agreement, deletion, a model without training.

Explained in :doc:`/questions/explain`, "Is it true?".
"""

import copy
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from companion.classifier.inference import TextClassifier
from companion.errors import DataError
from companion.questions.explain import Explanation, explain_words

__all__ = ["agreement", "agreements", "deletion", "randomised"]


def agreement(first: Explanation, second: Explanation) -> float:
    """Compare the order in which two explanations put the words of a text.

    Returns:
        Spearman's rank correlation: 1 for the same order, 0 for none in common. NaN if one of them
        gives all words the same score.

    Raises:
        DataError: If they explain different texts.
    """
    if first.words != second.words:
        raise DataError("the explanations are of different texts")
    return float(spearmanr(first.scores, second.scores).statistic)


def agreements(
    classifier: TextClassifier, other: TextClassifier, texts: Sequence[str]
) -> pd.DataFrame:
    """Compare explanations of the same answers: of two methods, two draws, and two models.

    Args:
        classifier: The classifier.
        other: One with the same vocabulary and labels, such as :func:`randomised` gives.
        texts: Texts of at least two words.

    Returns:
        A row a text with the rank correlation of integrated gradients with LIME (``methods``), of
        LIME with LIME under another seed (``seeds``), and of integrated gradients of the two models
        (``models``).
    """
    rows = []
    for text in texts:
        gradients = explain_words(classifier, text)
        lime, again = (explain_words(classifier, text, method="lime", seed=seed) for seed in (0, 1))
        stranger = explain_words(other, text, label=gradients.label)
        rows.append(
            {
                "methods": agreement(gradients, lime),
                "seeds": agreement(lime, again),
                "models": agreement(gradients, stranger),
            }
        )
    return pd.DataFrame(rows)


def deletion(
    classifier: TextClassifier, texts: Sequence[str], words: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Take the most telling words out of each text, and as many words by chance.

    Args:
        classifier: The classifier.
        texts: Texts with more than ``words`` words.
        words: How many words are taken out at the most.
        seed: Draws the words of chance.

    Returns:
        A row for each number of words from 0: the mean probability of the first answer without the
        most telling words (``telling``) and without words by chance (``chance``).

    Raises:
        DataError: If a text is too short.
    """
    generator = np.random.default_rng(seed)
    curves = []
    for text in texts:
        found = explain_words(classifier, text)
        if len(found.words) <= words:
            raise DataError(f"{text!r} has {len(found.words)} words; take out fewer than that")
        orders = (np.argsort(-found.scores), generator.permutation(len(found.words)))
        cut = [_without(found.words, order[:n]) for order in orders for n in range(words + 1)]
        answer = classifier.labels.index(found.label)
        curves.append(classifier.predict_proba(cut)[:, answer].reshape(2, words + 1))
    telling, chance = np.mean(curves, axis=0)
    return pd.DataFrame({"telling": telling, "chance": chance}).rename_axis("words taken out")


def _without(words: list[str], places: NDArray[np.int64]) -> str:
    gone = set(places.tolist())
    return " ".join(word for place, word in enumerate(words) if place not in gone)


def randomised(classifier: TextClassifier, seed: int = 0) -> TextClassifier:
    """Copy a classifier and draw its LSTM and its last layer anew; the word vectors stay.

    An explanation that looks the same for the copy says nothing about what was learnt.
    """
    model = copy.deepcopy(classifier.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.LSTM | nn.Linear):
                module.reset_parameters()
    return TextClassifier(
        model.eval(), classifier.vocabulary, classifier.labels, classifier.configuration
    )
