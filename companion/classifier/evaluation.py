"""How good a classifier is, with its uncertainty, and beside what a simpler method gets.

Explained in :doc:`/project/evaluation`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix, log_loss, matthews_corrcoef
from sklearn.pipeline import Pipeline, make_pipeline

from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = [
    "Baseline",
    "Evaluation",
    "baselines",
    "bootstrap_intervals",
    "evaluate",
    "evaluate_probabilities",
    "measure_baselines",
    "tfidf_baseline",
]

_NUMBERS_AT_ONCE = 2**20  # of the bootstrap: 8 MiB
_MINIMUM_DOCUMENTS = 2  # in which a word must occur for TF-IDF to count it


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
            "accuracy": float(np.trace(confusion) / confusion.sum()),
            "macro_f1": float(
                _mean_f1(np.diagonal(confusion), confusion.sum(axis=1) + confusion.sum(axis=0))
            ),
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
    confusion matrix. Beyond the matrix itself, memory grows with its occupied cells and the number
    of classes, not with the square of that number.

    Args:
        confusion: ``(classes, classes)`` counts.
        resamples: The number of draws.
        level: The share of the draws inside the interval.
        seed: Fixes the draws.

    Returns:
        A row for ``accuracy`` and ``macro_f1`` with the columns ``low`` and ``high``.
    """
    confusion = np.asarray(confusion)
    documents, classes = confusion.sum(), len(confusion)
    # Empty cells take no part: the generator draws no number for a probability of 0. The last one
    # stays even if it is empty, because the generator treats it differently from the others.
    cells = np.union1d(np.flatnonzero(confusion), [confusion.size - 1])
    true, predicted = np.divmod(cells, classes)
    shares = confusion.ravel()[cells] / documents
    generator = np.random.default_rng(seed)
    accuracy, macro_f1 = np.empty(resamples), np.empty(resamples)
    rows = max(1, _NUMBERS_AT_ONCE // (len(cells) + classes))
    for first in range(0, resamples, rows):
        part = slice(first, min(first + rows, resamples))
        draws = generator.multinomial(documents, shares, size=part.stop - part.start)
        correct = _sums(np.where(true == predicted, draws, 0), true, classes)
        total = _sums(draws, true, classes) + _sums(draws, predicted, classes)
        accuracy[part] = correct.sum(axis=1) / documents
        macro_f1[part] = _mean_f1(correct, total)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return pd.DataFrame(
        [np.quantile(accuracy, tails), np.quantile(macro_f1, tails)],
        index=["accuracy", "macro_f1"],
        columns=["low", "high"],
    )


@dataclass(frozen=True)
class Baseline:
    """What was measured of one baseline, or why nothing was.

    Attributes:
        name: What it is.
        metrics: As in :class:`Evaluation`; None if it could not be fitted.
        problem: Why it could not be fitted; None if it was.
    """

    name: str
    metrics: "pd.Series[float] | None" = None
    problem: str | None = None


def tfidf_baseline(seed: int = 0) -> Pipeline:
    """Make the baseline to beat: TF-IDF with logistic regression, on the LSTM's tokens."""
    return make_pipeline(
        TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=_MINIMUM_DOCUMENTS),
        LogisticRegression(C=10, max_iter=1000, random_state=seed),
    )


def baselines(train: pd.DataFrame, test: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Measure two methods that need no neural network.

    Some training documents are too few or too different from each other for TF-IDF: then its row
    holds only NaN, and a warning says why. :func:`measure_baselines` returns the reason.

    Args:
        train: The columns ``text`` and ``label``.
        test: The same.
        seed: Fixes the baselines.

    Returns:
        The metrics of :class:`Evaluation`, a row for the majority class and one for TF-IDF with
        logistic regression.

    Raises:
        DataError: If a label of ``test`` is not in ``train``.
    """
    measured = measure_baselines(train, test, seed=seed)
    for each in measured:
        if each.problem is not None:
            warnings.warn(
                f"the baseline {each.name!r} could not be fitted: {each.problem}",
                UserWarning,
                stacklevel=2,
            )
    rows = [pd.Series(dtype=float) if each.metrics is None else each.metrics for each in measured]
    return pd.DataFrame(rows, index=[each.name for each in measured])


def measure_baselines(
    train: pd.DataFrame, test: pd.DataFrame, *, seed: int = 0
) -> tuple[Baseline, ...]:
    """Measure the methods of :func:`baselines`, and say which could not be fitted and why.

    Args:
        train: The columns ``text`` and ``label``.
        test: The same.
        seed: Fixes the baselines.

    Returns:
        The majority class, and TF-IDF with logistic regression.

    Raises:
        DataError: If a label of ``test`` is not in ``train``.
    """
    models = {
        "majority class": DummyClassifier(strategy="most_frequent"),
        "TF-IDF + logistic regression": tfidf_baseline(seed),
    }
    return tuple(_measured(name, model, train, test) for name, model in models.items())


def _measured(
    name: str, model: ClassifierMixin, train: pd.DataFrame, test: pd.DataFrame
) -> Baseline:
    try:
        model.fit(train["text"], train["label"])
    except (ValueError, MemoryError) as error:
        return Baseline(name, problem=_why_not_fitted(error))
    probabilities = model.predict_proba(test["text"])
    evaluation = evaluate_probabilities(test["label"].tolist(), probabilities, list(model.classes_))
    return Baseline(name, metrics=evaluation.metrics)


def _why_not_fitted(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if "no terms remain" in str(error):
        return f"no word occurs in {_MINIMUM_DOCUMENTS} training documents"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _require_known(labels: Sequence[str], classes: Sequence[str]) -> None:
    known = set(classes)
    for row, label in enumerate(labels, start=1):
        if label not in known:
            raise DataError(
                f"row {row}: the model was not trained on the label {label!r}; "
                f"it knows {', '.join(map(repr, classes))}"
            )


def _sums(
    draws: NDArray[np.integer], groups: NDArray[np.integer], count: int
) -> NDArray[np.integer]:
    """Add up the columns of ``(draws, cells)`` that belong to the same group, of ``count``."""
    cells = np.arange(len(groups))
    belongs = sparse.csr_array((np.ones_like(groups), (cells, groups)), (len(groups), count))
    return np.ascontiguousarray(draws @ belongs)


def _mean_f1(correct: NDArray[np.integer], total: NDArray[np.integer]) -> NDArray[np.float64]:
    """Average the F1 of the classes that occur or were predicted at all.

    Args:
        correct: ``(…, classes)`` documents of each class that were classified correctly.
        total: ``(…, classes)`` documents of each class plus those that were taken for it.
    """
    f1 = np.divide(2 * correct, total, out=np.full(total.shape, np.nan), where=total > 0)
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
