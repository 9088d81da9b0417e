"""The scikit-learn face of the fine-tuner; the tiny BERT of conftest stands in for MiniLM."""

import inspect
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from companion.errors import DataError, EmptyDocumentError
from companion.finetuning.estimator import TransformerClassifier
from companion.finetuning.model import METHODS
from tests.conftest import TOPICS, news
from tests.estimator_checks import over_numbers
from tests.finetuning.conftest import save_tiny_bert

SPORT, MONEY, FILM = (" ".join(TOPICS[topic]) for topic in ("sport", "money", "film"))
TINY: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "head_learning_rate": 2e-2,
    "dropout": 0.0,
    "device": "cpu",
}
CANNOT_APPLY = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight of 2 scales the loss of one text in one batch, and a text that stands there "
        "twice is drawn in two batches; only 0 is exact"
    ),
}


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    return news(24)


@pytest.fixture(scope="module")
def fitted(texts: pd.DataFrame, tiny_bert: Path) -> TransformerClassifier:
    model = TransformerClassifier(method="full", pretrained=tiny_bert, **TINY)
    return model.fit(texts["text"], texts["label"])


@pytest.fixture(scope="session")
def _bert_in_the_working_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("checks")
    save_tiny_bert(folder / "bert", layers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.mark.usefixtures("_bert_in_the_working_folder")
@parametrize_with_checks(
    [
        over_numbers(TransformerClassifier)(
            method="full", pretrained="bert", **(TINY | {"epochs": 8, "batch_size": 32})
        )
    ],
    expected_failed_checks=lambda _: CANNOT_APPLY,
    xfail_strict=True,
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns(method: str, texts: pd.DataFrame, tiny_bert: Path) -> None:
    model = TransformerClassifier(method=method, pretrained=tiny_bert, **TINY)
    other = news(24, seed=1)
    assert model.fit(texts["text"], texts["label"]).score(other["text"], other["label"]) > 0.75


def test_it_learns_labels_that_carry_nothing_no_better_than_chance(
    texts: pd.DataFrame, tiny_bert: Path
) -> None:
    shuffled = texts["label"].sample(frac=1, random_state=0).to_numpy()
    model = TransformerClassifier(method="head", pretrained=tiny_bert, **TINY)
    other = news(40, seed=1)
    assert model.fit(texts["text"], shuffled).score(other["text"], other["label"]) < 0.6


@pytest.mark.parametrize("classes", [2, 3])
def test_frozen_is_logistic_regression_on_the_embeddings(
    classes: int, texts: pd.DataFrame, tiny_bert: Path
) -> None:
    some = texts[texts["label"] != "film"] if classes == 2 else texts
    model = TransformerClassifier(pretrained=tiny_bert, device="cpu")
    model.fit(some["text"], some["label"])
    embeddings = model.embed(some["text"])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    trusted = LogisticRegression(max_iter=1000).fit(embeddings, some["label"])
    assert model.classes_.tolist() == trusted.classes_.tolist()
    np.testing.assert_allclose(
        model.predict_proba(some["text"]), trusted.predict_proba(embeddings), atol=1e-5
    )


def test_two_fits_give_the_same_bits(fitted: TransformerClassifier, texts: pd.DataFrame) -> None:
    expected = fitted.predict_proba(texts["text"])
    again = clone(fitted).fit(texts["text"], texts["label"])
    assert np.array_equal(again.predict_proba(texts["text"]), expected)
    other = clone(fitted).set_params(random_state=1).fit(texts["text"], texts["label"])
    assert not np.array_equal(other.predict_proba(texts["text"]), expected)


def test_a_fit_leaves_the_random_numbers_of_the_program_alone(
    fitted: TransformerClassifier, texts: pd.DataFrame
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    clone(fitted).fit(texts["text"], texts["label"])
    assert torch.equal(torch.rand(1), expected)


def test_a_second_fit_starts_from_the_pretrained_weights(
    fitted: TransformerClassifier, texts: pd.DataFrame
) -> None:
    model = clone(fitted).fit(news(12, seed=5)["text"], news(12, seed=5)["label"])
    model.fit(texts["text"], texts["label"])
    assert np.array_equal(model.predict_proba(texts["text"]), fitted.predict_proba(texts["text"]))


def test_the_answer_to_a_text_does_not_depend_on_its_neighbours(
    fitted: TransformerClassifier, texts: pd.DataFrame
) -> None:
    together = fitted.predict_proba(["goal", *texts["text"]])[0]
    np.testing.assert_allclose(fitted.predict_proba(["goal"])[0], together, atol=1e-6)


@pytest.mark.parametrize("convert", [list, tuple, np.array, pd.Series, pd.Index])
def test_texts_may_come_in_any_container(convert: Any, fitted: TransformerClassifier) -> None:
    assert fitted.predict(convert([SPORT, MONEY])).tolist() == ["sport", "money"]
    assert fitted.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("kinds", [["b", "a", "c"], [10, 9, 100], [2.0, 0.0, 1.0]])
def test_labels_keep_their_type(kinds: Any, texts: pd.DataFrame, tiny_bert: Path) -> None:
    kinds = np.asarray(kinds)
    codes = texts["label"].map({"film": 0, "money": 1, "sport": 2}).to_numpy()
    model = TransformerClassifier(method="full", pretrained=tiny_bert, **TINY)
    answers = model.fit(texts["text"], kinds[codes]).predict([FILM, MONEY, SPORT])
    assert answers.dtype == kinds.dtype
    assert answers.tolist() == kinds.tolist()


@pytest.mark.parametrize("method", ["frozen", "full"])
def test_weights_decide_between_two_labels_of_one_text(method: str, tiny_bert: Path) -> None:
    texts, labels = ["goal and bank"] * 20, ["a", "b"] * 10
    for heavy in "ab":
        weights = [10.0 if label == heavy else 1.0 for label in labels]
        model = TransformerClassifier(method=method, pretrained=tiny_bert, **TINY)
        assert model.fit(texts, labels, weights).predict(["goal and bank"]) == [heavy]
        by_class = clone(model).set_params(class_weight={heavy: 10.0})
        assert by_class.fit(texts, labels).predict(["goal and bank"]) == [heavy]


def test_a_text_of_weight_zero_is_as_if_it_were_not_there(
    fitted: TransformerClassifier, texts: pd.DataFrame
) -> None:
    extra = news(5, seed=9).assign(label="other")
    both = pd.concat([extra, texts], ignore_index=True)
    weights = np.r_[np.zeros(len(extra)), np.full(len(texts), 3.0)]
    weighted = clone(fitted).fit(both["text"], both["label"], weights)
    assert weighted.classes_.tolist() == fitted.classes_.tolist()
    assert np.array_equal(
        weighted.predict_proba(texts["text"]), fitted.predict_proba(texts["text"])
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "half"}, "method is 'half'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"dropout": True}, "dropout is True"),
        ({"random_state": -1}, "random_state is -1"),
        ({"method": "top", "top_layers": 4}, "4 layers asked for; the encoder has 3"),
        ({"reinitialise_layers": 9}, "9 layers asked for; the encoder has 3"),
    ],
)
def test_a_parameter_is_checked_in_fit(
    parameters: dict[str, Any], message: str, tiny_bert: Path
) -> None:
    model = TransformerClassifier(pretrained=tiny_bert, device="cpu").set_params(**parameters)
    with pytest.raises(DataError, match=message):
        model.fit(["goal", "bank"], [0, 1])


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (["goal", None], [0, 1], DataError, "row 2: None"),
        (["goal", "..."], [0, 1], EmptyDocumentError, "row 2: '...' has no letter"),
        (["goal", "bank"], [0, 0], DataError, "y has one class"),
        (["goal", "bank"], [0, 1, 1], ValueError, "inconsistent numbers"),
        ("goal", [0], DataError, "a single string"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    x: Any, y: Any, error: type[Exception], message: str, tiny_bert: Path
) -> None:
    model = TransformerClassifier(pretrained=tiny_bert, device="cpu")
    with pytest.raises(error, match=message):
        model.fit(x, y)
    with pytest.raises(NotFittedError):
        model.predict(["goal"])


@pytest.mark.parametrize("method", ["full", "lora"])
def test_pickle_and_joblib_keep_the_answers(
    method: str, texts: pd.DataFrame, tiny_bert: Path, tmp_path: Path
) -> None:
    model = TransformerClassifier(method=method, pretrained=tiny_bert, **TINY)
    expected = model.fit(texts["text"], texts["label"]).predict_proba(texts["text"])
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(copy.predict_proba(texts["text"]), expected)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert np.array_equal(loaded.predict_proba(texts["text"]), expected)


def test_clone_and_parameters(fitted: TransformerClassifier) -> None:
    copy = clone(fitted)
    assert is_classifier(copy)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "classes_")
    assert set(copy.get_params()) == set(inspect.signature(TransformerClassifier).parameters)


def test_in_a_pipeline_and_a_search(texts: pd.DataFrame, tiny_bert: Path) -> None:
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: texts.str.lower()),
        TransformerClassifier(pretrained=tiny_bert, **TINY),
    )
    grid = {"transformerclassifier__method": ["frozen", "lora"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(texts["text"].str.upper(), texts["label"])
    assert len(search.cv_results_["params"]) == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
