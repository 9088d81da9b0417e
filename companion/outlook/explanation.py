"""Whether two models that give the same answers also give the same reasons.

Explained in :doc:`/outlook/responsibility`, "Reasons".
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from companion.classifier.corpus import Splits
from companion.concepts.experiments import tfidf
from companion.errors import DataError
from companion.outlook.attacks import telling_words

__all__ = ["overlap", "reason_runs"]


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Give the share of the words that two lists of the same length have in common.

    Raises:
        DataError: If the lists are empty or of different lengths.
    """
    if not first or len(first) != len(second):
        raise DataError(f"compare lists of one length, not of {len(first)} and {len(second)} words")
    return len(set(first) & set(second)) / len(first)


def reason_runs(
    splits: Splits, *, words: int = 5, seeds: Sequence[int] = (0, 1, 2)
) -> pd.DataFrame:
    """Train pairs of classifiers, each on half of the documents, and compare answers and reasons.

    Args:
        splits: Documents.
        words: How many of the most telling words count as the reason.
        seeds: A division into halves for each.

    Returns:
        The columns ``seed``, ``accuracy`` (the mean of the two), ``same answer`` (a share of the
        test texts) and ``same words`` (the mean overlap of the reasons, where the answers agree).
    """
    texts, labels, rows = splits.test["text"].tolist(), splits.test["label"].to_numpy(), []
    for seed in seeds:
        half = splits.train.groupby("label").sample(frac=0.5, random_state=seed).index
        halves = (splits.train.loc[half], splits.train.drop(half))
        pair = [tfidf().fit(each["text"], each["label"]) for each in halves]
        answers = [model.predict(texts) for model in pair]
        reasons = zip(*(telling_words(model, texts) for model in pair), strict=True)
        agree = answers[0] == answers[1]
        shared = [
            overlap(first[:words], second[:words])
            for same, (first, second) in zip(agree, reasons, strict=True)
            if same
        ]
        right = float(np.mean([(each == labels).mean() for each in answers]))
        rows.append((seed, right, float(agree.mean()), float(np.mean(shared))))
    return pd.DataFrame(rows, columns=["seed", "accuracy", "same answer", "same words"])
