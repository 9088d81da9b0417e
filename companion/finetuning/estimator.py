"""A fine-tuned transformer as a scikit-learn estimator, with the face of the LSTM's.

Explained in :doc:`/training/finetuning`, "Fine-tune".
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from companion.classifier.device import choose_device
from companion.classifier.estimator import TextEstimator, as_texts
from companion.errors import DataError
from companion.finetuning.model import (
    METHODS,
    EncoderClassifier,
    choose_trained,
    count_parameters,
    embed_documents,
    reinitialise,
)
from companion.finetuning.pretrained import encode, load_pretrained
from companion.finetuning.training import Schedule, fine_tune, fit_head

__all__ = ["TransformerClassifier"]

_RANGES: dict[str, tuple[float, float]] = {
    "top_layers": (0, 1000),
    "reinitialise_layers": (0, 1000),
    "rank": (1, 4096),
    "learning_rate": (1e-8, 10),
    "head_learning_rate": (1e-8, 10),
    "epochs": (1, 10_000),
    "maximum_length": (3, 8192),
    "batch_size": (1, 65_536),
    "dropout": (0, 0.95),
}
_FRACTIONS = ("learning_rate", "head_learning_rate", "dropout")  # the others are whole numbers
_BIGGEST_SEED = 2**32 - 1


class TransformerClassifier(TextEstimator):
    """A pretrained encoder, fine-tuned on raw texts, with the interface of scikit-learn.

    ``X`` and ``y`` are as for :class:`~companion.classifier.estimator.NewsClassifier`.

    Args:
        method: What is trained. ``frozen``: the head alone, by logistic regression. The others by
            gradient steps: ``head`` the head alone, ``top`` also the last layers, ``full`` all,
            ``lora`` the head and two thin matrices beside each query and value projection.
        top_layers: How many layers ``top`` trains.
        reinitialise_layers: How many of the last layers lose their pretrained weights at the start.
        rank: The columns of LoRA's thin matrices.
        learning_rate: The highest step size inside the encoder. None takes 2e-3 for ``lora``, whose
            matrices start at nothing, and 1e-4 otherwise.
        head_learning_rate: The highest step size of the head.
        epochs: Passes over the texts.
        batch_size: Texts in a step.
        maximum_length: A text is cut to its first so many tokens of the encoder's tokenizer.
        dropout: The share of the features before the head that is dropped in training.
        pretrained: The folder of a BERT encoder that ``transformers`` saved; MiniLM if None.
        class_weight: None, ``"balanced"``, or the weight of each label.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        random_state: Fixes the head, the order and the dropout. The default gives the same result
            in every run; None does not.
        verbose: Whether to draw a progress bar, where the output is a terminal.

    Attributes:
        classes_: The labels, sorted, in the type that they had in ``y``.
        model_: The fine-tuned :class:`~companion.finetuning.model.EncoderClassifier`.
        tokenizer_: The encoder's tokenizer.
        history_: A row an epoch; see :func:`~companion.finetuning.training.fine_tune`. None for
            ``frozen``, which has no epochs.
        trained_parameters_: How many numbers the training could change.
        n_iter_: How many epochs were run.
    """

    def __init__(
        self,
        *,
        method: str = "frozen",
        top_layers: int = 2,
        reinitialise_layers: int = 0,
        rank: int = 8,
        learning_rate: float | None = None,
        head_learning_rate: float = 1e-2,
        epochs: int = 3,
        batch_size: int = 16,
        maximum_length: int = 128,
        dropout: float = 0.1,
        pretrained: str | Path | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.top_layers = top_layers
        self.reinitialise_layers = reinitialise_layers
        self.rank = rank
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.maximum_length = maximum_length
        self.dropout = dropout
        self.pretrained = pretrained
        self.class_weight = class_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Fine-tune on texts and their labels, from the pretrained weights each time.

        Args:
            X: The texts.
            y: The label of each.
            sample_weight: How much each counts, from 0 up; None counts all the same. A text of
                weight 0 is as if it were not there.

        Returns:
            The estimator.

        Raises:
            DataError: If a text, label or parameter cannot be used. It is a ``ValueError``.
            MissingPackageError: If transformers, peft or MiniLM is needed and not installed.
        """
        self._check_parameters()
        seed, texts = self._seed(), as_texts(X)
        rows, classes, codes, weights = self._examples(texts, y, sample_weight)
        start = load_pretrained(self.pretrained)
        documents = encode(texts, start.tokenizer, self.maximum_length)
        self.model_ = self._untrained(start.encoder, len(classes), seed)
        self.classes_, self.tokenizer_ = classes, start.tokenizer
        self._train([documents[row] for row in rows], codes, weights / weights.mean(), seed)
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
        embeddings = torch.from_numpy(self.embed(X)).to(self.model_.head.weight.device)
        with torch.inference_mode():
            logits = self.model_.eval().classify(embeddings)
        return np.asarray(logits.double().softmax(dim=1).cpu().numpy())

    def embed(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Give the vector of each text that the head sees: ``(texts, hidden)``, of length 1."""
        check_is_fitted(self)
        documents = encode(as_texts(X), self.tokenizer_, self.maximum_length)
        return embed_documents(self.model_, documents)

    def _check_parameters(self) -> None:
        if self.method not in METHODS:
            raise DataError(f"method is {self.method!r}; choose one of {', '.join(METHODS)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if name == "learning_rate" and value is None:
                continue
            kinds = (int, float, np.number) if name in _FRACTIONS else (int, np.integer)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                raise DataError(f"{name} is {value!r}; choose a number from {low:g} to {high:g}")
        seed = self.random_state
        if isinstance(seed, int | np.integer) and not 0 <= seed <= _BIGGEST_SEED:
            raise DataError(f"random_state is {seed}; choose a number from 0 to {_BIGGEST_SEED}")

    def _untrained(self, encoder: torch.nn.Module, classes: int, seed: int) -> EncoderClassifier:
        """Put a new head on the encoder, and choose what is trained."""
        device = choose_device(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = EncoderClassifier(encoder, classes, float(self.dropout))
            reinitialise(model, self.reinitialise_layers)
            choose_trained(model, self.method, top_layers=self.top_layers, rank=self.rank)
        self.trained_parameters_ = count_parameters(model, trained_only=True)
        return model.to(device)

    def _train(
        self,
        documents: list[list[int]],
        codes: NDArray[np.integer],
        weights: NDArray[np.float64],
        seed: int,
    ) -> None:
        if self.method == "frozen":
            fit_head(self.model_, documents, codes, weights=weights)
            self.history_, self.n_iter_ = None, 1
            return
        usual = 2e-3 if self.method == "lora" else 1e-4
        schedule = Schedule(
            learning_rate=float(usual if self.learning_rate is None else self.learning_rate),
            head_learning_rate=float(self.head_learning_rate),
            epochs=int(self.epochs),
            batch_size=int(self.batch_size),
            seed=seed,
        )
        self.history_ = fine_tune(
            self.model_, documents, codes, schedule, weights=weights, progress=self.verbose
        )
        self.n_iter_ = schedule.epochs

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the weights as those of a CPU, so that a machine without the device can load."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = copy.deepcopy(state["model_"]).cpu()
        return state
