"""Measure memory against corpus size, and two processes against one.

``python -m benchmarks.scale`` measures what the page "When one machine is not enough" prints, and
``--record`` writes it into the results ledger. ``--documents 300000`` measures the memory of a
corpus of that size alone. Every measurement runs in a process of its own.
"""

import argparse
import csv
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import generated
from companion import ledger
from companion.classifier.batches import Batch
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import read_table, split_corpus
from companion.classifier.distributed import Ranks
from companion.classifier.encoded_corpus import EncodedCorpus
from companion.classifier.model import LSTMClassifier, parameter_count
from companion.classifier.token_files import encode_corpus
from companion.classifier.training import train, train_tables

__all__ = ["COMMAND", "SIZES", "memory", "processes", "results"]

COMMAND = "python -m benchmarks.scale --record"
CORPUS_COMMAND = f"{COMMAND} --documents"  # which no test repeats
SIZES = (20_000, 100_000)
_HELD_OUT = 500
# What is measured is the memory of the data. So the network is small; and all batches have one
# shape, because the CPU's library keeps some memory for each shape that it has seen.
_TINY = Configuration(
    embedding_size=8,
    hidden_size=8,
    bidirectional=False,
    vectors="random",
    batch_size=1024,
    epochs=1,
    training_words=8,
    pooling="max",
)
_VOCABULARY, _TIME, _BATCH, _ROUNDS = 20_000, 38, 256, 25
_NETWORK = Configuration(
    embedding_size=128, hidden_size=128, bidirectional=False, pooling="max", window=0
)


def memory(documents: int, *, mapped: bool) -> dict[str, float]:
    """Train on a generated corpus of so many documents; measure in a process of its own.

    Args:
        documents: The size of the corpus.
        mapped: Whether it is encoded to files and mapped, or read into memory as a table.

    Returns:
        ``anonymous``: the most bytes of memory that are no mapped file and so cannot be let go;
        ``resident``: the most bytes in memory, mapped files included; ``disk``: bytes of the files.
    """
    command = [sys.executable, "-m", "benchmarks.scale", "--measure", str(documents)]
    outcome = subprocess.run(
        [*command, "mapped" if mapped else "table"], capture_output=True, text=True, check=False
    )
    if outcome.returncode:
        raise RuntimeError(outcome.stderr)
    return json.loads(outcome.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _measure_memory(documents: int, kind: str) -> None:
    """Do the work of :func:`memory` in this process, and print the figures as JSON.

    A small corpus goes first, so that what is loaded and set up once is there before the count.
    """
    torch.set_num_threads(1)
    work = _encode_and_train if kind == "mapped" else _read_and_train
    with tempfile.TemporaryDirectory() as folder:
        _generate(2000, Path(folder) / "small.csv")
        work(Path(folder) / "small.csv", 2000)
        _generate(documents, Path(folder) / "corpus.csv")
        gc.collect()
        peak = _Peak()
        before = peak.now()
        disk = work(Path(folder) / "corpus.csv", documents)
        peak.stop()
    figures = {name: peak.most[name] - before[name] for name in before}
    print(json.dumps(figures | {"disk": disk}))


def _generate(documents: int, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(generated.texts(documents))


def _encode_and_train(path: Path, documents: int) -> int:
    """Encode a corpus, train on the mapped files, and give their bytes."""
    share = _HELD_OUT / documents
    tables = encode_corpus(
        path, path.with_suffix(""), _TINY, validation_fraction=share, progress=False
    )
    corpus = EncodedCorpus.open(tables)
    train_tables(
        corpus.training,
        corpus.validation,
        corpus.vocabulary,
        corpus.labels,
        _TINY,
        device="cpu",
        progress=False,
    )
    return sum(file.stat().st_size for file in tables.rglob("*.npy"))


def _read_and_train(path: Path, documents: int) -> int:
    share = _HELD_OUT / documents
    splits = split_corpus(read_table(path), test_fraction=share, validation_fraction=share)
    train(splits.train, splits.validation, _TINY, device="cpu", progress=False)
    return 0


class _Peak:
    """Looks every 20 ms how much memory this process has, until it is stopped."""

    def __init__(self) -> None:
        self.most = self.now()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def now(self) -> dict[str, int]:
        """Read the bytes of anonymous memory, and of all that is resident (Linux)."""
        lines = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        names = {"anonymous": "RssAnon", "resident": "VmRSS"}
        return {name: int(lines[entry].split()[0]) * 1024 for name, entry in names.items()}

    def stop(self) -> None:
        """Stop looking."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.02):
            self.most = {name: max(value, self.most[name]) for name, value in self.now().items()}


def processes() -> dict[str, float]:
    """Time a step of one process, of two, and the parts that the cost model adds up.

    Returns:
        Seconds, the median of many interleaved rounds: ``one`` (a step over the whole batch),
        ``half`` (over half of it, both processes at the same time, without communication),
        ``slower_half`` (the slower one of the two), ``reduce`` (averaging a gradient of the model's
        size), ``two`` (a step of two processes together). And ``gradient_bytes``.
    """
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        output = Path(folder) / "times.json"
        command = [sys.executable, "-m", "benchmarks.scale", "--rank", str(output)]
        environment = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen(command, env=environment | {"RANK": rank, "LOCAL_RANK": rank})
            for rank in ("0", "1")
        ]
        if any(process.wait(timeout=300) for process in started):
            raise RuntimeError("a process of the measurement failed")
        return json.loads(output.read_text())  # type: ignore[no-any-return]


def _time_steps(output: str) -> None:
    """Do the work of :func:`processes` in one of its two processes."""
    torch.set_num_threads(1)
    ranks = Ranks.join(torch.device("cpu"))
    assert ranks.accelerator is not None
    wait = ranks.accelerator.wait_for_everyone
    batch, labels = _random_batch(_BATCH)
    half, _ = ranks.share(batch)
    alone = LSTMClassifier(_VOCABULARY, generated.CLASSES, _NETWORK)
    together = ranks.wrap(LSTMClassifier(_VOCABULARY, generated.CLASSES, _NETWORK))
    gradient = torch.zeros(parameter_count(alone))
    names = ("one", "half", "slower_half", "reduce", "two")
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(_ROUNDS):
        wait()
        if ranks.is_first:  # alone on the machine, as far as we are concerned
            times["one"].append(_seconds_of_a_step(alone, batch, labels))
        wait()
        own = _seconds_of_a_step(alone, half, labels)
        both = ranks.accelerator.gather(torch.tensor([own], dtype=torch.float64))
        times["half"].append(both.mean().item())
        times["slower_half"].append(both.max().item())
        wait()
        start = time.perf_counter()
        ranks.total(gradient)
        times["reduce"].append(time.perf_counter() - start)
        wait()
        times["two"].append(_seconds_of_a_step(together, half, labels))
    if ranks.is_first:
        seconds = {name: statistics.median(values[2:]) for name, values in times.items()}
        seconds["gradient_bytes"] = 4.0 * parameter_count(alone)
        Path(output).write_text(json.dumps(seconds))
    wait()


def _random_batch(size: int) -> tuple[Batch, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    token_ids = torch.randint(2, _VOCABULARY, (size, _TIME), generator=generator)
    lengths = torch.full((size,), _TIME)
    labels = torch.randint(0, generated.CLASSES, (size,), generator=generator)
    return Batch(token_ids, lengths, np.arange(size)), labels


def _seconds_of_a_step(network: nn.Module, batch: Batch, labels: torch.Tensor) -> float:
    """Time forward and backward; the optimizer's step is the same for any number of processes."""
    network.zero_grad()
    start = time.perf_counter()
    logits = network(batch.token_ids, batch.lengths)
    nn.functional.cross_entropy(logits, labels[batch.rows]).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def results() -> dict[str, tuple[float, float]]:
    """Measure all: value and tolerance by the name in the ledger."""
    return memory_results() | process_results(processes())


def memory_results() -> dict[str, tuple[float, float]]:
    """Measure bytes against documents, which the load of the machine does not change."""
    mapped = {size: memory(size, mapped=True) for size in SIZES}
    table = {size: memory(size, mapped=False) for size in SIZES}
    return {
        "scale.memory.mapped_bytes_a_document": (_slope(mapped, "anonymous"), 150),
        "scale.memory.table_bytes_a_document": (_slope(table, "anonymous"), 700),
        "scale.disk.bytes_a_document": (_slope(mapped, "disk"), 4),
    }


def corpus_results(documents: int) -> dict[str, tuple[float, float]]:
    """Measure one corpus in mapped files. No test repeats it, since a large one takes too long."""
    return {
        f"scale.corpus.{documents}.{kind}_gigabytes": (size / 1e9, max(0.1, size / 4e9))
        for kind, size in memory(documents, mapped=True).items()
    }


def process_results(seconds: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Compare the times of a step; they are those of two busy cores, and no test repeats them."""
    one, two = seconds["one"], seconds["two"]
    predicted = seconds["slower_half"] + seconds["reduce"]
    return {
        "scale.processes.compute_share": (seconds["half"] / one, 0.5),
        "scale.processes.straggler_share": ((seconds["slower_half"] - seconds["half"]) / one, 0.3),
        "scale.processes.reduce_share": (seconds["reduce"] / one, 0.3),
        "scale.processes.speedup": (one / two, 0.8),
        "scale.processes.predicted_over_measured": (predicted / two, 0.35),
        "scale.processes.gradient_bytes": (seconds["gradient_bytes"], 0),
    }


def _slope(figures: dict[int, dict[str, float]], name: str) -> float:
    """Fit a straight line through bytes against documents; give its slope."""
    sizes = list(figures)
    return float(np.polyfit(sizes, [figures[size][name] for size in sizes], 1)[0])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the results ledger")
    parser.add_argument("--documents", type=int, help="measure the memory of one size alone")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--rank", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure_memory(int(options.measure[0]), options.measure[1])
    elif options.rank:
        _time_steps(options.rank)
    else:
        found: Callable[[], dict[str, tuple[float, float]]] = results
        command = COMMAND
        if options.documents:
            found = partial(corpus_results, options.documents)
            command = f"{CORPUS_COMMAND} {options.documents}"
        for name, (value, tolerance) in found().items():
            print(f"{name} = {value:.3f}")
            if options.record:
                ledger.record(name, value, tolerance=tolerance, command=command, seed=0)


if __name__ == "__main__":
    main()
