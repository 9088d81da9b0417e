"""The command as a process: it starts, stops and starts again under load, and loses no answer."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from companion.classifier.checkpoint import load_classifier, save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.training import train
from companion.service.load import closed_loop
from tests.conftest import news


@pytest.fixture
def folder(tmp_path: Path, splits: Splits, small: Configuration) -> Path:
    run = train(splits.train, splits.validation, small, device="cpu")
    return save_classifier(run.classifier, tmp_path / "model")


def start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    program = [sys.executable, "-c", "from companion.cli import main; main()", "serve"]
    return subprocess.Popen(
        [*program, str(folder), "--port", str(port)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def until_ready(client: httpx.AsyncClient) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    pytest.fail("the service did not start")


@pytest.mark.slow
def test_a_restart_under_load_loses_no_answer(folder: Path) -> None:
    texts = news(200, seed=5)["text"].tolist()[:600]
    port = free_port()
    processes = [start(folder, port)]

    async def main() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await until_ready(client)
            asking = asyncio.create_task(closed_loop(client, [[text] for text in texts], 8))
            await asyncio.sleep(0.3)
            assert not asking.done(), "the load must outlast the stop"
            processes[0].send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(processes[0].wait, 60)
            assert code in (0, -signal.SIGTERM)
            processes.append(start(folder, port))
            load = await asking
            classifier = load_classifier(folder, device="cpu")
            assert [answer[0]["label"] for answer in load.answers] == classifier.predict(texts)
            given = [answer[0]["probabilities"] for answer in load.answers]
            for row, right in zip(given, classifier.predict_proba(texts), strict=True):
                assert list(row.values()) == pytest.approx(right.tolist(), abs=1e-5)
            assert load.attempts > len(texts), "some had to ask again"

    try:
        asyncio.run(main())
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=60)
    log = processes[0].stderr.read().decode() if processes[0].stderr else ""
    assert "Traceback" not in log
