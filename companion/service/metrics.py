"""What the service counts, in the format that Prometheus reads.

Explained in :doc:`/questions/service`, "Watch it". The number of series does not depend on what
clients send: an unknown path or method is counted as ``other``.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from companion.service.drift import DriftMonitor
from companion.service.guard import Application, Message, Receive, Scope, Send

__all__ = ["Metrics", "Observed"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_DOCUMENTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one service.

    Args:
        pending: Tells how many documents wait.
        monitor: Tells how far the inputs have drifted, or None where nothing watches it.
    """

    def __init__(self, pending: Callable[[], int], monitor: DriftMonitor | None) -> None:
        self._registry = CollectorRegistry()
        self._monitor = monitor
        self.requests = Counter(
            "companion_requests", "Requests.", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "companion_request_seconds",
            "Seconds from the first byte in to the last byte out.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.batches = Histogram(
            "companion_batch_documents",
            "Documents that the model answered at once.",
            buckets=_DOCUMENTS,
            registry=self._registry,
        )
        self.answers = Counter(
            "companion_answers", "Documents by the class given.", ["label"], registry=self._registry
        )
        waiting = Gauge(
            "companion_pending_documents", "Documents that wait.", registry=self._registry
        )
        waiting.set_function(pending)
        self._drift = Gauge(
            "companion_drift_ratio",
            "Divergence of the last window by its threshold; above 1 is drift.",
            ["feature"],
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Write all of them in the text format of Prometheus."""
        if self._monitor is not None:
            report = self._monitor.report()
            for name, value in report.divergences.items():
                self._drift.labels(name).set(value / report.thresholds[name])
        return generate_latest(self._registry)


class Observed:
    """Counts each request and the time that it takes; plain ASGI.

    Args:
        app: What comes behind it.
        metrics: Where to count.
        paths: The paths that are counted by their name.
    """

    def __init__(self, app: Application, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it when its response has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        start, status = time.perf_counter(), "none"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)
