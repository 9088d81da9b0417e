"""The scikit-learn face of the classifier."""

import dataclasses
import inspect
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from companion.classifier.configuration import Configuration
from companion.classifier.estimator import NewsClassifier, as_texts, validation_rows
from companion.classifier.training import train
from companion.errors import DataError, EmptyDocumentError
from tests.conftest import TOPICS, news
from tests.estimator_checks import over_numbers

TINY: dict[str, Any] = {
    "embedding_size": 8,
    "hidden_size": 8,
    "epochs": 8,
    "embedding_scale": 0.5,
    "batch_size": 16,
    "window": 0,
    "learning_rate": 5e-2,
    "dropout": 0.0,
    "word_dropout": 0.0,
    "vectors": "random",
    "minimum_count": 1,
    "device": "cpu",
}
SPORT, MONEY, FILM = (" ".join(TOPICS[topic]) for topic in ("sport", "money", "film"))
CANNOT_APPLY = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight of 2 scales the loss of one text in one batch, and a text that stands there "
        "twice is drawn in two batches and counts twice for the vocabulary; only 0 is exact"
    ),
}


@parametrize_with_checks(
    [over_numbers(NewsClassifier)(**(TINY | {"batch_size": 32}))],
    expected_failed_checks=lambda _: CANNOT_APPLY,
    xfail_strict=True,
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)


def test_without_the_translator_scikit_learn_checks_only_that_it_can_be_cloned() -> None:
    with pytest.warns(Warning, match="Can't test estimator NewsClassifier"):
        checks = [check for _, check in estimator_checks_generator(NewsClassifier())]
    assert [check.func.__name__ for check in checks] == ["check_estimator_cloneable"]


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    return news(20)


@pytest.fixture(scope="module")
def fitted(texts: pd.DataFrame) -> NewsClassifier:
    return NewsClassifier(**TINY).fit(texts["text"], texts["label"])


def test_the_parameters_are_those_of_the_configuration() -> None:
    parameters = inspect.signature(NewsClassifier).parameters
    names = [field.name for field in dataclasses.fields(Configuration)]
    assert list(parameters)[: len(names) - 1] == [name for name in names if name != "seed"]
    for field in dataclasses.fields(Configuration):
        name = "random_state" if field.name == "seed" else field.name
        assert parameters[name].default == field.default, name
    assert list(parameters)[len(names) - 1 :] == [
        "validation_fraction",
        "class_weight",
        "device",
        "precision",
        "random_state",
        "verbose",
    ]
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in parameters.values())


def test_every_choice_reaches_the_training(texts: pd.DataFrame) -> None:
    other = Configuration(
        embedding_size=9,
        hidden_size=7,
        layers=2,
        bidirectional=False,
        pooling="max",
        vectors="random",
        embedding_scale=0.2,
        dropout=0.1,
        word_dropout=0.2,
        input_dropout=0.05,
        window=5,
        training_words=11,
        maximum_words=13,
        minimum_count=1,
        maximum_vocabulary=40,
        batch_size=7,
        epochs=1,
        learning_rate=0.02,
        schedule="constant",
        weight_decay=0.02,
        label_smoothing=0.1,
        clip_norm=0.5,
        patience=3,
        seed=5,
    )
    choices = dataclasses.asdict(other)
    model = NewsClassifier(random_state=choices.pop("seed"), device="cpu", **choices)
    model.fit(texts["text"], texts["label"])
    assert model.text_classifier_.configuration == other
    assert all(
        getattr(other, field.name) != field.default for field in dataclasses.fields(Configuration)
    ), "a choice left at its default would show nothing"


@pytest.mark.usefixtures("bfloat16")
def test_the_precision_reaches_the_training(texts: pd.DataFrame, fitted: NewsClassifier) -> None:
    half = NewsClassifier(**TINY, precision="bfloat16").fit(texts["text"], texts["label"])
    assert not half.history_.equals(fitted.history_)
    losses = [model.history_["training_loss"] for model in (half, fitted)]
    pd.testing.assert_series_equal(*losses, rtol=0.05)
    with pytest.raises(DataError, match="there is no precision 'half'"):
        NewsClassifier(**TINY, precision="half").fit(texts["text"], texts["label"])


def test_it_trains_as_train_does(texts: pd.DataFrame) -> None:
    model = NewsClassifier(**TINY).fit(texts["text"], texts["label"])
    held_out = validation_rows(texts["text"].tolist(), texts["label"].tolist(), 0.1, 0)
    configuration = Configuration(
        **{name: value for name, value in TINY.items() if name != "device"}
    )
    run = train(texts[~held_out], texts[held_out], configuration, device="cpu", progress=False)
    assert np.array_equal(
        model.predict_proba(texts["text"]), run.classifier.predict_proba(texts["text"].tolist())
    )
    pd.testing.assert_frame_equal(model.history_, run.history)
    assert (model.best_epoch_, model.n_iter_) == (run.best_epoch, len(run.history))
    assert model.text_classifier_.labels == run.classifier.labels == ["film", "money", "sport"]


def test_it_learns(fitted: NewsClassifier) -> None:
    other = news(20, seed=1)
    assert fitted.score(other["text"], other["label"]) > 0.9
    assert fitted.score(other["text"], other["label"], np.ones(len(other))) > 0.9


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        pd.Series,
        lambda texts: pd.Series(texts, index=range(7, 7 + len(texts)), dtype="string"),
        pd.Index,
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: np.array(texts, dtype=object)[:, None],
    ],
)
def test_texts_may_come_in_any_container(convert: Any, fitted: NewsClassifier) -> None:
    given = [SPORT, MONEY]
    assert fitted.predict(convert(given)).tolist() == ["sport", "money"]


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c"],
        [10, 9, 100],
        [-1, 0, 1],
        np.array([2, 0, 1], dtype=np.int8),
        np.array(["x", "y", " x"]),
        np.array(["eins", 2, "drei"], dtype=object).astype(str),
        np.array([2.0, 0.0, 1.0]),
        pd.Series(["b", "a", "c"], dtype="category").to_numpy(),
    ],
)
def test_labels_keep_their_type(labels: Any, texts: pd.DataFrame) -> None:
    kinds = np.asarray(labels)
    codes = texts["label"].map({"film": 0, "money": 1, "sport": 2}).to_numpy()
    model = NewsClassifier(**TINY).fit(texts["text"], kinds[codes])
    assert model.classes_.dtype == kinds.dtype
    assert model.classes_.tolist() == sorted(kinds.tolist())
    answers = model.predict([FILM, MONEY, SPORT])
    assert answers.dtype == kinds.dtype
    assert answers.tolist() == kinds.tolist()
    columns = model.predict_proba([MONEY])[0]
    assert model.classes_[columns.argmax()] == kinds[1]


def test_two_classes_may_be_true_and_false(texts: pd.DataFrame) -> None:
    model = NewsClassifier(**TINY).fit(texts["text"], texts["label"] == "sport")
    assert model.classes_.dtype == bool
    assert model.predict([SPORT, MONEY]).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("one text", "a single string"),
        ([["two", "columns"]], r"of shape \(1, 2\)"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"of shape \(1, 2\)"),
        (np.array("zero"), r"of shape \(\)"),
        ((text for text in ["a"]), r"of shape \(\)"),
        ([[["deep"]]], r"of shape \(1, 1, 1\)"),
    ],
)
def test_what_holds_no_column_of_texts_is_refused(
    x: Any, message: str, fitted: NewsClassifier
) -> None:
    with pytest.raises(DataError, match=message):
        fitted.predict(x)
    with pytest.raises(ValueError, match=message):
        NewsClassifier(**TINY).fit(x, ["a"])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (["a b", None, "c"], [0, 1, 0], "X, row 2: the text is missing"),
        (["a b", 3.5, "c"], [0, 1, 0], "X, row 2: the text is missing or no text"),
        (["a b", "c", "!?"], [0, 1, 0], "X, row 3: the text has no letter"),
        (["a b", "c", "d"], [0, 1], "inconsistent numbers of samples"),
        (["a b", "c", "d"], ["x", None, "y"], "y, row 2: the label is missing"),
        (["a b", "c", "d"], [0, np.nan, 1], "y, row 2: the label is missing"),
        (["a b", "c", "d"], [0.5, 0.1, 0.7], "Unknown label type"),
        (["a b", "c", "d"], [0, 0, 0], "y has one class, .*0"),
        (["a b", "c", "d"], None, "requires y to be passed"),
        ([], [], "at least one|no rows|0 sample"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(x: Any, y: Any, message: str) -> None:
    model = NewsClassifier(**TINY)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)
    assert not hasattr(model, "text_classifier_")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"pooling": "sum"}, "pooling is 'sum'"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"validation_fraction": -0.1}, "validation_fraction is -0.1"),
        ({"random_state": -1}, "seed is -1"),
        ({"class_weight": "even"}, "class_weight"),
    ],
)
def test_a_parameter_is_checked_in_fit(parameters: dict[str, Any], message: str) -> None:
    model = NewsClassifier(**(TINY | parameters))
    with pytest.raises(ValueError, match=message):
        model.fit(["a b", "c d", "e f"], [0, 1, 1])


def test_numbers_of_numpy_are_parameters_too(texts: pd.DataFrame) -> None:
    model = NewsClassifier(**TINY).set_params(
        hidden_size=np.int64(4), learning_rate=np.float64(0.1), bidirectional=np.bool_(False)
    )
    configuration = model.fit(texts["text"], texts["label"]).text_classifier_.configuration
    assert (configuration.hidden_size, configuration.learning_rate) == (4, 0.1)
    assert configuration.bidirectional is False


def test_before_fit_it_says_so() -> None:
    with pytest.raises(NotFittedError):
        NewsClassifier().predict(["a"])
    with pytest.raises(NotFittedError):
        NewsClassifier().predict_proba(["a"])


def test_a_text_without_words_names_its_row(fitted: NewsClassifier) -> None:
    with pytest.raises(EmptyDocumentError, match="row 2"):
        fitted.predict(["good", "..."])


def test_no_texts_have_no_answers(fitted: NewsClassifier) -> None:
    assert fitted.predict_proba([]).shape == (0, 3)
    assert fitted.predict([]).tolist() == []


def test_the_random_state_decides(texts: pd.DataFrame) -> None:
    def probabilities(state: Any) -> Any:
        model = NewsClassifier(**TINY, random_state=state).fit(texts["text"], texts["label"])
        return model.predict_proba(texts["text"])

    assert np.array_equal(probabilities(1), probabilities(1))
    assert not np.array_equal(probabilities(1), probabilities(2))
    assert np.array_equal(
        probabilities(np.random.RandomState(3)), probabilities(np.random.RandomState(3))
    )
    assert not np.array_equal(probabilities(None), probabilities(None))


def test_a_random_state_moves_on_from_fit_to_fit(texts: pd.DataFrame) -> None:
    model = NewsClassifier(**TINY, random_state=np.random.RandomState(0))
    first, second = (
        model.fit(texts["text"], texts["label"]).text_classifier_.configuration.seed
        for _ in range(2)
    )
    assert first == np.random.RandomState(0).randint(2**31)
    assert first != second


def test_a_text_of_weight_zero_is_as_if_it_were_not_there(texts: pd.DataFrame) -> None:
    extra = news(5, seed=9).assign(label="other")
    both = pd.concat([extra, texts], ignore_index=True)
    weights = np.r_[np.zeros(len(extra)), np.ones(len(texts))]
    weighted = NewsClassifier(**TINY).fit(both["text"], both["label"], weights)
    plain = NewsClassifier(**TINY).fit(texts["text"], texts["label"])
    assert weighted.classes_.tolist() == plain.classes_.tolist()
    assert np.array_equal(weighted.predict_proba(texts["text"]), plain.predict_proba(texts["text"]))


def test_weights_that_are_equal_change_nothing(texts: pd.DataFrame) -> None:
    plain = NewsClassifier(**TINY).fit(texts["text"], texts["label"])
    sevens = NewsClassifier(**TINY).fit(texts["text"], texts["label"], np.full(len(texts), 7.0))
    assert np.array_equal(plain.predict_proba(texts["text"]), sevens.predict_proba(texts["text"]))


def test_weights_decide_between_two_labels_of_one_text() -> None:
    texts, labels = ["same words here", "same words here"] * 10, ["a", "b"] * 10
    for heavy in "ab":
        weights = [10.0 if label == heavy else 1.0 for label in labels]
        model = NewsClassifier(**TINY, validation_fraction=0).fit(texts, labels, weights)
        assert model.predict(["same words here"]) == [heavy]


@pytest.mark.parametrize("class_weight", [{"a": 10.0, "b": 1.0}, "balanced"])
def test_class_weights_do_what_sample_weights_do(class_weight: Any) -> None:
    frame = news(12, topics=("sport", "money"))
    few = pd.concat([frame[frame["label"] == "sport"].head(4), frame[frame["label"] == "money"]])
    labels = few["label"].map({"sport": "a", "money": "b"})
    # "balanced" is texts / (classes · texts of the class)
    balanced = {"a": 16 / (2 * 4), "b": 16 / (2 * 12)}
    factors = balanced if class_weight == "balanced" else class_weight
    own = np.linspace(1, 2, len(few))
    by_class = NewsClassifier(**TINY, class_weight=class_weight).fit(few["text"], labels, own)
    by_text = NewsClassifier(**TINY).fit(few["text"], labels, own * labels.map(factors))
    plain = NewsClassifier(**TINY).fit(few["text"], labels, own)
    probabilities = by_class.predict_proba(few["text"])
    np.testing.assert_allclose(probabilities, by_text.predict_proba(few["text"]), atol=1e-6)
    assert not np.allclose(probabilities, plain.predict_proba(few["text"]), atol=1e-3)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "Negative values"),
        ([1, np.nan, 1], "NaN"),
        ([1, np.inf, 1], "infinity"),
        ([0, 0, 0], "zero"),
        ([1, 1], "inconsistent"),
        ([[1], [1], [1]], "1D"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NewsClassifier(**TINY).fit(["a b", "c", "d"], [0, 1, 1], weights)


def test_every_class_with_two_texts_is_held_out_from() -> None:
    texts = [f"text number {number}" for number in range(45)]
    labels = ["many"] * 40 + ["two"] * 2 + ["one"] + ["twin"] * 2
    texts[-1] = texts[-2].upper()  # the same tokens
    held_out = validation_rows(texts, labels, 0.1, 0)
    assert pd.Series(held_out).groupby(labels).sum().to_dict() == {
        "many": 4,
        "two": 1,
        "one": 0,
        "twin": 0,
    }
    assert np.array_equal(held_out, validation_rows(texts, labels, 0.1, 0))
    assert not np.array_equal(held_out, validation_rows(texts, labels, 0.1, 1))


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.01, 1), (0.25, 2), (0.5, 5), (0.99, 9)])
def test_a_part_of_a_class_is_held_out(fraction: float, count: int) -> None:
    held_out = validation_rows([f"t {n}" for n in range(10)], ["a"] * 10, fraction, 0)
    assert held_out.dtype == bool
    assert held_out.sum() == count


def test_equal_texts_stay_on_one_side() -> None:
    texts = [f"text {number % 5}" for number in range(50)]
    held_out = validation_rows(texts, ["a"] * 50, 0.2, 0)
    assert held_out.sum() == 10
    assert pd.Series(held_out).groupby(texts).nunique().eq(1).all()


def test_no_text_is_removed(texts: pd.DataFrame) -> None:
    twice = pd.concat([texts, texts], ignore_index=True)
    model = NewsClassifier(**(TINY | {"minimum_count": 2, "epochs": 1, "validation_fraction": 0}))
    once = {word for text in texts["text"] for word in text.split()}
    vocabulary = model.fit(twice["text"], twice["label"]).text_classifier_.vocabulary
    assert set(vocabulary.tokens[2:]) == once


def test_where_nothing_can_be_held_out_it_says_so() -> None:
    with pytest.warns(UserWarning, match="none is held out"):
        model = NewsClassifier(**(TINY | {"epochs": 20})).fit(
            ["goal goal", "bank bank"], ["sport", "money"]
        )
    assert model.predict(["bank", "goal"]).tolist() == ["money", "sport"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NewsClassifier(**TINY, validation_fraction=0).fit(["goal", "bank"], [0, 1])


def test_a_class_with_one_text_is_learnt(texts: pd.DataFrame) -> None:
    x = [*texts["text"], "zebra zebra zebra"]
    model = NewsClassifier(**(TINY | {"epochs": 20})).fit(x, [*texts["label"], "rare"])
    assert model.predict(["zebra zebra zebra"]) == ["rare"]


def test_no_bar_is_drawn_unless_asked(texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def spy(*arguments: Any, progress: bool, **options: Any) -> Any:
        asked.append(progress)
        return train(*arguments, progress=progress, **options)

    monkeypatch.setattr("companion.classifier.estimator.train", spy)
    NewsClassifier(**TINY).fit(texts["text"], texts["label"])
    NewsClassifier(**TINY, verbose=True).fit(texts["text"], texts["label"])
    assert asked == [False, True]


def test_pickle_and_joblib_keep_the_answers(
    fitted: NewsClassifier, texts: pd.DataFrame, tmp_path: Path
) -> None:
    expected = fitted.predict_proba(texts["text"])
    copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    assert np.array_equal(copy.predict_proba(texts["text"]), expected)
    joblib.dump(fitted, tmp_path / "model.joblib")
    assert np.array_equal(
        joblib.load(tmp_path / "model.joblib").predict_proba(texts["text"]), expected
    )
    assert np.array_equal(fitted.predict_proba(texts["text"]), expected)


def test_a_pickle_holds_the_weights_of_a_cpu(
    fitted: NewsClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[torch.nn.Module] = []
    original = torch.nn.Module.cpu

    def spy(module: torch.nn.Module) -> torch.nn.Module:
        moved.append(module)
        return original(module)

    monkeypatch.setattr(torch.nn.Module, "cpu", spy)
    state = fitted.__getstate__()
    assert moved == [state["text_classifier_"].model]
    assert state["text_classifier_"].model is not fitted.text_classifier_.model
    pickle.dump(NewsClassifier(), io.BytesIO())


def test_clone_and_parameters(fitted: NewsClassifier) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "classes_")
    assert copy.set_params(hidden_size=3).hidden_size == 3
    assert set(fitted.get_params()) == set(inspect.signature(NewsClassifier).parameters)


def test_the_tags_say_what_it_takes(fitted: NewsClassifier) -> None:
    tags = get_tags(fitted)
    assert is_classifier(fitted)
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert not hasattr(fitted, "n_features_in_")


def test_in_a_pipeline_and_a_search(texts: pd.DataFrame) -> None:
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: texts.str.lower()), NewsClassifier(**TINY)
    )
    search = GridSearchCV(
        pipeline, {"newsclassifier__hidden_size": [2, 8], "newsclassifier__epochs": [1]}, cv=2
    )
    search.fit(texts["text"].str.upper(), texts["label"])
    assert search.best_params_["newsclassifier__hidden_size"] in (2, 8)
    assert len(search.cv_results_["params"]) == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(pd.Series(["THE MATCH"])).shape == (1,)


def test_in_cross_validation(texts: pd.DataFrame) -> None:
    scores = cross_val_score(NewsClassifier(**TINY), texts["text"].tolist(), texts["label"], cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.6


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_in_a_calibration(method: str, texts: pd.DataFrame) -> None:
    model = CalibratedClassifierCV(NewsClassifier(**TINY), method=method, cv=2)
    model.fit(texts["text"], texts["label"])
    rows = model.predict_proba(texts["text"])
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    assert (model.predict(texts["text"]) == texts["label"]).mean() > 0.6


def test_permutation_importance_over_columns_of_text(texts: pd.DataFrame) -> None:
    table = pd.DataFrame({"text": texts["text"], "noise": "the of and"})
    join = FunctionTransformer(lambda frame: frame.agg(" ".join, axis=1))
    model = make_pipeline(join, NewsClassifier(**TINY)).fit(table, texts["label"])
    importance = permutation_importance(model, table, texts["label"], n_repeats=2, random_state=0)
    assert importance.importances_mean[0] > 0.3
    assert importance.importances_mean[1] == 0


def test_a_table_with_one_column_is_a_column_of_texts() -> None:
    assert as_texts(pd.DataFrame({"title": ["A", "B"]})) == ["A", "B"]
    assert as_texts(np.array(["a", "bb"])) == ["a", "bb"]
    assert type(as_texts(np.array(["a", "bb"]))[0]) is str
