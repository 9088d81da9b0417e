"""Answer requests that come at the same time together.

Explained in :doc:`/questions/service`, "Batching".
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.errors import CompanionError, DataError

__all__ = ["Busy", "MicroBatcher", "Predict"]

Predict = Callable[[list[str]], NDArray[np.float64]]
_MEMORY = 0.1  # how much the latest batch counts in the running mean of seconds a document


class Busy(CompanionError):  # noqa: N818  (the name of a state that the caller should expect)
    """There is no room for the request now.

    Attributes:
        retry_after: After how many seconds to ask again.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class _Job:
    """A request that waits: its texts, and where its answer goes."""

    texts: list[str]
    answer: asyncio.Future[NDArray[np.float64]]


class MicroBatcher:
    """Collects waiting requests into batches for a model, and gives each its own answer.

    The model runs in one thread of its own, so that the event loop stays free to take requests.
    A batch closes when it is full, or ``max_wait`` after its first request was taken up. Requests
    that arrive while the model works form the next one.

    Args:
        predict: Gives a row of probabilities for each text.
        max_batch: The most documents of a batch; 1 turns batching off. A request of more documents
            is a batch by itself.
        max_wait: How many seconds the first request of a batch waits for others.
        capacity: The most documents that wait or are in work. Beyond it, requests are refused.
        on_batch: Called with the number of documents of each finished batch.

    Raises:
        DataError: If a bound is not positive, or ``max_wait`` negative.
    """

    def __init__(
        self,
        predict: Predict,
        *,
        max_batch: int = 32,
        max_wait: float = 0.002,
        capacity: int = 512,
        on_batch: Callable[[int], None] = lambda documents: None,
    ) -> None:
        if max_batch < 1 or capacity < 1 or max_wait < 0:
            raise DataError("max_batch and capacity are at least 1, and max_wait at least 0")
        self._predict, self._on_batch = predict, on_batch
        self._max_batch, self._max_wait, self._capacity = max_batch, max_wait, capacity
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._held: _Job | None = None
        self._pending, self._seconds_a_document = 0, 0.0
        self._worker: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def pending(self) -> int:
        """How many documents wait or are in work."""
        return self._pending

    @property
    def is_accepting(self) -> bool:
        """Whether a request of one document would be taken now."""
        return self._worker is not None and self._pending < self._capacity

    def start(self) -> None:
        """Begin to work, also after :meth:`close`; call it inside the event loop."""
        self._jobs = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Refuse new requests, answer all that were accepted, and stop the thread."""
        worker, self._worker = self._worker, None
        if worker is not None and self._thread is not None:
            self._jobs.put_nowait(None)
            await worker
            self._thread.shutdown()

    async def submit(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Wait for the answer to a request.

        Args:
            texts: Its documents.

        Returns:
            ``(documents, classes)`` probabilities, in the order of the documents.

        Raises:
            Busy: If there is no room, or the batcher does not run.
        """
        if self._worker is None:
            raise Busy("the service does not run now; ask again", retry_after=1)
        if self._pending + len(texts) > self._capacity:
            wait = max(1, math.ceil(self._pending * self._seconds_a_document))
            raise Busy(f"{self._pending} documents are waiting; ask again later", retry_after=wait)
        job = _Job(list(texts), asyncio.get_running_loop().create_future())
        self._pending += len(job.texts)
        self._jobs.put_nowait(job)
        return await job.answer

    async def _work(self) -> None:
        while batch := await self._collect():
            try:
                await self._answer([job for job in batch if not job.answer.done()])
            finally:
                self._pending -= sum(len(job.texts) for job in batch)

    async def _collect(self) -> list[_Job]:
        """Wait for a request and gather those that fit beside it; empty at the end."""
        first = self._held or await self._jobs.get()
        self._held = None
        if first is None:
            return []
        batch, size = [first], len(first.texts)
        until = asyncio.get_running_loop().time() + self._max_wait
        while size < self._max_batch:
            job = await self._next(until)
            if job is None:
                break
            if size + len(job.texts) > self._max_batch:
                self._held = job
                break
            batch.append(job)
            size += len(job.texts)
        return batch

    async def _next(self, until: float) -> _Job | None:
        """Take the next request; None if none comes in time, or at the end."""
        if self._jobs.empty():
            try:
                async with asyncio.timeout_at(until):
                    job = await self._jobs.get()
            except TimeoutError:
                return None
        else:
            job = self._jobs.get_nowait()
        if job is None:
            self._jobs.put_nowait(None)  # the end is for the next collection to see
        return job

    async def _answer(self, jobs: list[_Job]) -> None:
        """Ask the model once for several requests; if that fails, once for each."""
        if not jobs:
            return
        try:
            rows = await self._run([text for job in jobs for text in job.texts])
        except Exception as error:  # whatever the model raises belongs to a request, not to us
            if len(jobs) > 1:
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].answer.done():
                jobs[0].answer.set_exception(error)
            return
        start = 0
        for job in jobs:
            if not job.answer.done():  # its client may have gone meanwhile
                job.answer.set_result(rows[start : start + len(job.texts)])
            start += len(job.texts)

    async def _run(self, texts: list[str]) -> NDArray[np.float64]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        rows = await loop.run_in_executor(self._thread, self._predict, texts)
        if len(rows) != len(texts):
            raise DataError(f"the model gave {len(rows)} answers to {len(texts)} documents")
        latest = (loop.time() - begin) / len(texts)
        self._seconds_a_document += _MEMORY * (latest - self._seconds_a_document)
        self._on_batch(len(texts))
        return rows
