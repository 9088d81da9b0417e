"""Latency and throughput of the service at several loads: ``python -m benchmarks.serve``.

A server in a process of its own, this process as its clients, both on one machine. What batching
gains is the ratio of the server's processor time for an answer, without and with it: other work on
the machine does not change that. The milliseconds are of the machine that the record names, with
whatever else it did (``--record``). It takes a minute.
"""

import argparse
import asyncio
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from companion import ledger
from companion.classifier.checkpoint import save_classifier
from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.inference import TextClassifier
from companion.classifier.training import train
from companion.concepts.scale import headline
from companion.service.load import Load, closed_loop, open_loop

COMMAND = "python -m benchmarks.serve --record"
CLIENTS = (1, 4, 16, 64)
REQUESTS = 192
SHORT = 96  # what the test of the record sends
OPEN_SHARES = (0.3, 0.9)  # of the throughput that the closed loop reached
CHARACTERS = 2000
Values = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Loaded:
    """A run under load, and the server's processor seconds for an answer."""

    load: Load
    processor: float


@contextmanager
def server(folder: str | Path, *options: str) -> Iterator[tuple[httpx.URL, psutil.Process]]:
    """Run ``companion serve`` in a process of its own until the block ends."""
    port = free_port()
    process = start(folder, port, *options)
    try:
        address = httpx.URL(f"http://127.0.0.1:{port}")
        wait_until_ready(address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def start(folder: str | Path, port: int, *options: str) -> "subprocess.Popen[bytes]":
    """Start the command that serves a model."""
    program = [sys.executable, "-c", "from companion.cli import main; main()", "serve"]
    return subprocess.Popen(
        [*program, str(folder), "--port", str(port), *options],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until_ready(address: httpx.URL, seconds: float = 120) -> None:
    """Ask for its readiness until it says yes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{address} is not ready after {seconds:g} seconds")


def loads(
    address: httpx.URL, process: psutil.Process, texts: list[str], requests: int
) -> dict[int, Loaded]:
    """Send the same requests from each number of clients."""
    sent = [[texts[number % len(texts)]] for number in range(requests)]

    async def main() -> dict[int, Loaded]:
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            await closed_loop(client, sent[:32], 8)  # connections, caches, first batches
            found = {}
            for clients in CLIENTS:
                before = _processor(process)
                load = await closed_loop(client, sent, clients)
                found[clients] = Loaded(load, (_processor(process) - before) / requests)
            return found

    return asyncio.run(main())


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def arrivals(address: httpx.URL, texts: list[str], rate: float, requests: int) -> Load:
    """Send requests at random moments."""
    sent = [[texts[number % len(texts)]] for number in range(requests)]

    async def main() -> Load:
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            return await open_loop(client, sent, rate)

    return asyncio.run(main())


def measure(requests: int = REQUESTS) -> Values:
    """Train a model, serve it with batching and without, and load both."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    shuffled = splits.test.sample(frac=1, random_state=0)
    texts = shuffled["text"].str.slice(0, CHARACTERS).tolist()
    # One epoch: how fast a network answers does not depend on how well it does.
    configuration = dataclasses.replace(CONFIGURATIONS["recommended"], epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        run = train(splits.train, splits.validation, configuration, device="cpu")
        save_classifier(run.classifier, folder)
        with server(folder) as (address, process):
            together = loads(address, process, texts, requests)
            full = together[CLIENTS[-1]].load.throughput
            opened = {
                share: arrivals(address, texts, share * full, requests) for share in OPEN_SHARES
            }
        with server(folder, "--max-batch", "1") as (address, process):
            alone = loads(address, process, texts, requests)
    gains: Values = {}
    for name, chosen in [("articles", texts[:128]), ("headlines", [*map(headline, texts[:128])])]:
        gain = batch_gain(run.classifier, chosen)
        gains[f"serve.model_{name}.batching_ratio"] = (gain, 0.75 * gain)
    return _values(together, alone, opened) | gains


def batch_gain(classifier: TextClassifier, texts: list[str]) -> float:
    """Divide the model's processor time for texts one by one by that for all at once.

    The lower of three times each, in turns: other work on the machine can only add.
    """

    def seconds(batches: list[list[str]]) -> float:
        start = time.process_time()
        for batch in batches:
            classifier.predict_proba(batch)
        return time.process_time() - start

    classifier.predict_proba(texts)
    times = [(seconds([[text] for text in texts]), seconds([texts])) for _ in range(3)]
    one_by_one, together = zip(*times, strict=True)
    return float(min(one_by_one) / min(together))


def _values(
    together: dict[int, Loaded], alone: dict[int, Loaded], opened: dict[float, Load]
) -> Values:
    values: Values = {}
    for clients, loaded in together.items():
        name, load = f"serve.clients_{clients}", loaded.load
        for percent in (50, 95, 99):
            milliseconds = 1000 * load.percentile(percent)
            values[f"{name}.p{percent}_ms"] = (milliseconds, 30 * milliseconds)
        values[f"{name}.throughput"] = (load.throughput, 30 * load.throughput)
        ratio = alone[clients].processor / loaded.processor
        values[f"{name}.batching_ratio"] = (ratio, 1.5)
    for share, load in opened.items():
        for percent in (50, 99):
            milliseconds = 1000 * load.percentile(percent)
            name = f"serve.open_{round(100 * share)}.p{percent}_ms"
            values[name] = (milliseconds, 30 * milliseconds)
    everything = [loaded.load for loaded in together.values()] + list(opened.values())
    lost = sum(not answer for load in everything for answer in load.answers)
    return values | {"serve.lost_answers": (float(lost), 0.0)}


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the values into the ledger")
    arguments = parser.parse_args()
    for name, (value, tolerance) in measure().items():
        print(f"{name} = {value:.3f}", flush=True)
        if arguments.record:
            unit = "ms" if name.endswith("_ms") else "1/s" if name.endswith("throughput") else ""
            ledger.record(name, value, tolerance=tolerance, command=COMMAND, unit=unit, seed=0)


if __name__ == "__main__":
    main()
