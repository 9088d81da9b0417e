"""Clients that ask a service: one that does not give up at once, and many at a time.

Explained in :doc:`/questions/service`, "How fast".
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from companion.errors import CompanionError, DataError, MissingPackageError

try:
    import httpx
except ImportError as error:
    raise MissingPackageError("asking a service needs httpx: pip install httpx") from error

__all__ = ["Load", "Unanswered", "ask", "closed_loop", "in_process", "open_loop"]

_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds
_GONE = (httpx.TransportError,)  # refused, reset or cut off: asking again changes nothing else


class Unanswered(CompanionError):  # noqa: N818
    """The service gave no answer in the time that there was."""


@dataclass(frozen=True)
class Load:
    """What happened to the requests of a test under load.

    Attributes:
        seconds: From the moment when a request was due to its answer, for each, in their order.
        answers: What each was answered.
        attempts: How many requests were sent in all, repeated ones included.
        duration: How long all of it took, in seconds.
    """

    seconds: list[float]
    answers: list[list[dict[str, Any]]]
    attempts: int
    duration: float

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return len(self.answers) / self.duration

    def percentile(self, percent: float) -> float:
        """Give the seconds within which so many percent of the answers came."""
        return float(np.percentile(self.seconds, percent))


@asynccontextmanager
async def in_process(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service in this process, without a port, and give a client that asks it.

    Args:
        app: What :func:`companion.service.app.create_app` built.
    """
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield client


async def ask(
    client: httpx.AsyncClient, texts: Sequence[str], *, patience: float = 60.0
) -> tuple[list[dict[str, Any]], int]:
    """Ask for the classes of texts; ask again if there is no connection or no room.

    A prediction changes nothing in the service, so that it does no harm to ask twice. The pauses
    double up to a second; a service that says ``Retry-After`` is asked no sooner than that, within
    the same second.

    Args:
        client: With the address of the service as its ``base_url``.
        texts: What to ask.
        patience: After how many seconds to give up.

    Returns:
        The answers, and how many times it asked.

    Raises:
        Unanswered: If the time was not enough.
        DataError: If the service refuses the texts.
    """
    attempts, pause, end = 0, _PAUSE, time.monotonic() + patience
    while time.monotonic() < end:
        attempts += 1
        try:
            response = await client.post("/predict", json={"texts": list(texts)})
        except _GONE:
            wait = pause
        else:
            if response.status_code == 200:
                answers: list[dict[str, Any]] = response.json()["answers"]
                return answers, attempts
            if response.status_code != 503:
                raise DataError(f"status {response.status_code}: {response.text[:300]}")
            wait = max(pause, float(response.headers.get("retry-after", 0)))
        await asyncio.sleep(min(wait, _LONGEST_PAUSE))
        pause *= 2
    raise Unanswered(f"no answer after {attempts} attempts in {patience:g} seconds")


async def closed_loop(
    client: httpx.AsyncClient, requests: Sequence[Sequence[str]], clients: int
) -> Load:
    """Let some clients ask, each again as soon as it has its answer.

    Args:
        client: With the address of the service as its ``base_url``.
        requests: The texts of each request.
        clients: How many ask at a time.
    """
    waiting = iter(enumerate(requests))
    done: list[tuple[int, float, list[dict[str, Any]], int]] = []

    async def one() -> None:
        for number, texts in waiting:
            start = time.perf_counter()
            answers, attempts = await ask(client, texts)
            done.append((number, time.perf_counter() - start, answers, attempts))

    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return _load(done, time.perf_counter() - begin)


async def open_loop(
    client: httpx.AsyncClient, requests: Sequence[Sequence[str]], rate: float, *, seed: int = 0
) -> Load:
    """Let requests come at random moments, whether or not earlier ones were answered.

    This is how independent users come. A closed loop slows down with the service and so hides how
    long a user waits; here the clock of a request starts when it is due.

    Args:
        client: With the address of the service as its ``base_url``.
        requests: The texts of each request.
        rate: Requests a second, on average.
        seed: Fixes the moments.
    """
    due = np.random.default_rng(seed).exponential(1 / rate, len(requests)).cumsum()
    begin = time.perf_counter()

    async def one(number: int) -> tuple[int, float, list[dict[str, Any]], int]:
        await asyncio.sleep(max(0.0, begin + due[number] - time.perf_counter()))
        answers, attempts = await ask(client, requests[number])
        return number, time.perf_counter() - begin - due[number], answers, attempts

    done = await asyncio.gather(*(one(number) for number in range(len(requests))))
    return _load(list(done), time.perf_counter() - begin)


def _load(done: list[tuple[int, float, list[dict[str, Any]], int]], duration: float) -> Load:
    done.sort(key=lambda row: row[0])
    return Load(
        [row[1] for row in done], [row[2] for row in done], sum(row[3] for row in done), duration
    )
