"""Medicine: sensitivity, specificity, the base rate and the decision curve.

Explained in :doc:`/applications/fields`.
"""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from companion.errors import DataError

__all__ = [
    "compare_diagnoses",
    "decision_curve",
    "diagnosers",
    "load_tumours",
    "predictive_value",
    "unseen_probabilities",
]


def load_tumours() -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Read 569 breast tumours: 30 measurements of cell nuclei each, and whether it is malignant."""
    data = load_breast_cancer(as_frame=True)
    return data.data, (data.target == 0).rename("malignant")


def diagnosers(seed: int = 0) -> dict[str, Any]:
    """Make the classifiers that the section compares, untrained; the first two are baselines.

    Args:
        seed: Fixes those that draw.
    """
    return {
        "nobody is ill": DummyClassifier(strategy="prior"),
        "one measurement": DecisionTreeClassifier(max_depth=1, random_state=seed),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "neural network": make_pipeline(
            StandardScaler(), MLPClassifier((16,), alpha=1e-2, max_iter=400, random_state=seed)
        ),
    }


def compare_diagnoses(
    features: pd.DataFrame, is_ill: "pd.Series[bool]", seeds: Iterable[int] = range(5)
) -> pd.DataFrame:
    """Train and test each of :func:`diagnosers` on the same random splits.

    Args:
        features: Measurements, a row a person.
        is_ill: Whether each is ill.
        seeds: A split each; 30 % of the persons are tested on.

    Returns:
        A row for each classifier and seed: ``sensitivity``, ``specificity``, ``balanced`` (their
        mean) and ``seconds`` of processor time for training.
    """
    rows = []
    for seed in seeds:
        training, testing, known, truth = train_test_split(
            features, is_ill, test_size=0.3, stratify=is_ill, random_state=seed
        )
        for name, model in diagnosers(seed).items():
            start = time.process_time()
            model.fit(training, known)
            seconds = time.process_time() - start
            answer = model.predict(testing)
            rows.append(
                {
                    "model": name,
                    "seed": seed,
                    "sensitivity": recall_score(truth, answer),
                    "specificity": recall_score(truth, answer, pos_label=False),
                    "balanced": balanced_accuracy_score(truth, answer),
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows).set_index(["model", "seed"])


def predictive_value(sensitivity: float, specificity: float, base_rate: float) -> float:
    """Give the share of the positive answers that are right, by Bayes' rule.

    Args:
        sensitivity: The share of the ill that get a positive answer.
        specificity: The share of the healthy that get a negative one.
        base_rate: The share of the ill among all.

    Raises:
        DataError: If one of them is no share, or no answer is positive.
    """
    if not all(0 <= share <= 1 for share in (sensitivity, specificity, base_rate)):
        raise DataError(f"{sensitivity}, {specificity}, {base_rate}: shares lie between 0 and 1")
    right, wrong = sensitivity * base_rate, (1 - specificity) * (1 - base_rate)
    if right + wrong == 0:
        raise DataError("no answer is positive, so none of the positive answers can be right")
    return right / (right + wrong)


def unseen_probabilities(
    model: Any, features: pd.DataFrame, is_ill: "pd.Series[bool]", seed: int = 0
) -> NDArray[np.float64]:
    """Give each person's probability, by a model trained on the other four fifths."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return np.asarray(
        cross_val_predict(model, features, is_ill, cv=folds, method="predict_proba")[:, 1]
    )


def decision_curve(is_ill: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Give the net benefit of treating those above each threshold.

    Args:
        is_ill: ``(persons,)`` truth values.
        probabilities: ``(persons,)`` of being ill.

    Returns:
        A row for each threshold from 0.01 to 0.99: ``threshold``, ``model`` and ``everybody``, net
        benefits in true positives a person. Treating nobody has the net benefit 0.

    Raises:
        DataError: If the two differ in length.
    """
    truth, scores = np.asarray(is_ill, dtype=bool), np.asarray(probabilities, dtype=float)
    if truth.shape != scores.shape:
        raise DataError(f"{len(truth)} persons, and {len(scores)} probabilities; give one each")
    rows = []
    for threshold in np.arange(1, 100) / 100:
        weight = threshold / (1 - threshold)
        _, wrong, _, right = confusion_matrix(
            truth, scores >= threshold, labels=[False, True]
        ).ravel()
        rows.append(
            {
                "threshold": threshold,
                "model": (right - weight * wrong) / len(truth),
                "everybody": truth.mean() - weight * (1 - truth.mean()),
            }
        )
    return pd.DataFrame(rows)
