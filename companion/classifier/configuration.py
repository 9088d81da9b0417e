"""Every choice of a training run in one place, and the two sets of choices that the book compares.

Explained in :doc:`/project/training`.
"""

from dataclasses import dataclass, fields
from typing import get_type_hints

from companion.errors import DataError

__all__ = ["CONFIGURATIONS", "POOLINGS", "SCHEDULES", "VECTORS", "Configuration"]

POOLINGS = ("last", "max", "mean", "mean+max")
SCHEDULES = ("constant", "one-cycle")
VECTORS = ("random", "ppmi")

_RANGES: dict[str, tuple[float, float]] = {
    "embedding_size": (1, 4096),
    "hidden_size": (1, 8192),
    "layers": (1, 16),
    "dropout": (0, 0.95),
    "word_dropout": (0, 0.95),
    "embedding_scale": (0, 10),
    "input_dropout": (0, 0.95),
    "window": (0, 1_000_000),
    "training_words": (1, 1_000_000),
    "maximum_words": (1, 1_000_000),
    "minimum_count": (1, 1_000_000),
    "maximum_vocabulary": (3, 10_000_000),
    "batch_size": (1, 65_536),
    "epochs": (1, 10_000),
    "learning_rate": (1e-8, 10),
    "weight_decay": (0, 10),
    "label_smoothing": (0, 0.9),
    "clip_norm": (1e-3, 1e6),
    "patience": (1, 10_000),
    "seed": (0, 2**32 - 1),
}
_CHOICES = {"pooling": POOLINGS, "schedule": SCHEDULES, "vectors": VECTORS}


@dataclass(frozen=True)
class Configuration:
    """The choices of a training run. The defaults are the recommended ones.

    Attributes:
        embedding_size: Numbers in a word vector.
        hidden_size: Numbers in the LSTM's state, for each direction.
        layers: LSTM layers.
        bidirectional: Whether a second LSTM reads from the end.
        pooling: What is kept of the states: ``last``, ``max``, ``mean`` or ``mean+max``.
        vectors: Where the word vectors start: ``random``, or ``ppmi``, from the training text.
        embedding_scale: The standard deviation of the word vectors at the start.
        dropout: The share of activations that is dropped in training.
        word_dropout: The share of words that becomes unknown in training.
        input_dropout: The share of the word vectors' numbers that is dropped in training.
        window: The LSTM starts anew after so many words; 0 lets it read a document in one go.
        training_words: In each epoch a longer document gives a random stretch of so many words.
        maximum_words: A document is cut to its first so many tokens, in training and in use.
        minimum_count: A token that is rarer in the training text is unknown.
        maximum_vocabulary: The most token ids.
        batch_size: Documents in a step.
        epochs: The most passes over the training documents.
        learning_rate: The step size of Adam; with the one-cycle schedule, its highest.
        schedule: ``constant`` or ``one-cycle``.
        weight_decay: The decay of AdamW.
        label_smoothing: The share of the target that is spread over all classes.
        clip_norm: The greatest norm of the gradient.
        patience: Training stops after so many epochs without a better one.
        seed: Fixes the weights, the order of the documents and the dropout.

    Raises:
        DataError: If a value has the wrong type or is out of its range.
    """

    embedding_size: int = 100
    hidden_size: int = 64
    layers: int = 1
    bidirectional: bool = True
    pooling: str = "mean+max"
    vectors: str = "ppmi"
    embedding_scale: float = 0.1
    dropout: float = 0.3
    word_dropout: float = 0.1
    input_dropout: float = 0.0
    window: int = 64
    training_words: int = 128
    maximum_words: int = 10_000
    minimum_count: int = 2
    maximum_vocabulary: int = 50_000
    batch_size: int = 32
    epochs: int = 6
    learning_rate: float = 3e-3
    schedule: str = "one-cycle"
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    clip_norm: float = 1.0
    patience: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for field in fields(self):
            _check(field.name, getattr(self, field.name), types[field.name])
        if self.pooling == "last" and (self.bidirectional or self.window):
            raise DataError(
                "pooling 'last' keeps the state after the last word, which has read the whole "
                "document only with bidirectional=False and window=0; choose those, or pooling "
                "'mean+max'"
            )


def _check(name: str, value: object, kind: type) -> None:
    """Refuse a value of the wrong type or out of its range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    right_type = is_number if kind is float else type(value) is kind
    if not right_type:
        raise DataError(f"{name} is {value!r}; it takes a value of type {kind.__name__}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise DataError(f"{name} is {value!r}; choose one of {', '.join(_CHOICES[name])}")
    if name in _RANGES:
        low, high = _RANGES[name]
        if not low <= value <= high:  # type: ignore[operator]
            raise DataError(f"{name} is {value}; choose a number from {low:g} to {high:g}")


CONFIGURATIONS = {
    "recommended": Configuration(),
    # Section 5.2 of the article: its sizes, its optimiser, its ten epochs, and none of its bugs.
    "article": Configuration(
        embedding_size=100,
        hidden_size=256,
        layers=2,
        bidirectional=False,
        pooling="last",
        vectors="random",
        embedding_scale=1.0,
        dropout=0.5,
        word_dropout=0.0,
        window=0,
        training_words=200,
        maximum_words=200,
        batch_size=32,
        epochs=10,
        learning_rate=1e-3,
        schedule="constant",
        weight_decay=0.0,
        label_smoothing=0.0,
        patience=10,
    ),
}
