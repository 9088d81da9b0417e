"""Training learns, stops, and restores."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from companion.classifier import training
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import Splits
from companion.classifier.evaluation import evaluate
from companion.classifier.training import TrainingRun, train
from companion.errors import DataError, DeviceError, EmptyDocumentError


def test_it_learns_what_can_be_learnt(splits: Splits, small: Configuration) -> None:
    run = train(
        splits.train, splits.validation, dataclasses.replace(small, epochs=8), progress=False
    )
    assert evaluate(run.classifier, splits.test).metrics["accuracy"] > 0.9
    assert run.history["training_loss"].iloc[-1] < run.history["training_loss"].iloc[0]
    assert run.history.index.tolist() == list(range(1, 9))


def test_the_article_configuration_learns_too(splits: Splits) -> None:
    configuration = dataclasses.replace(
        CONFIGURATIONS["article"], hidden_size=24, learning_rate=5e-3
    )
    run = train(splits.train, splits.validation, configuration, progress=False)
    assert evaluate(run.classifier, splits.test).metrics["accuracy"] > 0.7


def test_it_stops_when_patience_is_over(splits: Splits, small: Configuration) -> None:
    configuration = dataclasses.replace(
        small, epochs=50, patience=2, learning_rate=0.3, schedule="constant"
    )
    run = train(splits.train, splits.validation, configuration, progress=False)
    assert len(run.history) == run.best_epoch + 2 < 50


def test_a_loss_that_is_no_number_is_an_error(
    splits: Splits, small: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "log", lambda values: np.full_like(values, np.nan))
    configuration = dataclasses.replace(small, vectors="random")
    with pytest.raises(DataError, match="lower the learning rate"):
        train(splits.train, splits.validation, configuration, progress=False)


def test_the_random_state_of_the_caller_is_left_alone(splits: Splits, small: Configuration) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(splits.train, splits.validation, small, progress=False)
    assert torch.equal(torch.rand(1), expected)


def test_a_device_that_is_not_there(splits: Splits, small: Configuration) -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(DeviceError, match=f"'{missing}' is not on this machine, which has .*cpu"):
        train(splits.train, splits.validation, small, device=missing, progress=False)
    with pytest.raises(DeviceError, match="there is no device 'gpu'"):
        train(splits.train, splits.validation, small, device="gpu", progress=False)


def test_validation_labels_must_be_in_training(splits: Splits, small: Configuration) -> None:
    odd = splits.validation.assign(label="weather")
    with pytest.raises(DataError, match="weather"):
        train(splits.train, odd, small, progress=False)


def test_prediction_refuses_what_it_cannot_read(splits: Splits, small: Configuration) -> None:
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    with pytest.raises(DataError, match="single string"):
        classifier.predict("a goal")
    with pytest.raises(DataError, match="row 2: None"):
        classifier.predict(["a goal", None])  # type: ignore[list-item]
    with pytest.raises(EmptyDocumentError, match="row 2: '!!!'"):
        classifier.predict(["a goal", "!!!"])
    assert classifier.predict([]) == []
    assert classifier.predict(["goal " * 10_000, "neverseen " * 10_000])[0] == "sport"


def test_the_order_of_the_texts_does_not_matter(splits: Splits, small: Configuration) -> None:
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    texts = splits.test["text"]
    forwards, backwards = (
        classifier.predict_proba(texts.tolist()),
        classifier.predict_proba(texts.tolist()[::-1]),
    )
    np.testing.assert_allclose(forwards, backwards[::-1], atol=1e-6)
    np.testing.assert_allclose(forwards.sum(axis=1), 1)
    pd.testing.assert_series_equal(
        pd.Series(classifier.predict(texts.tolist())), pd.Series(classifier.predict(texts))
    )


def _weights(run: TrainingRun) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(run.classifier.model.parameters())


def _one_batch(small: Configuration) -> Configuration:
    return dataclasses.replace(
        small, epochs=1, batch_size=500, dropout=0.0, word_dropout=0.0, label_smoothing=0.0
    )


@pytest.mark.parametrize("weight", [1, 0.3, 5e300])
def test_equal_weights_change_no_bit(splits: Splits, small: Configuration, weight: float) -> None:
    plain = train(splits.train, splits.validation, small, progress=False)
    equal = train(
        splits.train.assign(weight=weight),
        splits.validation.assign(weight=weight),
        small,
        progress=False,
    )
    assert torch.equal(_weights(plain), _weights(equal))
    pd.testing.assert_frame_equal(plain.history, equal.history, check_exact=True)


def test_the_losses_are_means_by_weight(splits: Splits, small: Configuration) -> None:
    """Against the formula, from the probabilities of the untrained and of the trained model."""
    generator = np.random.default_rng(4)
    training = splits.train.assign(weight=generator.exponential(size=len(splits.train)))
    validation = splits.validation.assign(weight=generator.integers(0, 5, len(splits.validation)))
    still = dataclasses.replace(
        _one_batch(small), learning_rate=1e-8, weight_decay=0.0, training_words=100
    )
    run = train(training, validation, still, progress=False)
    for frame, name in ((training, "training_loss"), (validation, "validation_loss")):
        probabilities = run.classifier.predict_proba(frame["text"].tolist())
        columns = [run.classifier.labels.index(label) for label in frame["label"]]
        losses = [
            -math.log(row[column]) for row, column in zip(probabilities, columns, strict=True)
        ]
        expected = sum(
            weight * loss for weight, loss in zip(frame["weight"], losses, strict=True)
        ) / sum(frame["weight"])
        assert run.history[name].item() == pytest.approx(expected, rel=1e-5)
        assert run.history[name].item() != pytest.approx(np.mean(losses), rel=1e-3)


def test_a_weight_scales_the_gradient_of_its_own_document(
    splits: Splits, small: Configuration
) -> None:
    """Weight k in a batch of all documents is the document k times in the loss."""
    documents = pd.concat([splits.train.head(10)] * 2, ignore_index=True)
    configuration = dataclasses.replace(_one_batch(small), epochs=3, training_words=100)
    twice = train(
        documents.assign(weight=[1.0] * 5 + [3.0] * 5 + [1.0] * 10),
        splits.validation,
        configuration,
        progress=False,
    )
    moved = train(
        documents.assign(weight=[2.0] * 5 + [1.0] * 5 + [0.0] * 5 + [3.0] * 5),
        splits.validation,
        configuration,
        progress=False,
    )
    plain = train(documents, splits.validation, configuration, progress=False)
    torch.testing.assert_close(_weights(twice), _weights(moved), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(_weights(twice), _weights(plain), rtol=1e-3, atol=1e-3)


def test_weight_zero_leaves_a_document_out_of_the_loss(
    splits: Splits, small: Configuration
) -> None:
    """A wrong label with weight 0 has no effect; with weight 1 it has one."""
    training = splits.train.assign(weight=1.0)
    training.loc[:9, "weight"] = 0.0
    wrong = training.copy()
    wrong.loc[:9, "label"] = "film"
    assert (training["label"] != wrong["label"]).any()
    left_out, also = (train(f, splits.validation, small, progress=False) for f in (training, wrong))
    assert torch.equal(_weights(left_out), _weights(also))
    counted = train(wrong.assign(weight=1.0), splits.validation, small, progress=False)
    assert not torch.equal(_weights(left_out), _weights(counted))


def test_a_batch_of_weight_zero_is_no_division_by_zero(
    splits: Splits, small: Configuration
) -> None:
    configuration = dataclasses.replace(small, batch_size=1, epochs=1)
    training = splits.train.assign(weight=[1.0] + [0.0] * (len(splits.train) - 1))
    run = train(training, splits.validation, configuration, progress=False)
    assert torch.isfinite(_weights(run)).all()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-1.0, "row 3: the weight is -1.0; give a finite number from 0 up"),
        (math.nan, "row 3: the weight is nan"),
        (math.inf, "row 3: the weight is inf"),
        ("many", "row 3: the weight is 'many'"),
        (None, "row 3: the weight is None"),
        (True, "row 3: the weight is True"),
    ],
)
@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_weight_must_be_a_number_from_zero_up(
    splits: Splits, small: Configuration, weight: object, message: str, part: str
) -> None:
    tables = {"training": splits.train, "validation": splits.validation}
    column = pd.Series([1.0] * len(tables[part]), dtype=object)
    column[2] = weight
    tables[part] = tables[part].assign(weight=column)
    with pytest.raises(DataError, match=f"the {part} documents, {message}"):
        train(tables["training"], tables["validation"], small, progress=False)


def test_some_weight_must_be_above_zero(splits: Splits, small: Configuration) -> None:
    with pytest.raises(DataError, match="the training documents: all weights are 0"):
        train(splits.train.assign(weight=0), splits.validation, small, progress=False)


def test_a_large_batch_is_read_in_parts_and_learns_the_same(
    splits: Splits, small: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighted = splits.train.assign(weight=np.resize([1.0, 3.0, 2.0], len(splits.train)))
    choices = dataclasses.replace(small, batch_size=24, dropout=0.0, word_dropout=0.0)
    widths: list[int] = []
    forward = training.LSTMClassifier.forward

    def watched(
        self: training.LSTMClassifier, token_ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        widths.append(len(token_ids))
        return forward(self, token_ids, lengths)

    monkeypatch.setattr(training.LSTMClassifier, "forward", watched)
    histories = {}
    for rows in (24, 7):
        monkeypatch.setattr(training, "_ROWS_AT_ONCE", rows)
        widths.clear()
        run = train(weighted, splits.validation, choices, device="cpu", progress=False)
        histories[rows] = run.history
        assert rows in widths
    assert 24 not in widths
    pd.testing.assert_frame_equal(histories[24], histories[7], rtol=1e-4)
