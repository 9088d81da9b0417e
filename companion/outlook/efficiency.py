"""Smaller and faster: a student that learns from a teacher, and what each form of a model weighs.

Explained in :doc:`/outlook/limits`, "Less computing".
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from companion.classifier.export import export_onnx, quantize_onnx
from companion.classifier.inference import TextClassifier
from companion.classifier.model import parameter_count
from companion.classifier.serving import OnnxClassifier
from companion.classifier.text import Vocabulary, tokenize
from companion.errors import DataError

__all__ = ["Student", "seconds_a_text", "size_runs", "student_runs"]


class Student:
    """The mean of small word vectors and a linear layer, trained on probabilities.

    Args:
        classes: The names of the classes, in the order of the probabilities.
        size: The length of a word's vector.
        words: How many words it knows: the most frequent of the training texts.
        epochs: Passes over the texts.
        seed: Fixes the start and the order.
    """

    def __init__(
        self,
        classes: Sequence[str] | NDArray[Any],
        *,
        size: int = 16,
        words: int = 3000,
        epochs: int = 15,
        seed: int = 0,
    ) -> None:
        self.classes, self.size, self.words = np.asarray(classes, dtype=object), size, words
        self.epochs, self.seed = epochs, seed

    def fit(self, texts: Sequence[str], targets: NDArray[np.float64]) -> "Student":
        """Learn to give these probabilities.

        Args:
            texts: The training texts.
            targets: ``(texts, classes)``: rows of 0 and one 1 for labels, or a teacher's answers.

        Returns:
            Itself.

        Raises:
            DataError: If the targets have another shape.
        """
        if targets.shape != (len(texts), len(self.classes)):
            raise DataError(
                f"the targets have the shape {targets.shape}; "
                f"give {len(texts)} rows of {len(self.classes)} probabilities"
            )
        tokens = [tokenize(text) for text in texts]
        self.vocabulary = Vocabulary.build(tokens, maximum_size=self.words)
        documents = [self.vocabulary.encode(each) for each in tokens]
        wanted = torch.tensor(targets, dtype=torch.float32)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.model = nn.Sequential(
                nn.EmbeddingBag(len(self.vocabulary), self.size),
                nn.Linear(self.size, len(self.classes)),
            )
            optimizer = torch.optim.Adam(self.model.parameters(), lr=0.02)
            for _ in range(self.epochs):
                for rows in torch.split(torch.randperm(len(texts)), 32):  # type: ignore[no-untyped-call, unused-ignore]
                    logits = self._logits([documents[row] for row in rows.tolist()])
                    optimizer.zero_grad()
                    functional.cross_entropy(logits, wanted[rows]).backward()  # type: ignore[no-untyped-call, unused-ignore]
                    optimizer.step()
        return self

    def _logits(self, documents: Sequence[Sequence[int]]) -> torch.Tensor:
        starts = np.cumsum([0, *(len(each) for each in documents[:-1])])
        bag, head = self.model
        ids = torch.tensor(list(chain.from_iterable(documents)))
        return head(bag(ids, torch.from_numpy(starts)))  # type: ignore[no-any-return]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Give ``(texts, classes)`` probabilities."""
        documents = [self.vocabulary.encode(tokenize(text)) for text in texts]
        with torch.inference_mode():
            return np.asarray(self._logits(documents).double().softmax(dim=1).numpy())

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Name the most probable class of each text."""
        return np.asarray(self.classes[self.predict_proba(texts).argmax(axis=1)])

    @property
    def bytes(self) -> int:
        """The size of the weights, four bytes each."""
        return 4 * parameter_count(self.model)


def student_runs(
    teacher: TextClassifier,
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    **choices: int,
) -> pd.DataFrame:
    """Train students on the labels, and on the teacher's answers alone.

    Args:
        teacher: The trained classifier.
        train: The columns ``text`` and ``label``.
        test: The same.
        seeds: A start for each.
        **choices: For :class:`Student`.

    Returns:
        The columns ``learns from``, ``seed``, ``accuracy`` and ``agreement`` (the share of the test
        texts to which it gives the teacher's answer).
    """
    names = np.asarray(teacher.labels)
    texts, test_texts = train["text"].tolist(), test["text"].tolist()
    answers = teacher.predict_proba(texts)
    targets = {
        "labels": (train["label"].to_numpy()[:, None] == names).astype(float),
        "the teacher": answers,
    }
    taught, rows = np.asarray(teacher.predict(test_texts)), []
    for name, wanted in targets.items():
        for seed in seeds:
            given = Student(names, seed=seed, **choices).fit(texts, wanted).predict(test_texts)
            right = float((given == test["label"].to_numpy()).mean())
            rows.append((name, seed, right, float((given == taught).mean())))
    return pd.DataFrame(rows, columns=["learns from", "seed", "accuracy", "agreement"])


def seconds_a_text(predict: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Measure the processor time of one answer, one text at a time."""
    start = time.process_time()
    for text in texts:
        predict([text])
    return (time.process_time() - start) / len(texts)


def size_runs(
    teacher: TextClassifier, student: Student, test: pd.DataFrame, *, timed: int = 60
) -> pd.DataFrame:
    """Compare the forms in which a classifier can be shipped.

    Args:
        teacher: The trained classifier.
        student: A student of it.
        test: The columns ``text`` and ``label``.
        timed: How many texts are answered for the time.

    Returns:
        A row for ``torch``, ``ONNX``, ``ONNX int8`` and ``student``: ``bytes`` (of the weights or
        the file), ``accuracy``, and ``speed``, the time of torch over its own, the
        shortest of five each.
    """
    texts, labels = test["text"].tolist(), test["label"].to_numpy()
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(teacher, Path(folder) / "whole.onnx")
        small = quantize_onnx(whole, Path(folder) / "small.onnx")
        forms: dict[str, tuple[Any, int]] = {
            "torch": (teacher, 4 * parameter_count(teacher.model)),
            "ONNX": (OnnxClassifier(whole, threads=1), whole.stat().st_size),
            "ONNX int8": (OnnxClassifier(small, threads=1), small.stat().st_size),
            "student": (student, student.bytes),
        }
        for name, (model, size) in forms.items():
            right = float((np.asarray(model.predict(texts)) == labels).mean())
            rows[name] = [size, right, float("inf")]
        for _ in range(5):  # in turns, so that a slow moment of the machine is nobody's own
            for name, (model, _) in forms.items():
                rows[name][-1] = min(rows[name][-1], seconds_a_text(model.predict, texts[:timed]))
    table = pd.DataFrame(rows, index=["bytes", "accuracy", "seconds"]).T
    table["speed"] = table["seconds"]["torch"] / table["seconds"]
    return table.drop(columns="seconds")
