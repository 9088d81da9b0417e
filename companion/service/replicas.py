"""The same model in several processes, run by Ray Serve.

Explained in :doc:`/questions/service`, "How it grows". Ray starts the replicas, shares the requests
among them, starts a dead one again, and could do so over several machines.
"""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.errors import MissingPackageError
from companion.service.batching import MicroBatcher
from companion.service.opening import open_model

__all__ = ["Replicas", "replicated"]

_STORE = 80 * 2**20  # bytes that processes share; texts need little


class Replicas:
    """Several copies of a classifier behind one address.

    Args:
        handle: What Ray gives to reach them.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def predict_proba(self, requests: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Send requests at the same time, and wait for all their answers.

        Args:
            requests: The texts of each.

        Returns:
            The probabilities of each, in the order of the requests.
        """
        return [answer for answer, _ in self._ask(requests)]

    def process_ids(self, tries: int = 40) -> set[int]:
        """Give the processes that answered some requests."""
        return {process for _, process in self._ask([["who"]] * tries)}

    def _ask(self, requests: Sequence[Sequence[str]]) -> list[tuple[NDArray[np.float64], int]]:
        waiting = [self._handle.predict.remote(list(texts)) for texts in requests]
        return [each.result(timeout_s=60) for each in waiting]


@contextmanager
def replicated(path: str | Path, replicas: int = 2) -> Iterator[Replicas]:
    """Start replicas of a model on this machine, and stop them at the end.

    Args:
        path: A folder of ``companion train``, or an ``.onnx`` file.
        replicas: How many.

    Raises:
        MissingPackageError: If Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to its makers
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise MissingPackageError(
            "replicas need Ray Serve: pip install 'large-models-at-work[ray]'"
        ) from error
    ray.init(
        num_cpus=replicas,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=_STORE,
    )
    deployment = serve.deployment(
        num_replicas=replicas, ray_actor_options={"num_cpus": 0.1}, max_ongoing_requests=64
    )(_Replica)
    try:
        handle = serve.run(
            deployment.bind(str(Path(path).absolute())), name="classifier", route_prefix=None
        )
        yield Replicas(handle)
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


class _Replica:
    """One process with a model and a batcher of its own."""

    def __init__(self, path: str) -> None:
        classifier, _ = open_model(path)
        self._batcher = MicroBatcher(classifier.predict_proba)
        self._lock, self._is_started = asyncio.Lock(), False

    async def predict(self, texts: list[str]) -> tuple[NDArray[np.float64], int]:
        async with self._lock:
            if not self._is_started:
                self._batcher.start()
                self._is_started = True
        return await self._batcher.submit(texts), os.getpid()
