"""Training learns, stops, and restores."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import Splits
from companion.classifier.evaluation import evaluate
from companion.classifier.training import train
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
