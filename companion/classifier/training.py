"""Training: epochs over shuffled batches, steered by the validation documents.

Explained in :doc:`/project/training`.
"""

import copy
import logging
from dataclasses import dataclass
from numbers import Real
from typing import NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from companion.classifier.batches import shuffled_batches
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import validate_corpus
from companion.classifier.device import choose_device
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary, tokenize
from companion.classifier.vectors import ppmi_vectors
from companion.errors import DataError

__all__ = ["TrainingRun", "train"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingRun:
    """What a training run leaves.

    Attributes:
        classifier: The classifier as it was after the best epoch.
        history: A row an epoch: ``training_loss``, ``validation_loss``, ``validation_accuracy``,
            ``learning_rate`` and ``gradient_norm`` (the largest, before clipping).
        best_epoch: The epoch with the lowest validation loss, counted from 1.
    """

    classifier: TextClassifier
    history: pd.DataFrame
    best_epoch: int


def train(
    training: pd.DataFrame,
    validation: pd.DataFrame,
    configuration: Configuration = CONFIGURATIONS["recommended"],
    *,
    device: str = "auto",
    progress: bool = True,
) -> TrainingRun:
    """Train a classifier and keep its best epoch.

    The vocabulary, the word vectors and the weights come from the training documents alone. The
    validation documents choose the epoch. Two runs with the same arguments on the same CPU give the
    same weights.

    Args:
        training: The columns ``text`` and ``label``, and perhaps ``weight``: how much each document
            counts in the loss, from 0 up, relative to the others.
        validation: The same, other documents; its weights count in the validation loss.
        configuration: The choices.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        progress: Whether to draw a progress bar; none is drawn where the output is no terminal.

    Returns:
        The classifier, the history and the best epoch.

    Raises:
        DataError: If the documents cannot be used; nothing is trained then.
        DeviceError: If the device is not there.
    """
    chosen = choose_device(device)
    training = validate_corpus(training, source="the training documents")
    validation = validate_corpus(validation, source="the validation documents")
    for frame, source in ((training, "the training"), (validation, "the validation")):
        _check_weights(frame, f"{source} documents")
    labels = _labels(training, validation)
    with torch.random.fork_rng():
        torch.manual_seed(configuration.seed)
        tokens = [tokenize(text) for text in training["text"]]
        classifier = _untrained(tokens, labels, configuration, chosen)
        return _fit(
            classifier,
            _Documents.of(training, tokens, classifier),
            _Documents.of(validation, [tokenize(text) for text in validation["text"]], classifier),
            progress=progress,
        )


@dataclass(frozen=True)
class _Documents:
    """Documents as token ids, their labels and their weights.

    Attributes:
        token_ids: The ids of each document.
        labels: ``(documents,)`` int64.
        weights: ``(documents,)`` float32 with mean 1, or None where all documents count the same.
    """

    token_ids: list[list[int]]
    labels: Tensor
    weights: Tensor | None

    @classmethod
    def of(
        cls, frame: pd.DataFrame, tokens: list[list[str]], classifier: TextClassifier
    ) -> "_Documents":
        maximum_words = classifier.configuration.maximum_words
        return cls(
            [classifier.vocabulary.encode(document[:maximum_words]) for document in tokens],
            torch.tensor([classifier.labels.index(label) for label in frame["label"]]),
            _relative_weights(frame),
        )


def _check_weights(frame: pd.DataFrame, source: str) -> None:
    """Refuse a column ``weight`` that holds anything but numbers from 0 up, or only zeros."""
    if "weight" not in frame:
        return
    weights = _numbers(frame["weight"])
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise DataError(
            f"{source}, row {wrong[0] + 1}: the weight is {frame['weight'].iloc[wrong[0]]!r}; "
            "give a finite number from 0 up"
        )
    if not weights.any():
        raise DataError(f"{source}: all weights are 0; give at least one document a weight above 0")


def _numbers(column: "pd.Series[float]") -> NDArray[np.float64]:
    """Give a column as floats, and what is no number as not-a-number."""
    return np.array(
        [
            float(value) if isinstance(value, Real) and not isinstance(value, bool) else np.nan
            for value in column
        ]
    )


def _relative_weights(frame: pd.DataFrame) -> Tensor | None:
    weights = _numbers(frame["weight"]) if "weight" in frame else np.ones(len(frame))
    if (weights == weights[0]).all():
        return None
    weights = weights / weights.max()  # so that the mean of the largest floats is finite
    return torch.from_numpy(weights / weights.mean()).float()


def _labels(training: pd.DataFrame, validation: pd.DataFrame) -> list[str]:
    labels = sorted(training["label"].unique())
    if len(labels) < 2:
        raise DataError(
            f"the training documents have one class, {labels[0]!r}; a classifier needs at least two"
        )
    unseen = set(validation["label"]) - set(labels)
    if unseen:
        raise DataError(
            f"the validation documents have labels that are not in training: {sorted(unseen)}"
        )
    return labels


def _untrained(
    tokens: list[list[str]], labels: list[str], configuration: Configuration, device: torch.device
) -> TextClassifier:
    """Build the vocabulary and the model, with the word vectors that the configuration asks for."""
    vocabulary = Vocabulary.build(
        tokens,
        minimum_count=configuration.minimum_count,
        maximum_size=configuration.maximum_vocabulary,
    )
    model = LSTMClassifier(len(vocabulary), len(labels), configuration)
    if configuration.vectors == "ppmi":
        documents = [vocabulary.encode(document) for document in tokens]
        vectors = ppmi_vectors(
            documents, len(vocabulary), configuration.embedding_size, seed=configuration.seed
        )
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(vectors * configuration.embedding_scale))
    return TextClassifier(model.to(device), vocabulary, labels, configuration)


def _fit(
    classifier: TextClassifier, training: _Documents, validation: _Documents, *, progress: bool
) -> TrainingRun:
    """Run epochs until the validation loss no longer falls; put the best epoch's weights back."""
    configuration, model = classifier.configuration, classifier.model
    generator = np.random.default_rng(configuration.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=configuration.learning_rate,
        weight_decay=configuration.weight_decay,
        fused=True,
    )
    steps = configuration.epochs * -(-len(training.token_ids) // configuration.batch_size)
    scheduler = _scheduler(optimizer, configuration, steps)
    history: list[dict[str, float]] = []
    best_epoch, best_loss, best_weights = 0, float("inf"), {}
    with tqdm(
        total=steps, desc="training", unit="batch", disable=None if progress else True
    ) as bar:
        for epoch in range(1, configuration.epochs + 1):
            row = {"epoch": epoch} | _train_epoch(
                classifier, training, optimizer, scheduler, generator, bar
            )
            row |= _validate(classifier, validation)
            history.append(row)
            bar.set_postfix(epoch=epoch, validation_loss=f"{row['validation_loss']:.3f}")
            if row["validation_loss"] < best_loss:
                best_epoch, best_loss = epoch, row["validation_loss"]
                best_weights = copy.deepcopy(model.state_dict())
            elif epoch - best_epoch >= configuration.patience:
                _LOGGER.info(
                    "stopped after epoch %d: no better one since epoch %d", epoch, best_epoch
                )
                break
    if not best_weights:
        raise DataError("the loss is not a number from the first epoch on; lower the learning rate")
    model.load_state_dict(best_weights)
    model.eval()
    return TrainingRun(classifier, pd.DataFrame(history).set_index("epoch"), best_epoch)


def _train_epoch(
    classifier: TextClassifier,
    documents: _Documents,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
    bar: "tqdm[NoReturn]",
) -> dict[str, float]:
    """Take a step a batch; give the mean loss, the learning rate and the largest gradient norm."""
    configuration, model, device = classifier.configuration, classifier.model, classifier.device
    model.train()
    total, largest_norm = 0.0, 0.0
    learning_rate = float(scheduler.get_last_lr()[0])
    stretches = [
        _stretch(document, configuration.training_words, generator)
        for document in documents.token_ids
    ]
    for batch in shuffled_batches(stretches, configuration.batch_size, generator):
        optimizer.zero_grad()
        logits = model(batch.token_ids.to(device), batch.lengths.to(device))
        loss = _loss(logits, documents, batch.rows, configuration.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(model.parameters(), configuration.clip_norm)
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(batch.rows)
        largest_norm = max(largest_norm, norm.item())
        bar.update()
    return {
        "training_loss": total / len(documents.token_ids),
        "learning_rate": learning_rate,
        "gradient_norm": largest_norm,
    }


def _loss(
    logits: Tensor, documents: _Documents, rows: NDArray[np.int64], label_smoothing: float
) -> Tensor:
    """Give the mean cross-entropy of a batch, each document times its weight.

    The weights have mean 1 over all documents, not over the batch, so that a heavy document weighs
    the same whatever its neighbours are.
    """
    labels = documents.labels[rows].to(logits.device)
    if documents.weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    losses = functional.cross_entropy(
        logits, labels, label_smoothing=label_smoothing, reduction="none"
    )
    return (documents.weights[rows].to(logits.device) * losses).mean()


def _stretch(document: list[int], words: int, generator: np.random.Generator) -> list[int]:
    """Take a random run of at most ``words`` tokens: another part of the document in each epoch."""
    start = generator.integers(0, max(0, len(document) - words) + 1)
    return document[start : start + words]


def _validate(classifier: TextClassifier, documents: _Documents) -> dict[str, float]:
    """Give the weighted cross-entropy, without label smoothing, and the plain accuracy."""
    probabilities = classifier.predict_encoded(documents.token_ids)
    labels = documents.labels.numpy()
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))
    weights = None if documents.weights is None else documents.weights.numpy()
    return {
        "validation_loss": float(np.average(losses, weights=weights)),
        "validation_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }


def _scheduler(
    optimizer: torch.optim.Optimizer, configuration: Configuration, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if configuration.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=configuration.learning_rate, total_steps=steps + 1, pct_start=0.3
    )
