"""The measurements, held against scikit-learn and against formulas."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef

from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.evaluation import (
    baselines,
    bootstrap_intervals,
    evaluate,
    evaluate_probabilities,
)
from companion.classifier.training import train
from companion.errors import DataError

CLASSES = ["tech", "business", "sport"]  # not in sorted order, on purpose


@pytest.fixture
def answers() -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.choice(CLASSES, 200).tolist()
    logits = generator.normal(size=(200, 3))
    logits[np.arange(200), [CLASSES.index(label) for label in labels]] += 1
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_the_metrics_equal_scikit_learn(answers: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = answers
    predicted = [CLASSES[index] for index in probabilities.argmax(axis=1)]
    metrics = evaluate_probabilities(labels, probabilities, CLASSES).metrics
    assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics["mcc"] == pytest.approx(matthews_corrcoef(labels, predicted))
    assert metrics["log_loss"] == pytest.approx(
        log_loss(labels, probabilities[:, [1, 2, 0]], labels=sorted(CLASSES))
    )
    assert metrics["documents"] == 200


def test_the_tables_count_every_document(answers: tuple[list[str], np.ndarray]) -> None:
    evaluation = evaluate_probabilities(*answers, CLASSES)
    assert evaluation.confusion.to_numpy().sum() == 200
    assert evaluation.calibration["documents"].sum() == 200
    assert evaluation.per_class["documents"].sum() == 200
    assert evaluation.confusion.index.tolist() == evaluation.confusion.columns.tolist() == CLASSES
    rows = pd.Series(answers[0]).value_counts()
    assert evaluation.confusion.sum(axis=1).to_dict() == rows.to_dict()


def test_the_calibration_error_of_a_known_case() -> None:
    """Ten answers, all 85 % sure, six of them right: the gap is 0.25."""
    labels = ["a"] * 6 + ["b"] * 4
    metrics = evaluate_probabilities(labels, np.tile([0.85, 0.15], (10, 1)), ["a", "b"]).metrics
    assert metrics["calibration_error"] == pytest.approx(0.25)


def test_the_bootstrap_agrees_with_the_binomial() -> None:
    """For many documents an accuracy's interval is a binomial's: 1.96 standard errors each side."""
    confusion = np.array([[900, 100], [100, 900]])
    interval = bootstrap_intervals(confusion, resamples=20_000).loc["accuracy"]
    half_width = 1.96 * np.sqrt(0.9 * 0.1 / 2000)
    assert interval["low"] == pytest.approx(0.9 - half_width, abs=1e-3)
    assert interval["high"] == pytest.approx(0.9 + half_width, abs=1e-3)


def test_the_baselines_are_what_they_say(splits: Splits) -> None:
    table = baselines(splits.train, splits.test)
    majority = splits.train["label"].value_counts().index[0]
    assert table.loc["majority class", "accuracy"] == pytest.approx(
        (splits.test["label"] == majority).mean()
    )
    assert table.loc["TF-IDF + logistic regression", "accuracy"] > 0.9


def test_a_label_that_the_model_does_not_know(splits: Splits, small: Configuration) -> None:
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    with pytest.raises(DataError, match=r"row 2: .*'weather'.*'film', 'money', 'sport'"):
        evaluate(
            classifier, pd.DataFrame({"text": ["goal", "rain"], "label": ["sport", "weather"]})
        )
