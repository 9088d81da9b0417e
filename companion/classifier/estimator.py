"""The classifier as a scikit-learn estimator, so that it works in the tools you have.

Explained in :doc:`/project/ecosystem`.
"""

import copy
import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from companion.classifier.configuration import Configuration
from companion.classifier.corpus import validate_corpus
from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.classifier.training import train
from companion.errors import DataError

__all__ = ["NewsClassifier", "TextEstimator", "as_texts", "validation_rows"]

_CHOICES = [
    field.name for field in dataclasses.fields(Configuration) if field.name != "seed"
]  # random_state takes the place of the seed


class TextEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What the book's estimators share: how they take texts, labels and weights, and answer.

    A subclass has the parameters ``class_weight`` and ``random_state`` and the method
    ``predict_proba``, and its ``fit`` sets ``classes_``.
    """

    class_weight: str | Mapping[Any, float] | None
    random_state: int | np.random.RandomState | None
    classes_: NDArray[Any]

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Give the most probable label of each text; see :meth:`predict_proba`."""
        probabilities = self.predict_proba(X)  # first, so that an unfitted estimator says so
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _examples(
        self, texts: list[Any], y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp], NDArray[np.float64]]:
        """Choose the texts that count.

        Returns:
            Their rows; the classes, sorted; and for each row the number of its class, and its
            weight times that of its class.
        """
        labels = _as_labels(y)
        check_consistent_length(texts, labels, sample_weight)
        weights = _check_sample_weight(
            sample_weight, texts, dtype=np.float64, ensure_non_negative=True
        ) * compute_sample_weight(self.class_weight, labels)
        rows = np.flatnonzero(weights)
        classes, codes = np.unique(labels[rows], return_inverse=True)
        if len(classes) < 2:
            raise DataError(
                f"y has one class, {classes[0]!r}; a classifier needs at least two classes"
            )
        return rows, classes, codes, weights[rows]

    def _seed(self) -> int:
        """Draw the seed from ``random_state``."""
        if self.random_state is None or isinstance(self.random_state, np.random.RandomState):
            return int(check_random_state(self.random_state).randint(2**31))
        return int(self.random_state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class NewsClassifier(TextEstimator):
    """An LSTM over raw texts, with the interface of scikit-learn.

    ``X`` is a one-dimensional sequence of strings, or a table with one column of them: list, NumPy
    array, pandas Series or DataFrame. ``y`` are labels of any kind that scikit-learn takes. It
    trains by :func:`~companion.classifier.training.train` and answers as
    :class:`~companion.classifier.inference.TextClassifier` does.

    Like scikit-learn's text vectorizers it sets no ``n_features_in_``: a text has no fixed number
    of features.

    Args:
        embedding_size: As in :class:`~companion.classifier.configuration.Configuration`, as are all
            up to ``patience``.
        hidden_size: See there.
        layers: See there.
        bidirectional: See there.
        pooling: See there.
        vectors: See there.
        embedding_scale: See there.
        dropout: See there.
        word_dropout: See there.
        input_dropout: See there.
        window: See there.
        training_words: See there.
        maximum_words: See there.
        minimum_count: See there.
        maximum_vocabulary: See there.
        batch_size: See there.
        epochs: See there.
        learning_rate: See there.
        schedule: See there.
        weight_decay: See there.
        label_smoothing: See there.
        clip_norm: See there.
        patience: See there.
        validation_fraction: The share of each class that is held out to choose the epoch, at least
            one text of each class that has two different ones. Equal texts stay together. With 0,
            or where no class has two texts, all texts are trained on and the loss on them chooses.
        class_weight: None, ``"balanced"``, or the weight of each label.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        precision: As in :func:`~companion.classifier.training.train`.
        random_state: Fixes the held-out texts, the weights, the order and the dropout. The default
            gives the same result in every run; None does not.
        verbose: Whether to draw a progress bar, where the output is a terminal.

    Attributes:
        classes_: The labels, sorted, in the type that they had in ``y``.
        text_classifier_: The trained classifier, as ``train`` gives it: what can be saved, exported
            and shared. Its labels are those of ``classes_`` as strings.
        history_: A row an epoch; see :class:`~companion.classifier.training.TrainingRun`.
        best_epoch_: The epoch whose weights were kept.
        n_iter_: How many epochs were run.

    >>> texts = ["goal and match", "match and team", "bank and debt", "debt and rates"] * 10
    >>> sections = ["sport", "sport", "money", "money"] * 10
    >>> small = {"embedding_size": 8, "hidden_size": 8, "batch_size": 4, "learning_rate": 0.05}
    >>> model = NewsClassifier(**small, device="cpu")
    >>> model.fit(texts, sections).predict(["a match", "the debt"]).tolist()
    ['sport', 'money']
    """

    def __init__(
        self,
        *,
        embedding_size: int = 100,
        hidden_size: int = 64,
        layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "mean+max",
        vectors: str = "ppmi",
        embedding_scale: float = 0.1,
        dropout: float = 0.3,
        word_dropout: float = 0.1,
        input_dropout: float = 0.0,
        window: int = 64,
        training_words: int = 128,
        maximum_words: int = 10_000,
        minimum_count: int = 2,
        maximum_vocabulary: int = 50_000,
        batch_size: int = 32,
        epochs: int = 6,
        learning_rate: float = 3e-3,
        schedule: str = "one-cycle",
        weight_decay: float = 0.01,
        label_smoothing: float = 0.05,
        clip_norm: float = 1.0,
        patience: int = 6,
        validation_fraction: float = 0.1,
        class_weight: str | Mapping[Any, float] | None = None,
        device: str = "auto",
        precision: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.layers = layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.vectors = vectors
        self.embedding_scale = embedding_scale
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.input_dropout = input_dropout
        self.window = window
        self.training_words = training_words
        self.maximum_words = maximum_words
        self.minimum_count = minimum_count
        self.maximum_vocabulary = maximum_vocabulary
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.clip_norm = clip_norm
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Train on texts and their labels; no text is removed.

        Args:
            X: The texts.
            y: The label of each.
            sample_weight: How much each counts, from 0 up; None counts all the same. A text of
                weight 0 is as if it were not there.

        Returns:
            The estimator.

        Raises:
            DataError: If a text, label or parameter cannot be used. It is a ``ValueError``, and a
                row that it names is counted from 1.
        """
        configuration, seed = self._configuration()
        texts = as_texts(X)
        rows, self.classes_, codes, weights = self._examples(texts, y, sample_weight)
        validate_corpus(pd.DataFrame({"text": texts, "label": "any"}), source="X")
        frame = pd.DataFrame(
            {
                "text": [texts[row] for row in rows],
                "label": [f"{code:09d}" for code in codes],  # sorts as the classes do
                "weight": weights,
            }
        )
        self._train(frame, configuration, seed)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Give the probability of each class for each text.

        Returns:
            ``(texts, classes)``; the columns are in the order of ``classes_``.

        Raises:
            sklearn.exceptions.NotFittedError: Before :meth:`fit`.
            DataError: If ``X`` does not hold texts.
            EmptyDocumentError: If a text has no letter, digit or emoji.
        """
        check_is_fitted(self)
        return self.text_classifier_.predict_proba(as_texts(X))

    def _configuration(self) -> tuple[Configuration, int]:
        """Check the parameters, and draw the seed from ``random_state``."""
        seed = self._seed()
        if not 0 <= self.validation_fraction < 1:
            raise DataError(
                f"validation_fraction is {self.validation_fraction}; choose a number from 0 to "
                "below 1, such as 0.1"
            )
        choices = {name: _plain(getattr(self, name)) for name in _CHOICES}
        return Configuration(**choices, seed=seed), seed

    def _train(self, frame: pd.DataFrame, configuration: Configuration, seed: int) -> None:
        held_out = validation_rows(
            frame["text"].tolist(), frame["label"].tolist(), self.validation_fraction, seed
        )
        if self.validation_fraction and not held_out.any():
            warnings.warn(
                "no class has two different texts, so none is held out: the loss on the training "
                "texts chooses the epoch",
                UserWarning,
                stacklevel=3,
            )
        run = train(
            frame[~held_out],
            frame[held_out] if held_out.any() else frame,
            configuration,
            device=self.device,
            precision=self.precision,
            progress=self.verbose,
        )
        self.text_classifier_ = TextClassifier(
            run.classifier.model,
            run.classifier.vocabulary,
            [str(label) for label in self.classes_],
            configuration,
        )
        self.history_, self.best_epoch_, self.n_iter_ = (
            run.history,
            run.best_epoch,
            len(run.history),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the weights as those of a CPU, so that a machine without the device can load."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "text_classifier_" in state:
            state["text_classifier_"] = trained = copy.copy(state["text_classifier_"])
            trained.model = copy.deepcopy(trained.model).cpu()
        return state


def as_texts(X: Any) -> list[Any]:  # noqa: N803
    """Turn what scikit-learn calls ``X`` into a list, an element a text.

    Args:
        X: A sequence of texts, or a table with one column.

    Returns:
        The elements; whether they are texts is not checked.

    Raises:
        DataError: If it is one string, or has another shape.

    >>> as_texts(pd.DataFrame({"title": ["A", "B"]}))
    ['A', 'B']
    """
    array = np.asarray(X, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        given = "a single string" if isinstance(X, str) else f"of shape {array.shape}"
        raise DataError(f"X is {given}; give a list of texts, or a table with one column of them")
    return list(array)


def validation_rows(
    texts: Sequence[str], labels: Sequence[str], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Draw the rows that are held out, class by class; equal texts of a class stay together.

    A class with a single text, or the same one many times, is not held out from.

    Args:
        texts: The texts.
        labels: The label of each.
        fraction: The share of the different texts of a class, at least one of them; 0 for none.
        seed: Fixes the draw.

    Returns:
        ``(texts,)``, true where a text is held out.
    """
    held_out = np.zeros(len(texts), dtype=bool)
    if fraction == 0:
        return held_out
    generator = np.random.default_rng(seed)
    words = pd.Series([" ".join(tokenize(text)) for text in texts])
    for _, group in words.groupby(np.asarray(labels)):
        different = group.unique()
        if len(different) > 1:
            count = min(max(1, round(len(different) * fraction)), len(different) - 1)
            drawn = generator.permutation(len(different))[:count]
            held_out[group.index[group.isin(different[drawn])]] = True
    return held_out


def _as_labels(y: ArrayLike) -> NDArray[Any]:
    """Check labels as scikit-learn's classifiers do."""
    if y is None:
        raise DataError(
            "this classifier requires y to be passed, but the target y is None; "
            "give a label for each text"
        )
    labels = column_or_1d(y, warn=True)
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise DataError(
            f"y, row {missing[0] + 1}: the label is missing; fill it in or remove the row"
        )
    check_classification_targets(labels)
    return np.asarray(labels)


def _plain(value: Any) -> Any:
    """Give a NumPy number, as a parameter search may draw, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
