"""The measurements, held against scikit-learn and against formulas."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.evaluation import (
    baselines,
    bootstrap_intervals,
    evaluate,
    evaluate_probabilities,
    measure_baselines,
    tfidf_baseline,
)
from companion.classifier.text import tokenize
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


def test_each_class_is_measured_as_scikit_learn_does(
    answers: tuple[list[str], np.ndarray],
) -> None:
    labels, probabilities = answers
    evaluation = evaluate_probabilities(labels, probabilities, CLASSES)
    predicted = evaluation.predictions["predicted"].tolist()
    expected = precision_recall_fscore_support(labels, predicted, labels=CLASSES)
    assert evaluation.per_class.index.tolist() == CLASSES
    assert evaluation.per_class.index.name == "class"
    assert evaluation.per_class.columns.tolist() == ["precision", "recall", "f1", "documents"]
    np.testing.assert_allclose(evaluation.per_class.to_numpy().T, np.array(expected))
    assert evaluation.per_class["documents"].dtype.kind == "i"


def test_a_class_that_is_never_seen_nor_predicted_counts_for_nothing() -> None:
    """Its F1 is 0 / 0: the table says 0, and the mean is over the others."""
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation = evaluate_probabilities(["a", "b", "b"], probabilities, ["a", "b", "never"])
    assert evaluation.per_class.loc["never"].tolist() == [0, 0, 0, 0]
    assert evaluation.metrics["macro_f1"] == pytest.approx(
        f1_score(["a", "b", "b"], ["a", "b", "a"], average="macro")
    )
    assert evaluation.metrics["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.3]).mean())


def test_a_class_with_one_document_that_is_missed_has_an_f1_of_zero() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    evaluation = evaluate_probabilities(["a", "b"], probabilities, ["a", "b"])
    assert evaluation.metrics["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_every_answer_is_kept(answers: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = answers
    predictions = evaluate_probabilities(labels, probabilities, CLASSES).predictions
    assert predictions["label"].tolist() == labels
    assert predictions["predicted"].tolist() == [
        CLASSES[index] for index in probabilities.argmax(axis=1)
    ]
    assert predictions["confidence"].tolist() == probabilities.max(axis=1).tolist()
    assert predictions.columns.tolist() == ["label", "predicted", "confidence"]


def test_the_tables_say_what_their_rows_are(answers: tuple[list[str], np.ndarray]) -> None:
    evaluation = evaluate_probabilities(*answers, CLASSES)
    assert evaluation.metrics.name == "value"
    assert evaluation.confusion.index.name == "true"
    assert evaluation.calibration.index.name == "bin"
    assert evaluation.calibration.columns.tolist() == ["documents", "confidence", "accuracy"]
    assert evaluation.intervals.index.tolist() == ["accuracy", "macro_f1"]
    assert evaluation.intervals.columns.tolist() == ["low", "high"]


def test_single_precision_answers_are_measured_in_double_precision() -> None:
    single = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    predictions = evaluate_probabilities(["a", "b"], single, ["a", "b"]).predictions
    assert predictions["confidence"].dtype == np.float64


def test_the_calibration_equals_scikit_learn(answers: tuple[list[str], np.ndarray]) -> None:
    """Ten bins of equal width over the confidence."""
    labels, probabilities = answers
    table = evaluate_probabilities(labels, probabilities, CLASSES).calibration
    confidence = probabilities.max(axis=1)
    correct = [
        label == CLASSES[index]
        for label, index in zip(labels, probabilities.argmax(axis=1), strict=True)
    ]
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], mean_confidence)
    gaps = np.abs(accuracy - mean_confidence)
    error = evaluate_probabilities(labels, probabilities, CLASSES).metrics["calibration_error"]
    assert error == pytest.approx((gaps * table["documents"]).sum() / 200)


@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")
def test_an_answer_that_is_not_sure_at_all_has_a_bin() -> None:
    """A confidence of zero comes from a model that is broken, and must not vanish from the sum."""
    calibration = evaluate_probabilities(["a", "b"], np.zeros((2, 2)), ["a", "b"]).calibration
    assert calibration["documents"].tolist() == [2]


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


def test_the_bootstrap_of_macro_f1_agrees_with_drawing_the_documents() -> None:
    confusion = np.array([[30, 10, 0], [5, 40, 5], [0, 4, 16]])
    true, predicted = np.indices(confusion.shape).reshape(2, 9)
    labels, answers = np.repeat(true, confusion.ravel()), np.repeat(predicted, confusion.ravel())
    generator = np.random.default_rng(7)
    scores = []
    for _ in range(1500):
        rows = generator.integers(len(labels), size=len(labels))
        scores.append(f1_score(labels[rows], answers[rows], average="macro"))
    interval = bootstrap_intervals(confusion, resamples=20_000).loc["macro_f1"]
    assert interval["low"] == pytest.approx(np.quantile(scores, 0.025), abs=0.01)
    assert interval["high"] == pytest.approx(np.quantile(scores, 0.975), abs=0.01)


def test_the_seed_fixes_the_intervals(answers: tuple[list[str], np.ndarray]) -> None:
    confusion = np.array([[30, 10], [5, 40]])
    default = bootstrap_intervals(confusion)
    assert default.equals(bootstrap_intervals(confusion, seed=0))
    assert not default.equals(bootstrap_intervals(confusion, seed=1))
    wide = bootstrap_intervals(confusion, level=0.99)
    assert (wide["low"] < default["low"]).all()
    assert (wide["high"] > default["high"]).all()
    first, second, third = (
        evaluate_probabilities(*answers, CLASSES, seed=seed).intervals for seed in (0, 0, 3)
    )
    assert first.equals(second)
    assert not first.equals(third)


def _intervals_of_all_cells(
    confusion: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the intervals from whole matrices, whose memory is quadratic in the classes."""
    draws = np.random.default_rng(seed).multinomial(
        confusion.sum(), confusion.ravel() / confusion.sum(), size=resamples
    )
    draws = draws.reshape(resamples, *confusion.shape)
    correct = np.diagonal(draws, axis1=1, axis2=2)
    total = draws.sum(axis=1) + draws.sum(axis=2)
    f1 = np.divide(2 * correct, total, out=np.full(total.shape, np.nan), where=total > 0)
    scores = (correct.sum(axis=1) / confusion.sum(), np.nanmean(f1, axis=1))
    accuracy, macro_f1 = (np.quantile(score, [(1 - 0.95) / 2, (1 + 0.95) / 2]) for score in scores)
    return accuracy, macro_f1


@pytest.mark.parametrize("numbers_at_once", [1, 1_000, 2**20])
@pytest.mark.parametrize("is_last_empty", [True, False])
def test_the_bootstrap_in_parts_draws_what_it_draws_at_once(
    numbers_at_once: int, is_last_empty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal to the bit, except that a mean over a single row may round differently."""
    monkeypatch.setattr("companion.classifier.evaluation._NUMBERS_AT_ONCE", numbers_at_once)
    generator = np.random.default_rng(4)
    for classes in (2, 5, 12):
        is_filled = generator.random((classes, classes)) < 0.4
        confusion = np.diag(generator.integers(1, 30, classes))
        confusion += is_filled * generator.integers(0, 9, (classes, classes))
        if is_last_empty:
            confusion[-1, -1] = 0
        found = bootstrap_intervals(confusion, resamples=300, seed=classes)
        accuracy, macro_f1 = _intervals_of_all_cells(confusion, 300, classes)
        np.testing.assert_array_equal(found.loc["accuracy"], accuracy)
        np.testing.assert_allclose(found.loc["macro_f1"], macro_f1, rtol=1e-14)
        if numbers_at_once == 2**20:
            np.testing.assert_array_equal(found.loc["macro_f1"], macro_f1)


def test_the_memory_of_the_bootstrap_is_linear_in_the_classes() -> None:
    """All cells of 2,000 resamples of 1,000 classes would take 16 GB."""
    confusion = np.diag(np.full(1_000, 3))
    tracemalloc.start()
    intervals = bootstrap_intervals(confusion)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert intervals.loc["accuracy"].tolist() == [1.0, 1.0]


def test_the_baseline_reads_the_tokens_of_the_lstm() -> None:
    vectorizer, regression = (step for _, step in tfidf_baseline(seed=5).steps)
    assert vectorizer.analyzer is tokenize
    assert vectorizer.sublinear_tf
    assert vectorizer.min_df == 2
    assert (regression.C, regression.max_iter, regression.random_state) == (10, 1000, 5)


def test_the_baselines_are_what_they_say(splits: Splits) -> None:
    table = baselines(splits.train, splits.test)
    majority = splits.train["label"].value_counts().index[0]
    assert table.loc["majority class", "accuracy"] == pytest.approx(
        (splits.test["label"] == majority).mean()
    )
    assert table.loc["TF-IDF + logistic regression", "accuracy"] > 0.9


def test_a_baseline_that_cannot_be_fitted_is_not_a_number() -> None:
    words = [f"word{number}" for number in range(12)]
    frame = pd.DataFrame({"text": words, "label": ["a", "b", "b"] * 4})
    with pytest.warns(UserWarning, match="'TF-IDF.*: no word occurs in 2 training documents"):
        table = baselines(frame, frame)
    assert table.loc["majority class", "accuracy"] == pytest.approx(2 / 3)
    assert table.loc["TF-IDF + logistic regression"].isna().all()
    majority, tfidf = measure_baselines(frame, frame)
    assert (majority.problem, tfidf.metrics) == (None, None)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (MemoryError(), "it needs more memory than there is"),
        (ValueError("odd labels\nand more"), "odd labels"),
        (ValueError(), "ValueError"),
    ],
)
def test_it_says_why_a_baseline_cannot_be_fitted(
    error: Exception, problem: str, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(LogisticRegression, "fit", fail)
    _, tfidf = measure_baselines(splits.train, splits.test)
    assert (tfidf.metrics, tfidf.problem) == (None, problem)


def test_a_label_unknown_to_the_baselines_is_an_error(splits: Splits) -> None:
    with pytest.raises(DataError, match="'weather'"):
        baselines(splits.train, splits.test.assign(label="weather"))


def test_a_label_that_the_model_does_not_know(splits: Splits, small: Configuration) -> None:
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    with pytest.raises(DataError, match=r"row 2: .*'weather'.*'film', 'money', 'sport'"):
        evaluate(
            classifier, pd.DataFrame({"text": ["goal", "rain"], "label": ["sport", "weather"]})
        )
