"""How good a classifier is, with its uncertainty, and beside what a simpler method gets.

Explained in :doc:`/project/evaluation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix, log_loss, matthews_corrcoef
from sklearn.pipeline import Pipeline, make_pipeline

from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = [
    "Evaluation",
    "baselines",
    "bootstrap_intervals",
    "evaluate",
    "evaluate_probabilities",
    "tfidf_baseline",
]


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one set of documents.

    Attributes:
        metrics: ``accuracy``, ``macro_f1``, ``mcc``, ``log_loss``, ``calibration_error`` and
            ``documents``.
        intervals: The 95 % bootstrap interval of accuracy and macro F1: columns ``low`` and
            ``high``.
        per_class: Precision, recall, F1 and the number of documents of each class.
        confusion: Counts; a row is the true class, a column the predicted one.
        calibration: By bin of confidence: ``documents``, mean ``confidence`` and ``accuracy``.
        predictions: By document: the true ``label``, the ``predicted`` one and its ``confidence``.
    """

    metrics: "pd.Series[float]"
    intervals: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame
    predictions: pd.DataFrame


def evaluate(classifier: TextClassifier, frame: pd.DataFrame) -> Evaluation:
    """Measure a classifier on labelled documents.

    Args:
        classifier: The trained classifier.
        frame: The columns ``text`` and ``label``.

    Returns:
        The measurements.

    Raises:
        DataError: If a label is not one that the classifier knows.
        EmptyDocumentError: If a text has no token.
    """
    _require_known(frame["label"].tolist(), classifier.labels)
    return evaluate_probabilities(
        frame["label"].tolist(), classifier.predict_proba(frame["text"].tolist()), classifier.labels
    )


def evaluate_probabilities(
    labels: Sequence[str],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> Evaluation:
    """Measure predicted probabilities against the true labels.

    Args:
        labels: The true label of each document.
        probabilities: ``(documents, classes)``, rows that add up to 1.
        classes: The label of each column.
        seed: Fixes the bootstrap.

    Returns:
        The measurements.

    Raises:
        DataError: If a label is not among the classes.
    """
    _require_known(labels, classes)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    predicted = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)]
    confidence = probabilities.max(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=list(classes))
    calibration = _calibration(confidence, predicted == np.asarray(labels, dtype=object))
    metrics = pd.Series(
        {
            "accuracy": float(_accuracy(confusion)),
            "macro_f1": float(_macro_f1(confusion)),
            "mcc": float(matthews_corrcoef(labels, predicted)),
            "log_loss": log_loss(
                labels, _in_sorted_order(probabilities, classes), labels=sorted(classes)
            ),
            "calibration_error": _calibration_error(calibration),
            "documents": float(len(labels)),
        },
        name="value",
    )
    return Evaluation(
        metrics=metrics,
        intervals=bootstrap_intervals(confusion, seed=seed),
        per_class=_per_class(labels, predicted, classes),
        confusion=pd.DataFrame(
            confusion, index=pd.Index(classes, name="true"), columns=list(classes)
        ),
        calibration=calibration,
        predictions=pd.DataFrame(
            {"label": list(labels), "predicted": predicted, "confidence": confidence}
        ),
    )


def bootstrap_intervals(
    confusion: NDArray[np.integer], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Estimate how far accuracy and macro F1 would move with another test set of the same size.

    Documents are drawn again with replacement; that is a multinomial draw over the cells of the
    confusion matrix.

    Args:
        confusion: ``(classes, classes)`` counts.
        resamples: The number of draws.
        level: The share of the draws inside the interval.
        seed: Fixes the draws.

    Returns:
        A row for ``accuracy`` and ``macro_f1`` with the columns ``low`` and ``high``.
    """
    cells = confusion.ravel()
    draws = np.random.default_rng(seed).multinomial(
        cells.sum(), cells / cells.sum(), size=resamples
    )
    draws = draws.reshape(resamples, *confusion.shape)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return pd.DataFrame(
        [np.quantile(_accuracy(draws), tails), np.quantile(_macro_f1(draws), tails)],
        index=["accuracy", "macro_f1"],
        columns=["low", "high"],
    )


def tfidf_baseline(seed: int = 0) -> Pipeline:
    """Make the baseline to beat: TF-IDF with logistic regression, on the LSTM's tokens."""
    return make_pipeline(
        TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=2),
        LogisticRegression(C=10, max_iter=1000, random_state=seed),
    )


def baselines(train: pd.DataFrame, test: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Measure what needs no neural network.

    Args:
        train: The columns ``text`` and ``label``.
        test: The same.
        seed: Fixes the baselines.

    Returns:
        The metrics of :class:`Evaluation`, a row for the majority class and one for TF-IDF with
        logistic regression.
    """
    models = {
        "majority class": DummyClassifier(strategy="most_frequent"),
        "TF-IDF + logistic regression": tfidf_baseline(seed),
    }
    rows = {}
    for name, model in models.items():
        model.fit(train["text"], train["label"])
        probabilities = model.predict_proba(test["text"])
        rows[name] = evaluate_probabilities(
            test["label"].tolist(), probabilities, list(model.classes_)
        ).metrics
    return pd.DataFrame(rows).T


def _require_known(labels: Sequence[str], classes: Sequence[str]) -> None:
    known = set(classes)
    for row, label in enumerate(labels, start=1):
        if label not in known:
            raise DataError(
                f"row {row}: the model was not trained on the label {label!r}; "
                f"it knows {', '.join(map(repr, classes))}"
            )


def _accuracy(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """The share on the diagonal of ``(…, classes, classes)`` counts."""
    correct = np.trace(confusion, axis1=-2, axis2=-1)
    return np.asarray(correct / confusion.sum(axis=(-2, -1)))


def _macro_f1(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """The mean F1 over the classes seen or predicted at all in ``(…, classes, classes)`` counts."""
    diagonal = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.divide(2 * diagonal, total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.asarray(np.nanmean(f1, axis=-1))


def _calibration(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 10
) -> pd.DataFrame:
    """Group documents by confidence and compare it with the share that is right."""
    frame = pd.DataFrame({"confidence": confidence, "accuracy": correct.astype(float)})
    edges = pd.cut(frame["confidence"], np.linspace(0, 1, bins + 1).tolist(), include_lowest=True)
    groups = frame.groupby(edges, observed=True)
    table = groups.mean()
    table.insert(0, "documents", groups.size())
    return table.rename_axis("bin")


def _calibration_error(calibration: pd.DataFrame) -> float:
    """The expected calibration error: the gap of each bin, weighted by its documents."""
    gap = (calibration["confidence"] - calibration["accuracy"]).abs()
    return float(np.average(gap, weights=calibration["documents"]))


def _in_sorted_order(
    probabilities: NDArray[np.floating], classes: Sequence[str]
) -> NDArray[np.floating]:
    """Scikit-learn's log loss wants the columns in the sorted order of the labels."""
    return probabilities[:, np.argsort(np.asarray(classes, dtype=object))]


def _per_class(
    labels: Sequence[str], predicted: NDArray[np.object_], classes: Sequence[str]
) -> pd.DataFrame:
    report = classification_report(
        labels, predicted, labels=list(classes), output_dict=True, zero_division=0
    )
    table = pd.DataFrame({name: report[name] for name in classes}).T
    table = table.rename(columns={"f1-score": "f1", "support": "documents"})
    return table.astype({"documents": int}).rename_axis("class")
