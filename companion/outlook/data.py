"""What wrong labels do to different models, how to find them, and what duplicates hide.

Explained in :doc:`/outlook/limits`, "Bad data".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from companion.classifier.corpus import Splits
from companion.classifier.text import tokenize
from companion.concepts.experiments import headlines_of, tfidf
from companion.concepts.scale import with_wrong_labels

__all__ = ["cleaning_runs", "leak_runs", "noise_by_model"]


def _features(splits: Splits) -> tuple[Any, Any]:
    counter = TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=5)
    return counter.fit_transform(splits.train["text"]), counter.transform(splits.test["text"])


def _models() -> dict[str, Any]:
    return {
        "logistic regression, free": LogisticRegression(C=100, max_iter=2000),
        "logistic regression, held back": LogisticRegression(C=0.3, max_iter=2000),
        "1 nearest neighbour": KNeighborsClassifier(1),
        "25 nearest neighbours": KNeighborsClassifier(25),
    }


def noise_by_model(
    splits: Splits,
    *,
    shares: Sequence[float] = (0.0, 0.2, 0.4, 0.6),
    seeds: Sequence[int] = (0, 1, 2),
) -> pd.DataFrame:
    """Train four models on the same wrong labels, and test them on right ones.

    Args:
        splits: Documents.
        shares: The share of training labels that is wrong.
        seeds: Errors are drawn for each.

    Returns:
        The columns ``model``, ``share``, ``seed`` and ``accuracy``.
    """
    (train, test), rows = _features(splits), []
    for share in shares:
        for seed in seeds:
            labels = with_wrong_labels(splits.train["label"], share, seed)
            for name, model in _models().items():
                right = float(model.fit(train, labels).score(test, splits.test["label"]))
                rows.append((name, share, seed, right))
    return pd.DataFrame(rows, columns=["model", "share", "seed", "accuracy"])


def cleaning_runs(
    splits: Splits, *, share: float = 0.2, seeds: Sequence[int] = (0, 1, 2)
) -> pd.DataFrame:
    """Spoil labels, look for them by cross-validation, and train again without the suspects.

    A label is suspect if a model that was not trained on its text gives it one of the lowest
    probabilities; as many are suspected as are wrong.

    Args:
        splits: Documents.
        share: The share of training labels that is wrong.
        seeds: Errors are drawn for each.

    Returns:
        The columns ``seed``, ``found`` (the share of the wrong labels among the suspects),
        ``spoilt`` and ``cleaned`` (the accuracies before and after).
    """
    (train, test), rows = _features(splits), []
    for seed in seeds:
        labels = with_wrong_labels(splits.train["label"], share, seed)
        model = LogisticRegression(C=10, max_iter=2000)
        chances = cross_val_predict(model, train, labels, cv=5, method="predict_proba")
        own = chances[np.arange(len(labels)), np.searchsorted(np.unique(labels), labels)]
        suspects = np.argsort(own, kind="stable")[: round(share * len(labels))]
        wrong = (labels != splits.train["label"]).to_numpy()
        kept = np.setdiff1d(np.arange(len(labels)), suspects)
        before = model.fit(train, labels).score(test, splits.test["label"])
        after = model.fit(train[kept], labels.iloc[kept]).score(test, splits.test["label"])
        rows.append((seed, float(wrong[suspects].mean()), float(before), float(after)))
    return pd.DataFrame(rows, columns=["seed", "found", "spoilt", "cleaned"])


def leak_runs(
    splits: Splits,
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 1.0),
    seeds: Sequence[int] = (0, 1, 2),
) -> pd.DataFrame:
    """Let a share of the test headlines stand in the training data too.

    Args:
        splits: Documents, of which the headlines are used. Those of the validation part are the
            test that leaks; those of the test part stay unseen.
        shares: The share of the first that is copied, with its labels.
        seeds: A draw for each.

    Returns:
        The columns ``share``, ``seed``, ``reported`` (the accuracy on the test that leaks) and
        ``true`` (on headlines that nobody copied).
    """
    parts = (splits.train, splits.validation, splits.test)
    train, leaking, fresh = (headlines_of(each) for each in parts)
    rows = []
    for share in shares:
        for seed in seeds:
            copied = leaking.sample(frac=share, random_state=seed)
            seen = pd.concat([train, copied])
            model = tfidf().fit(seen["text"], seen["label"])
            reported = model.score(leaking["text"], leaking["label"])
            true = model.score(fresh["text"], fresh["label"])
            rows.append((share, seed, float(reported), float(true)))
    return pd.DataFrame(rows, columns=["share", "seed", "reported", "true"])
