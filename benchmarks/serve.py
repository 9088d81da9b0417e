"""Latency and throughput of the service at several loads: ``python -m benchmarks.serve``.

A server in a process of its own, this process as its clients, both on one machine. What is recorded
are ratios of figures from the same run; the absolute ones are printed, and recorded for the
machine that the record names (``--record``). It takes two minutes.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from companion import ledger
from companion.classifier.checkpoint import save_classifier
from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.training import train
from companion.concepts.scale import headline
from companion.service.load import Load, closed_loop, open_loop

COMMAND = "python -m benchmarks.serve --record"
CLIENTS = (1, 4, 16, 64)
REQUESTS = 640
SHORT = 320  # what the test of the record sends
OPEN_SHARES = (0.3, 0.9)  # of the throughput that the closed loop reached
Values = dict[str, tuple[float, float]]


@contextmanager
def server(folder: str | Path, *options: str, port: int | None = None) -> Iterator[httpx.URL]:
    """Run ``companion serve`` in a process of its own until the block ends."""
    port = port or free_port()
    process = start(folder, port, *options)
    try:
        address = httpx.URL(f"http://127.0.0.1:{port}")
        wait_until_ready(address)
        yield address
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


def loads(address: httpx.URL, texts: list[str], requests: int) -> dict[int, Load]:
    """Send the same requests from each number of clients."""
    sent = [[texts[number % len(texts)]] for number in range(requests)]

    async def main() -> dict[int, Load]:
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            await closed_loop(client, sent[:64], 8)  # connections, caches, first batches
            return {
                clients: await closed_loop(
                    client, sent[: requests if clients > 1 else 160], clients
                )
                for clients in CLIENTS
            }

    return asyncio.run(main())


def _share(requests: int, clients: int) -> int:
    """Let few clients send fewer: they take longer for each."""
    return requests if clients > 1 else requests // 4


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
    texts = [headline(text) for text in splits.test["text"]]
    configuration = CONFIGURATIONS["recommended"]
    with tempfile.TemporaryDirectory() as folder:
        run = train(splits.train, splits.validation, configuration, device="cpu")
        save_classifier(run.classifier, folder)
        with server(folder) as address:
            together = loads(address, texts, requests)
            full = together[CLIENTS[-1]].throughput
            opened = {
                share: arrivals(address, texts, share * full, requests) for share in OPEN_SHARES
            }
        with server(folder, "--max-batch", "1") as address:
            alone = loads(address, texts, requests)
    return _values(together, alone, opened)


def _values(together: dict[int, Load], alone: dict[int, Load], opened: dict[float, Load]) -> Values:
    values: Values = {}
    for clients, load in together.items():
        name = f"serve.clients_{clients}"
        for percent in (50, 95, 99):
            milliseconds = 1000 * load.percentile(percent)
            values[f"{name}.p{percent}_ms"] = (milliseconds, 9 * milliseconds)
        values[f"{name}.throughput"] = (load.throughput, 0.9 * load.throughput)
        ratio = load.throughput / alone[clients].throughput
        values[f"{name}.batching_ratio"] = (ratio, 0.6 * ratio)
    for share, load in opened.items():
        for percent in (50, 99):
            milliseconds = 1000 * load.percentile(percent)
            name = f"serve.open_{round(100 * share)}.p{percent}_ms"
            values[name] = (milliseconds, 30 * milliseconds)
    values["serve.lost_answers"] = (
        float(sum(not load.answers for load in (*together.values(), *opened.values()))),
        0.0,
    )
    return values


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
