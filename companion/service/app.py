"""The service itself: its addresses, what they take, and what they answer.

Explained in :doc:`/questions/service`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion import __version__
from companion.classifier.text import Vocabulary, has_tokens
from companion.errors import EmptyDocumentError, MissingPackageError
from companion.service.batching import Busy, MicroBatcher
from companion.service.drift import DriftMonitor
from companion.service.guard import Application, Guard, ServiceLimits, error_body

try:
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from pydantic import BaseModel, ConfigDict, Field
    from starlette.exceptions import HTTPException

    from companion.service.metrics import Metrics, Observed
except ImportError as error:
    raise MissingPackageError(
        "the service needs fastapi, uvicorn and prometheus-client: "
        "pip install 'large-models-at-work[serve]'"
    ) from error

__all__ = ["Batching", "Classifier", "create_app"]


class Classifier(Protocol):
    """What can be served: a TextClassifier, an OnnxClassifier, or anything like them."""

    labels: list[str]
    vocabulary: Vocabulary

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Give the probability of each class for each text."""


@dataclass(frozen=True)
class Batching:
    """How requests are collected; see :class:`companion.service.batching.MicroBatcher`.

    Attributes:
        max_batch: The most documents of a batch.
        max_wait: Seconds that the first request of a batch waits.
        capacity: The most documents that wait or are in work.
    """

    max_batch: int = 32
    max_wait: float = 0.002
    capacity: int = 512


class Answer(BaseModel):
    """The class of one text."""

    label: str = Field(description="The most probable class.")
    probability: float = Field(ge=0, le=1, description="Its probability.")
    probabilities: dict[str, float] = Field(description="The probability of each class.")


class Answers(BaseModel):
    """The answers to a request, in the order of its texts."""

    answers: list[Answer]


class Health(BaseModel):
    """Whether the service lives, or takes requests."""

    status: str


class ModelCard(BaseModel):
    """What the model is, where it comes from, and where it must not be trusted."""

    service: str
    labels: list[str]
    vocabulary_size: int
    facts: dict[str, Any] = Field(description="Where it comes from and what it was measured at.")
    limits: dict[str, float]
    not_for: list[str]


class Drift(BaseModel):
    """How far the texts of late lie from those that the model was measured on."""

    watched: bool
    documents: int = 0
    window: int = 0
    windows: int = 0
    divergences: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    drifted: list[str] = []


class Problem(BaseModel):
    """A word for programs and a sentence for people."""

    code: str
    message: str


class Error(BaseModel):
    """What every refused request gets."""

    error: Problem


_NOT_FOR = [
    "decisions about persons",
    "texts of a kind that it was not measured on: it has no answer 'none of these'",
]
_REASONS = {
    400: "The body is no JSON, not UTF-8, or nests too deeply.",
    408: "The body did not arrive in time.",
    413: "The body is too long.",
    415: "The body does not say that it is JSON.",
    422: "The JSON is not of the form that is asked for, or a text cannot be read.",
    503: "There is no room now; ask again after the seconds of Retry-After.",
}
_PATHS = frozenset(
    ["/predict", "/health/live", "/health/ready", "/metrics", "/model", "/drift", "/openapi.json"]
)


def create_app(
    classifier: Classifier,
    *,
    monitor: DriftMonitor | None = None,
    facts: dict[str, Any] | None = None,
    limits: ServiceLimits | None = None,
    batching: Batching | None = None,
) -> FastAPI:
    """Build the service around a classifier.

    Args:
        classifier: What answers.
        monitor: What watches for drift.
        facts: What the card says of the model's training and measurement.
        limits: How much a request may ask for.
        batching: How requests are collected.

    Returns:
        An ASGI application. Its lifespan starts the batcher, and at the end answers all that was
        accepted.
    """
    limits, batching = limits or ServiceLimits(), batching or Batching()

    def predict(texts: list[str]) -> NDArray[np.float64]:
        probabilities = classifier.predict_proba(texts)
        if monitor is not None:
            monitor.observe(texts, probabilities)
        return probabilities

    batcher = MicroBatcher(
        predict,
        **asdict(batching),
        on_batch=lambda documents: metrics.batches.observe(documents),
    )
    metrics = Metrics(lambda: batcher.pending, monitor)
    app = FastAPI(
        title="Text classifier",
        version=__version__,
        lifespan=_lifespan(batcher),
        docs_url=None,
        redoc_url=None,
    )
    _add_predict(app, batcher, classifier.labels, limits, metrics)
    _add_watching(app, batcher, metrics, monitor)
    card = ModelCard(
        service=__version__,
        labels=classifier.labels,
        vocabulary_size=len(classifier.vocabulary),
        facts=facts or {},
        limits=asdict(limits),
        not_for=_NOT_FOR,
    )

    @app.get("/model")
    async def model() -> ModelCard:
        """Say what the model is, where it comes from, and where it must not be trusted."""
        return card

    _add_errors(app)
    app.add_middleware(_guard(limits))
    app.add_middleware(Observed, metrics=metrics, paths=_PATHS)
    return app


def _lifespan(batcher: MicroBatcher) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await batcher.close()

    return lifespan


def _add_predict(
    app: FastAPI,
    batcher: MicroBatcher,
    labels: Sequence[str],
    limits: ServiceLimits,
    metrics: Metrics,
) -> None:
    text = Annotated[str, Field(min_length=1, max_length=limits.characters)]

    class Question(BaseModel):
        """What is asked: texts, each of which gets its class."""

        model_config = ConfigDict(extra="forbid", strict=True)
        texts: list[text] = Field(min_length=1, max_length=limits.texts)

    @app.post("/predict", responses={status: _response(status) for status in _REASONS})
    async def predict(question: Question) -> Answers:
        """Give the class of each text."""
        _check_readable(question.texts)
        rows = await batcher.submit(question.texts)
        answers = [_answer(labels, row) for row in rows]
        for answer in answers:
            metrics.answers.labels(answer.label).inc()
        return Answers(answers=answers)


def _check_readable(texts: Sequence[str]) -> None:
    """Refuse here what the model would refuse, so that it spoils no batch."""
    for number, text in enumerate(texts):
        if not has_tokens(text):
            raise EmptyDocumentError(f"texts[{number}] has no letter, digit or emoji; fill it in")


def _answer(labels: Sequence[str], row: NDArray[np.float64]) -> Answer:
    values = row.clip(0, 1).tolist()
    best = int(row.argmax())
    return Answer(
        label=labels[best],
        probability=values[best],
        probabilities=dict(zip(labels, values, strict=True)),
    )


def _add_watching(
    app: FastAPI, batcher: MicroBatcher, metrics: Metrics, monitor: DriftMonitor | None
) -> None:
    @app.get("/health/live")
    async def live() -> Health:
        """Say that the process answers; if it does not, start it again."""
        return Health(status="live")

    @app.get("/health/ready", responses={503: _response(503)})
    async def ready() -> Health:
        """Say whether a request would be taken now; if not, send it elsewhere."""
        if not batcher.is_accepting:
            raise Busy("no room for a request now", retry_after=1)
        return Health(status="ready")

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def prometheus() -> Response:
        """Give the counters in the text format of Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/drift")
    async def drift() -> Drift:
        """Compare the texts of late with those that the model was measured on."""
        if monitor is None:
            return Drift(watched=False)
        return Drift(watched=True, **asdict(monitor.report()))


def _response(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"model": Error, "description": _REASONS[status]}
    if status == 503:
        header = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}
        described["headers"] = {"Retry-After": header}
    return described


def _refusal(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(error_body(code, message), status_code=status, headers=headers)


def _guard(limits: ServiceLimits) -> Any:
    def wrap(app: Application) -> Guard:
        return Guard(app, limits, _refusal, "/predict")

    return wrap


def _add_errors(app: FastAPI) -> None:
    """Give every error the same form; none repeats what the client sent."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return _refusal(400, "bad_json", f"the body is no JSON: {first['ctx']['error']}")
        place = ".".join(str(part) for part in first["loc"][1:] if isinstance(part, int | str))
        return _refusal(422, "bad_request", f"{place[:60] or 'body'}: {first['msg']}")

    @app.exception_handler(EmptyDocumentError)
    async def empty(request: Request, error: EmptyDocumentError) -> JSONResponse:
        return _refusal(422, "no_words", str(error))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return _refusal(503, "busy", str(error), {"Retry-After": str(error.retry_after)})

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        return _refusal(error.status_code, "http", str(error.detail), headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return _refusal(500, "internal", "the service failed; its log says why")
