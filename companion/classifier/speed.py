"""Where the time of a training goes, and what the processor could do at the most.

Explained in :doc:`/project/benchmarks`.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from companion.classifier.batches import Batch, shuffled_batches
from companion.classifier.configuration import Configuration
from companion.classifier.encoding import build_vocabulary
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import clean_together
from companion.classifier.token_table import TokenTable

__all__ = ["PARTS", "generate_news", "operations_per_token", "product_peak", "profile_training"]

PARTS = (
    "cleaning",
    "tokens and vocabulary",
    "batches",
    "word vectors, forward and gradient",
    "LSTM forward",
    "LSTM backward",
    "optimiser",
    "the rest",
)
# Which of torch's operations belong to a part; what no name is in is the rest.
_OPERATIONS = {
    "aten::mkldnn_rnn_layer": "LSTM forward",
    "aten::mkldnn_rnn_layer_backward": "LSTM backward",
    "aten::embedding": "word vectors, forward and gradient",
    "aten::embedding_backward": "word vectors, forward and gradient",
    "Optimizer.step#AdamW.step": "optimiser",
    "Optimizer.zero_grad#AdamW.zero_grad": "optimiser",
    "clip": "optimiser",
    "batches": "batches",
}


def generate_news(
    documents: int, *, classes: int = 4, words: int = 30_000, seed: int = 0
) -> pd.DataFrame:
    """Make texts with the lengths of short news: 38 words on average, one in a thousand over 90.

    The words follow Zipf's law, so that a few are frequent and most are rare; they mean nothing,
    and the labels are drawn at random. It is for measuring speed.

    Args:
        documents: How many.
        classes: The number of labels.
        words: The number of different words. Each occurs at least once where there is room for all,
            so that a small corpus can have the vocabulary of a large one.
        seed: Fixes all.

    Returns:
        The columns ``text`` and ``label``.
    """
    generator = np.random.default_rng(seed)
    lengths = generator.lognormal(np.log(37), 0.28, documents).clip(8, 150).astype(int)
    shares = 1 / np.arange(10, words + 10)
    drawn = generator.choice(words, size=lengths.sum(), p=shares / shares.sum())
    if len(drawn) >= words:
        drawn[generator.permutation(len(drawn))[:words]] = np.arange(words)
    tokens = [f"word{number}" for number in drawn.tolist()]
    ends = np.cumsum(lengths).tolist()
    texts = [
        " ".join(tokens[end - length : end]) + "."
        for end, length in zip(ends, lengths.tolist(), strict=True)
    ]
    labels = generator.integers(0, classes, documents)
    return pd.DataFrame({"text": texts, "label": [f"class {label}" for label in labels]})


def operations_per_token(configuration: Configuration) -> int:
    """Count the multiplications and additions that the LSTM layers take a token in training.

    The backward pass has two products for each of the forward pass: one for the gradient of the
    inputs and one for that of the weights.
    """
    directions = 2 if configuration.bidirectional else 1
    hidden = configuration.hidden_size
    inputs = [configuration.embedding_size] + [directions * hidden] * (configuration.layers - 1)
    return sum(3 * directions * 2 * 4 * hidden * (size + hidden) for size in inputs)


def product_peak(size: int = 512, repeats: int = 20, kind: torch.dtype = torch.float32) -> float:
    """Measure how many operations a CPU-second one thread does in a product of two matrices.

    Torch has two libraries for it, and on some processors one is twice as fast: the better counts.

    Args:
        size: The rows and columns of both matrices.
        repeats: Products in a measurement; the best of five measurements counts.
        kind: The type of the numbers.

    Returns:
        Multiplications and additions a CPU-second.
    """
    left, right = torch.rand(size, size).to(kind), torch.rand(size, size).to(kind)
    ways: list[Callable[[], object]] = [lambda: left @ right]
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        linear = torch.ops.mkldnn._linear_pointwise
        ways.append(lambda: linear(left, right, None, "none", [], ""))
    seconds = min(_cpu_seconds(way, repeats) for way in ways for _ in range(5))
    return 2 * size**3 * repeats / seconds


def _cpu_seconds(action: Callable[[], object], repeats: int) -> float:
    action()
    start = time.process_time()
    for _ in range(repeats):
        action()
    return time.process_time() - start


def profile_training(frame: pd.DataFrame, configuration: Configuration) -> "pd.Series[float]":
    """Train one epoch on the CPU and measure where the time goes.

    Args:
        frame: The columns ``text`` and ``label``.
        configuration: The choices; the word vectors start at random.

    Returns:
        The seconds of each of :data:`PARTS`. They are seconds of the clock, as the profiler counts:
        on a busy machine use only their shares.
    """
    seconds = dict.fromkeys(PARTS, 0.0)
    texts = frame["text"].tolist()
    clean_together(texts[:100])  # for nothing: warms up
    start = time.perf_counter()
    clean_together(texts)
    cleaned = time.perf_counter()
    vocabulary, token_ids, lengths = build_vocabulary(texts, minimum_count=1)
    read = time.perf_counter()
    seconds["cleaning"] = cleaned - start
    seconds["tokens and vocabulary"] = max(0.0, read - cleaned - seconds["cleaning"])
    table = TokenTable.of_flat(token_ids, lengths)
    labels = torch.from_numpy(pd.factorize(frame["label"], sort=True)[0])
    model = LSTMClassifier(len(vocabulary), int(labels.max()) + 1, configuration)
    _take_steps(model, table, labels, configuration, steps=3)  # for nothing: warms up
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        start = time.perf_counter()
        _take_steps(model, table, labels, configuration)
        whole = time.perf_counter() - start
    for event in profile.key_averages():
        if part := _OPERATIONS.get(event.key):
            seconds[part] += event.cpu_time_total / 1e6
    named = sum(seconds[part] for part in set(_OPERATIONS.values()))
    return pd.Series(seconds | {"the rest": max(0.0, whole - named)}, name="seconds")


def _take_steps(
    model: LSTMClassifier,
    table: TokenTable,
    labels: torch.Tensor,
    configuration: Configuration,
    steps: int | None = None,
) -> None:
    """Take an epoch as :func:`companion.classifier.training.train` does, with names for a profile.

    ``steps`` stops it early.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=configuration.learning_rate, fused=True)
    generator = np.random.default_rng(configuration.seed)
    stretches = table.stretches(configuration.training_words, generator)
    batches = shuffled_batches(stretches, configuration.batch_size, generator)
    model.train()
    for number, batch in enumerate(_named("batches", batches)):
        if number == steps:
            break
        optimizer.zero_grad()
        logits = model(batch.token_ids, batch.lengths)
        functional.cross_entropy(logits, labels[batch.rows]).backward()  # type: ignore[no-untyped-call]
        with torch.profiler.record_function("clip"):
            nn.utils.clip_grad_norm_(model.parameters(), configuration.clip_norm)
        optimizer.step()


def _named(name: str, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Give the batches, and note the time that each takes to make under a name."""
    while True:
        with torch.profiler.record_function(name):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
