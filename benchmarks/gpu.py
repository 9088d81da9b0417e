"""Check and measure the training on a GPU: ``python -m benchmarks.gpu``, in under eight minutes.

It needs a checkout, torch with CUDA, and what the classifier imports; no network and no install.
The corpus is generated, with the size of AG News, unless ``--data`` gives a table file
or ``--corpus`` a corpus that comes with the install.
``--record`` writes the figures into the results ledger, which only a GPU may do; ``--output``
writes them, and the outcome of every check, into a JSON file. ``--device cpu --documents 2000``
runs all of it on a CPU, with a small network, to test this script.
"""

import os

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # before CUDA starts: deterministic mode

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["COMMAND", "main", "run"]

COMMAND = "python -m benchmarks.gpu --record"
_NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "safetensors": "safetensors",
    "regex": "regex",
    "tqdm": "tqdm",
    "filelock": "filelock",
}
if missing := [package for name, package in _NEEDED.items() if not importlib.util.find_spec(name)]:
    sys.exit(f"this benchmark needs {', '.join(missing)}: pip install {' '.join(missing)}")

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks import generated
from companion import ledger
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import load_corpus, read_table, split_corpus
from companion.classifier.device import multiplies_bfloat16
from companion.classifier.device_table import DeviceTable
from companion.classifier.encoded_corpus import LabelledTable
from companion.classifier.model import LSTMClassifier
from companion.classifier.scaling import lstm_operations
from companion.classifier.text import PADDING, UNKNOWN, Vocabulary, tokenize
from companion.classifier.token_table import TokenTable
from companion.classifier.training import TrainingRun, train_tables

BATCHES = (32, 128, 512, 2048, 8192)
_STEPS = 200  # at most so many are timed of an epoch, and the rest follows in proportion
_TARGET = 0.92
# The article's sizes, which the goal is set for, and a network that learns fast.
_ARTICLE = dataclasses.replace(
    CONFIGURATIONS["article"], embedding_size=128, embedding_scale=0.1, learning_rate=1.5e-3
)
_FAST = Configuration(
    embedding_size=128,
    hidden_size=128,
    bidirectional=False,
    pooling="max",
    vectors="random",
    window=0,
    epochs=6,
    learning_rate=1e-2,
    batch_size=512,
)


def _article(device: str) -> Configuration:
    """Give the article's network; on a CPU a small one of the same kind."""
    if device == "cuda":
        return _ARTICLE
    return dataclasses.replace(_ARTICLE, embedding_size=16, hidden_size=16)


@dataclasses.dataclass(frozen=True)
class Data:
    """Documents as token ids, and what the ids stand for."""

    training: LabelledTable
    validation: LabelledTable
    vocabulary: Vocabulary
    labels: list[str]


def generate(documents: int, held_out: int) -> Data:
    """Draw a corpus of short news as token ids."""
    training, validation = _draw(documents, seed=0), _draw(held_out, seed=1)
    largest = max(int(each.tokens.token_ids.max()) for each in (training, validation))
    words = [f"w{number}" for number in range(largest - 1)]
    labels = [f"class {number}" for number in range(generated.CLASSES)]
    return Data(training, validation, Vocabulary([PADDING, UNKNOWN, *words]), labels)


def _draw(documents: int, seed: int) -> LabelledTable:
    parts = list(generated.documents(documents, seed=seed))
    ids, lengths, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    starts = np.cumsum(lengths) - lengths
    return LabelledTable(TokenTable(ids, starts, lengths), torch.from_numpy(labels))


def encode(frame: pd.DataFrame) -> Data:
    """Hold out a tenth of each class, and turn the rest into token ids."""
    splits = split_corpus(frame, validation_fraction=0.1)
    tokens = {name: [tokenize(each) for each in getattr(splits, name)["text"]] for name in _PARTS}
    vocabulary = Vocabulary.build(tokens["train"])
    labels = sorted(splits.train["label"].unique())
    tables = [
        LabelledTable(
            TokenTable.of([vocabulary.encode(document) for document in tokens[name]]),
            torch.tensor([labels.index(each) for each in getattr(splits, name)["label"]]),
        )
        for name in _PARTS
    ]
    return Data(tables[0], tables[1], vocabulary, labels)


_PARTS = ("train", "validation")


def run(data: Data, device: str) -> dict[str, float]:
    """Check and measure all. A check is 1 where it holds and 0 where not.

    Args:
        data: The corpus.
        device: ``"cuda"`` or ``"cpu"``.

    Returns:
        The figures by name: seconds, shares, and the outcomes of the checks.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    figures: dict[str, float] = {}
    started = time.perf_counter()
    for part in (_agreement, _repeated, _waits, _peak, _epochs, _accuracy):
        figures |= part(data, device)
        print(f"{time.perf_counter() - started:5.0f} s  {part.__name__.strip('_')}", flush=True)
    return figures


def _agreement(data: Data, device: str) -> dict[str, float]:
    """Hold the device's logits against the CPU's, and a document alone against it in company."""
    torch.manual_seed(0)
    model = LSTMClassifier(len(data.vocabulary), len(data.labels), _article(device)).eval()
    table = DeviceTable.of(data.training.tokens.take(slice(256)), torch.device("cpu"))
    batches = list(table.batches_by_length(64))
    with torch.inference_mode():
        host = torch.cat([model(batch.token_ids, batch.lengths) for batch in batches])
        model.to(device)
        there = [(batch.token_ids.to(device), batch.lengths.to(device)) for batch in batches]
        own = torch.cat([model(*batch) for batch in there])
        half = {}
        if multiplies_bfloat16(torch.device(device)):
            with torch.autocast(device, torch.bfloat16):
                logits = torch.cat([model(*batch) for batch in there])
            half["bfloat16_difference"] = (logits.float() - own).abs().max().item()
        alone = torch.cat(
            [
                model(ids[row : row + 1, : int(length)], lengths[row : row + 1])
                for ids, lengths in there
                for row, length in enumerate(lengths)
            ]
        )
    difference = (own.cpu() - host).abs().max().item()
    company = (alone - own).abs().max().item()
    return {
        "check.logits_agree": float(difference < 1e-4),
        "logits_difference": difference,
        "check.company_does_not_matter": float(company < 1e-4),
        "company_difference": company,
        **half,
    }


def _repeated(data: Data, device: str) -> dict[str, float]:
    """Train twice with one seed, in deterministic mode and as usual; compare bits and seconds."""
    few = _first(data, 4096 if device == "cuda" else 512)
    seconds, equal = {}, {}
    for name, deterministic in (("usual", False), ("deterministic", True)):
        torch.use_deterministic_algorithms(deterministic)
        try:
            runs = [
                _train(few, _article(device), device, epochs=3, batch_size=256) for _ in range(2)
            ]
        finally:
            torch.use_deterministic_algorithms(False)
        vectors = [
            nn.utils.parameters_to_vector(each.classifier.model.parameters()) for each, _ in runs
        ]
        equal[name] = float(torch.equal(*vectors))
        seconds[name] = min(each[-1] for _, each in runs)
    return {
        "check.deterministic_runs_agree": equal["deterministic"],
        "usual_runs_agree": equal["usual"],
        "deterministic_cost": seconds["deterministic"] / seconds["usual"],
    }


def _waits(data: Data, device: str) -> dict[str, float]:
    """Count how often the host waits for the GPU; twice the steps must not mean more waits."""
    if device != "cuda":
        return {}
    few, waits = _first(data, 8192), []
    for batch_size in (512, 256):
        _train(few, _FAST, device, epochs=1, batch_size=batch_size)  # what is set up once
        with _counting_waits() as count:
            _train(few, _FAST, device, epochs=1, batch_size=batch_size)
        waits.append(count())
    return {"check.no_waits_in_an_epoch": float(waits[0] == waits[1]), "waits": float(waits[1])}


@contextlib.contextmanager
def _counting_waits() -> Iterator[Callable[[], int]]:
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield lambda: sum("synchroniz" in str(each.message) for each in caught)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _peak(data: Data, device: str) -> dict[str, float]:
    """Measure the two things that a training cannot outrun: products, and steps in a row."""
    kind, size = (torch.bfloat16, 8192) if device == "cuda" else (torch.float32, 1024)
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    seconds = _best_seconds(lambda: left @ right, device, rounds=10)
    steps = {count: _seconds_of_lstm(count, device, kind) for count in (16, 80)}
    return {
        "peak_flops": 2 * size**3 / seconds,
        "step_seconds": (steps[80] - steps[16]) / 64,
    }


def _seconds_of_lstm(steps: int, device: str, kind: torch.dtype) -> float:
    """Time a layer over a few documents, forward and backward: what is left is latency."""
    size = _article(device).hidden_size
    layer = nn.LSTM(size, size, batch_first=True).to(device, kind)
    inputs = torch.randn(8, steps, size, device=device, dtype=kind, requires_grad=True)
    return _best_seconds(lambda: layer(inputs)[0].sum().backward(), device, rounds=10)


def _best_seconds(work: Callable[[], object], device: str, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _epochs(data: Data, device: str) -> dict[str, float]:
    """Time an epoch at each batch size, and set it against the floor."""
    peak = _peak(data, device)
    figures = {}
    for batch_size in BATCHES:
        if batch_size > len(data.training):
            continue
        few = _first(data, batch_size * _STEPS)
        part = len(few.training) / len(data.training)
        epochs = 3 if part == 1 else 2
        _, seconds = _train(few, _article(device), device, epochs=epochs, batch_size=batch_size)
        epoch = min(seconds[1:]) / part
        floor = _floor(few, _article(device), batch_size, peak) / part
        figures[f"epoch_seconds.batch_{batch_size}"] = epoch
        figures[f"floor_seconds.batch_{batch_size}"] = floor
        figures[f"epoch_over_floor.batch_{batch_size}"] = epoch / floor
    return figures


def _floor(data: Data, network: Configuration, batch_size: int, peak: dict[str, float]) -> float:
    """Give the seconds below which no epoch of the article's network can come.

    The larger of two: its operations at the peak, and its recurrent steps one after another. A step
    is forward and backward; the layers could overlap, and are not assumed to.
    """
    words = network.training_words
    lengths = np.minimum(data.training.tokens.lengths, words)
    operations = lstm_operations(network.embedding_size, network.hidden_size, network.layers)
    table = DeviceTable.of(data.training.tokens, torch.device("cpu"))
    generator = np.random.default_rng(0)
    widths = [
        batch.token_ids.shape[1] for batch in table.shuffled_batches(batch_size, words, generator)
    ]
    steps = sum(widths) * network.layers
    return max(int(lengths.sum()) * operations / peak["peak_flops"], steps * peak["step_seconds"])


def _accuracy(data: Data, device: str) -> dict[str, float]:
    """Time the training until the validation accuracy reaches the target."""
    _train(_first(data, 4096), _FAST, device, epochs=1)  # what is set up once
    run, seconds = _train(data, _FAST, device, epochs=_FAST.epochs)
    accuracies = run.history["validation_accuracy"].tolist()
    reached = [
        time
        for time, accuracy in zip(np.cumsum(seconds), accuracies, strict=True)
        if accuracy >= _TARGET
    ]
    figures = {"best_accuracy": max(accuracies), "training_seconds": float(sum(seconds))}
    return figures | ({"seconds_to_target": float(reached[0])} if reached else {})


def _train(
    data: Data, configuration: Configuration, device: str, *, epochs: int, batch_size: int = 512
) -> tuple[TrainingRun, list[float]]:
    """Train with the tables on the device; give the run and the seconds of each epoch."""
    chosen = dataclasses.replace(
        configuration, epochs=epochs, batch_size=batch_size, patience=epochs
    )
    marks: list[float] = []
    start = time.perf_counter()
    run = train_tables(
        data.training,
        data.validation,
        data.vocabulary,
        data.labels,
        chosen,
        on_epoch=lambda row: marks.append(time.perf_counter()),
        resident=True,
        device=device,
        progress=False,
    )
    return run, np.diff([start, *marks]).tolist()


def _first(data: Data, documents: int) -> Data:
    """Take the first documents, and a few to validate on, which then cost next to nothing."""

    def cut(table: LabelledTable, count: int) -> LabelledTable:
        return LabelledTable(table.tokens.take(slice(count)), table.labels[:count])

    return dataclasses.replace(
        data, training=cut(data.training, documents), validation=cut(data.validation, 256)
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 if a check does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--documents", type=int, default=120_000)
    parser.add_argument("--data", help="a .csv, .tsv, .jsonl or .parquet file")
    parser.add_argument("--corpus", help="one that comes with the install, as bbc or r8")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--output", help="where to write the figures as JSON")
    parser.add_argument("--record", action="store_true", help="write the results ledger")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu --documents 2000 tests the script")
    if options.data:
        data = encode(read_table(options.data, text=options.text, label=options.label))
    elif options.corpus:
        data = encode(load_corpus(options.corpus))
    else:
        data = generate(options.documents, max(256, options.documents // 16))
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(f"{name}, torch {torch.__version__}, {len(data.training)} documents")
    figures = run(data, options.device)
    for each, value in figures.items():
        print(f"{each} = {value:.4g}")
    if options.output:
        Path(options.output).write_text(json.dumps({"device": name, **figures}, indent=1) + "\n")
    if options.record and options.device == "cuda":
        for each, value in figures.items():
            ledger.record(
                f"gpu.{each}",
                value,
                tolerance=abs(value) / 4,
                command=COMMAND,
                seed=0,
                device=options.device,
            )
    return int(any(value == 0 for each, value in figures.items() if each.startswith("check.")))


if __name__ == "__main__":
    sys.exit(main())
