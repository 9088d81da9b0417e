"""The ways to classify text that ours is measured beside, each behind ``fit`` and ``predict``.

``python -m benchmarks.peers`` measures them. They are written as their users write them: the
article's listing with the least repair that makes it run, the tutorial's LSTM with its DataLoader,
Keras as its guide shows it, fastText by its own library.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

from companion.classifier.listing import ListingClassifier, glue
from companion.classifier.text import PADDING_ID, UNKNOWN_ID, Vocabulary, tokenize

__all__ = [
    "FASTTEXT_PAIRS",
    "FastText",
    "Keras",
    "Network",
    "PackedLSTM",
    "glued_words",
    "listing_epoch",
    "listing_network",
    "tutorial_epoch",
]

Documents = list[list[int]]
# Learning rates and epochs; the library's own defaults are 0.1 and 5.
FASTTEXT_PAIRS = ((0.5, 25), (0.5, 100), (1.0, 50), (1.0, 100), (3.0, 50), (3.0, 100))
Epoch = Callable[[nn.Module, torch.optim.Optimizer, Documents, list[int], int], None]


def glued_words(text: str) -> list[str]:
    """Read a text as the listing does after the least repair of its cleaning by character."""
    return glue(text).split()


def listing_network(vocabulary_size: int, classes: int) -> nn.Module:
    """Give the article's network: an embedding of 100, two LSTM layers of 256."""
    return ListingClassifier(vocabulary_size, 100, 256, classes, layers=2, dropout=0.5)


def listing_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    documents: Documents,
    labels: list[int],
    batch_size: int,
) -> None:
    """Take an epoch as the listing does, with the least repair: pad to the batch's longest."""

    def collate(batch: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
        longest = max(len(document) for document, _ in batch)
        padded = [document + [PADDING_ID] * (longest - len(document)) for document, _ in batch]
        return torch.tensor(padded), torch.tensor([label for _, label in batch])

    data: Any = list(zip(documents, labels, strict=True))
    for token_ids, targets in DataLoader(data, batch_size, shuffle=True, collate_fn=collate):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(token_ids), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


class PackedLSTM(nn.Module):
    """The LSTM of the usual tutorial: packed sequences, and the last hidden state."""

    def __init__(self, vocabulary_size: int, classes: int, hidden: int = 128, layers: int = 1):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 100, padding_idx=PADDING_ID)
        self.lstm = nn.LSTM(100, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, token_ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give ``(batch, classes)`` logits; rows are sorted by falling length."""
        if lengths is None:
            lengths = (token_ids != PADDING_ID).sum(dim=1)
        packed = pack_padded_sequence(
            self.embedding(token_ids), lengths, batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)
        logits: Tensor = self.head(hidden[-1])
        return logits


def tutorial_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    documents: Documents,
    labels: list[int],
    batch_size: int,
) -> None:
    """Take an epoch as tutorials do: random batches, sorted inside, padded and packed."""

    def collate(batch: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor, Tensor]:
        batch.sort(key=lambda row: len(row[0]), reverse=True)
        lengths = torch.tensor([len(document) for document, _ in batch])
        token_ids = pad_sequence([torch.tensor(document) for document, _ in batch], True)
        return token_ids, lengths, torch.tensor([label for _, label in batch])

    data: Any = list(zip(documents, labels, strict=True))
    for token_ids, lengths, targets in DataLoader(
        data, batch_size, shuffle=True, collate_fn=collate
    ):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(token_ids, lengths), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@dataclass
class Network:
    """A network of torch, with its own way to read a text and to take an epoch.

    Attributes:
        read: Turns a text into tokens.
        build: Makes the network for a number of token ids and of classes.
        epoch: Takes an epoch.
        epochs: How many.
        words: A text is cut to its first so many tokens.
        batch_size: Documents in a step.
        minimum_count: Rarer tokens are unknown.
        seed: Fixes weights and order.
        seconds: The CPU-seconds of the training after each epoch; filled by ``fit``.
        trained_words: The tokens of the training texts; filled by ``fit``.
    """

    read: Callable[[str], list[str]] = tokenize
    build: Callable[[int, int], nn.Module] = PackedLSTM
    epoch: Epoch = tutorial_epoch
    epochs: int = 10
    words: int = 200
    batch_size: int = 32
    minimum_count: int = 1
    seed: int = 0
    seconds: list[float] = field(default_factory=list)
    trained_words: int = 0

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        after: Callable[[], object] = lambda: None,
    ) -> "Network":
        """Train; ``after`` is called after each epoch and its time is not counted."""
        torch.manual_seed(self.seed)
        start = time.process_time()
        self.classes = sorted(set(labels))
        tokens = [self.read(text)[: self.words] for text in texts]
        self.vocabulary = Vocabulary.build(tokens, minimum_count=self.minimum_count)
        documents = [self.vocabulary.encode(each) or [UNKNOWN_ID] for each in tokens]
        self.trained_words = sum(map(len, documents))
        targets = [self.classes.index(label) for label in labels]
        self.model = self.build(len(self.vocabulary), len(self.classes))
        optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        used = time.process_time() - start
        for _ in range(self.epochs):
            start = time.process_time()
            self.model.train()
            self.epoch(self.model, optimizer, documents, targets, self.batch_size)
            used += time.process_time() - start
            self.seconds.append(used)
            after()
        return self

    @torch.no_grad()
    def predict(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[Any]:
        """Answer, in batches in the order of the texts."""
        self.model.eval()
        documents = [
            torch.tensor(self.vocabulary.encode(self.read(text)[: self.words]) or [UNKNOWN_ID])
            for text in texts
        ]
        logits = [
            self.model(pad_sequence(documents[start : start + batch_size], batch_first=True))
            for start in range(0, len(documents), batch_size)
        ]
        answers: NDArray[Any] = np.array(self.classes)[torch.cat(logits).argmax(dim=1).numpy()]
        return answers

    def save(self, folder: Path) -> None:
        """Write the weights, as tutorials do."""
        torch.save(self.model.state_dict(), folder / "model.pt")


@dataclass
class Keras:
    """Keras 3 on the torch backend: an embedding with a mask, an LSTM, a dense layer.

    The attributes are those of :class:`Network`, and ``hidden`` the sizes of the LSTM layers.
    """

    hidden: tuple[int, ...] = (128,)
    epochs: int = 5
    words: int = 200
    batch_size: int = 32
    seed: int = 0
    seconds: list[float] = field(default_factory=list)
    trained_words: int = 0

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        after: Callable[[], object] = lambda: None,
    ) -> "Keras":
        """Train; ``after`` is called after each epoch and its time is not counted."""
        os.environ["KERAS_BACKEND"] = "torch"
        import keras

        keras.utils.set_random_seed(self.seed)
        start = time.process_time()
        self.classes = sorted(set(labels))
        tokens = [tokenize(text)[: self.words] for text in texts]
        self.vocabulary = Vocabulary.build(tokens, minimum_count=1)
        self.trained_words = sum(map(len, tokens))
        token_ids = self._padded(tokens)
        targets = np.array([self.classes.index(label) for label in labels])
        layers = keras.layers
        last = len(self.hidden) - 1
        self.model = keras.Sequential(
            [layers.Embedding(len(self.vocabulary), 100, mask_zero=True)]
            + [
                layers.LSTM(size, return_sequences=number < last)
                for number, size in enumerate(self.hidden)
            ]
            + [layers.Dense(len(self.classes))]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
        used = time.process_time() - start
        for _ in range(self.epochs):
            start = time.process_time()
            self.model.fit(token_ids, targets, batch_size=self.batch_size, epochs=1, verbose=0)
            used += time.process_time() - start
            self.seconds.append(used)
            after()
        return self

    def _padded(self, tokens: list[list[str]]) -> NDArray[np.int64]:
        """Pad to the longest of all, as Keras' ``pad_sequences`` does."""
        width = max(map(len, tokens))
        token_ids = np.full((len(tokens), width), PADDING_ID, dtype=np.int64)
        for row, each in zip(token_ids, tokens, strict=True):
            row[: len(each)] = self.vocabulary.encode(each)
        return token_ids

    def predict(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[Any]:
        """Answer."""
        tokens = [tokenize(text)[: self.words] for text in texts]
        logits = self.model.predict(self._padded(tokens), batch_size=batch_size, verbose=0)
        answers: NDArray[Any] = np.array(self.classes)[logits.argmax(axis=1)]
        return answers

    def save(self, folder: Path) -> None:
        """Write Keras' own format."""
        self.model.save(folder / "model.keras")


@dataclass
class FastText:
    """FastText's supervised mode by its own library: word vectors and hashed bigrams, averaged.

    The pair of learning rate and epochs is the best of :data:`FASTTEXT_PAIRS` on a tenth of the
    training texts; then it trains on all. ``seconds`` is the time of
    that last training, with the reading.
    """

    seed: int = 0
    seconds: list[float] = field(default_factory=list)

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        after: Callable[[], object] = lambda: None,
    ) -> "FastText":
        """Choose the pair, and train; ``after`` is called at the end."""
        start = time.process_time()
        self.classes = sorted(set(labels))
        lines = [" ".join(tokenize(text)) for text in texts]
        used = time.process_time() - start
        codes = np.array([self.classes.index(label) for label in labels])
        is_held_out = np.random.default_rng(self.seed).random(len(texts)) < 0.1
        kept, held_out = (each.nonzero()[0].tolist() for each in (~is_held_out, is_held_out))

        def accuracy(pair: tuple[float, int]) -> float:
            try:
                self._train([lines[row] for row in kept], codes[kept], pair)
            except RuntimeError:  # the library's "Encountered NaN": the rate was too high
                return 0.0
            answers = self.predict([texts[row] for row in held_out])
            return float((answers == np.asarray(labels)[held_out]).mean())

        self.pair = max(FASTTEXT_PAIRS, key=accuracy)
        start = time.process_time()
        self._train(lines, codes, self.pair)
        self.seconds.append(used + time.process_time() - start)
        after()
        return self

    def _train(self, lines: list[str], codes: NDArray[np.intp], pair: tuple[float, int]) -> None:
        import fasttext

        rate, epochs = pair
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "training.txt"
            rows = (f"__label__{code} {line}\n" for line, code in zip(lines, codes, strict=True))
            path.write_text("".join(rows), encoding="utf-8")
            self.model = fasttext.train_supervised(
                str(path), epoch=epochs, wordNgrams=2, lr=rate, dim=100,
                thread=1, seed=self.seed, verbose=0,
            )  # fmt: skip

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Answer."""
        answers = self.model.predict([" ".join(tokenize(text)) for text in texts])[0]
        places = [int(answer[0].removeprefix("__label__")) for answer in answers]
        return np.asarray(self.classes)[places]

    def save(self, folder: Path) -> None:
        """Write the library's own format."""
        self.model.save_model(str(folder / "model.bin"))
