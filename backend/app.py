"""The HTTP face: Label Studio's ML backend contract over one classifier."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

from fastapi import Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from .. import __version__
from ..plugin.errors import WinnowError
from .api_page import HEADERS, api_page
from .contract import (
    Health,
    PredictAnswer,
    PredictRequest,
    Problem,
    Receipt,
    SetupAnswer,
    SetupRequest,
    Versions,
)
from .fit_log import FitLog
from .guards import BasicAuth, JsonOnly, RequestLimit, SubPath
from .hosting import ModelHost, NotReadyError
from .images import image_sources
from .metrics import CONTENT_TYPE, Metrics
from .predicting import Outcome, Predictor
from .quality import Quality
from .remembering import Memory
from .request_log import RequestLog
from .settings import Settings
from .status import Status

logger = logging.getLogger(__name__)

_NO_LEARNING = (
    "training from annotations is off: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY to switch it on, or train with "
    "'winnow train' and serve the result"
)
_DETAILS = {
    "queued": "kept; training begins when enough has changed, see /status",
    "duplicate": "came before, and is kept already",
    "ignored": "changes nothing that training depends on",
}
_MOST_REASONS_LOGGED = 20
_RETRY_SECONDS = "5"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The labeling config can't be filled in, or the body is no JSON",
        401: "User name and password are missing or wrong",
        413: "The body is too large",
        415: "The body is not JSON",
        422: "The body is not what is expected",
        500: "An unexpected error",
    }.items()
}
_BUSY: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "The classifier is being loaded, or too many images are waiting"}
}


class Learning(Protocol):
    """What the backend needs of training from annotations; its methods may block, and are called in threads."""

    def take(self, event: dict[str, Any]) -> str:
        """Keep one of Label Studio's events for good; return `queued`, `duplicate` or `ignored`."""

    def status(self) -> dict[str, Any]:
        """Tell what is waiting, running and proposed, as plain JSON."""

    def start(self) -> None:
        """Begin to work; called when the server starts."""

    def stop(self) -> None:
        """End the work; called when the server stops, after the last request."""


def create_app(
    settings: Settings,
    host: ModelHost,
    learning: Learning | None = None,
    stored_versions: Callable[[], Sequence[str]] = tuple,
    memory: Memory | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        settings: Of the operator.
        host: Of the classifier; started by the caller.
        learning: Acts on annotations; started and stopped with the application. None = they are not learnt from.
        stored_versions: Lists the versions that could be served instead.
        memory: Of predictions and answers; started and stopped with the application. None = nothing is remembered.
    """
    sources = image_sources(settings)
    metrics = Metrics()
    predictor = Predictor(
        host,
        sources,
        batch_size=settings.batch_size,
        capacity=settings.max_waiting,
        seconds=settings.request_seconds,
        on_batch=metrics.batch,
        is_withheld=settings.learning.withholds,
        memory=memory,
    )
    quality = None if memory is None else Quality(memory)
    metrics.watch(host, predictor.queue, quality)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for part in (memory, learning):
            if part is not None:
                await run_in_threadpool(part.start)
        yield
        await run_in_threadpool(predictor.queue.close)
        for part in (learning, memory):
            if part is not None:
                await run_in_threadpool(part.stop)
        sources.close()

    app = FastAPI(
        title="Winnow ML backend",
        version=__version__,
        # FastAPI's page at /docs loads scripts from a CDN, which places without a network, or with secrets, can't have.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=_PROBLEMS,
    )
    status, fit_log = Status(), FitLog()
    _add_contract(app, host, fit_log, stored_versions)
    _add_prediction(app, predictor, metrics, status)
    _add_events(app, learning, memory)
    _add_views(app, metrics, lambda: status.report(host, predictor.queue, fit_log.by_project()), learning, quality)
    _add_error_handlers(app)
    _add_middleware(app, settings, metrics)
    return app


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Put the guards before the routes; the last one added is asked first."""
    app.add_middleware(JsonOnly)
    app.add_middleware(RequestLimit, max_bytes=settings.max_request_bytes)
    if settings.basic_auth is not None:  # who calls is known before anything of the body is read
        user, password = settings.basic_auth
        app.add_middleware(BasicAuth, user=user, password=password)
    app.add_middleware(RequestLog, count=metrics.request)
    app.add_middleware(SubPath, root_path=settings.root_path)


def _add_contract(app: FastAPI, host: ModelHost, fit_log: FitLog, stored_versions: Callable[[], Sequence[str]]) -> None:
    # Routes that only look are async: they answer from the event loop, however many threads are busy.

    @app.get("/", response_model=Health, responses=_BUSY)
    @app.get("/health", response_model=Health, responses=_BUSY)
    async def health() -> JSONResponse:
        """Tell that the server is there; a classifier that is still being loaded is no fault."""
        state = host.state
        content = {"status": "DOWN" if state == "failed" else "UP", "classifier": state, "model_version": host.version}
        return JSONResponse(content, status_code=503 if state == "failed" else 200)

    @app.post("/setup")
    def setup(request: SetupRequest) -> SetupAnswer:
        """Tell the version, and log how the project's labeling config fits the classifier."""
        if request.label_config and host.state == "ready":
            fit_log.tell(str(request.project), request.label_config, host.served.classifier.classes)
        return SetupAnswer(model_version=host.version)

    @app.get("/versions")
    def versions() -> Versions:
        """List the version that is served, then those that could be."""
        served = [host.version] if host.version else []
        return Versions(versions=served + [version for version in stored_versions() if version not in served])


def _add_prediction(app: FastAPI, predictor: Predictor, metrics: Metrics, status: Status) -> None:
    @app.post("/predict", response_model=PredictAnswer, responses=_BUSY)
    async def predict(request: PredictRequest) -> JSONResponse:
        """Return exactly one entry for each task, in order; `[]` for what can't be predicted."""
        outcome = await predictor.predict(request)
        if outcome.failures:
            metrics.failures(outcome.kinds)
            status.problems(outcome.failures, outcome.kinds)
            _log_failures(outcome, len(request.tasks))
        return JSONResponse({"results": outcome.entries})


def _add_events(app: FastAPI, learning: Learning | None, memory: Memory | None) -> None:
    @app.post("/webhook")
    @app.post("/train")
    async def training(event: Annotated[dict[str, Any] | None, Body()] = None) -> Receipt:
        """Take one of Label Studio's events; what it leads to happens after the answer."""
        if event and memory is not None:
            await run_in_threadpool(memory.take, event)
        if learning is None:
            return Receipt(status="ignored", detail=_NO_LEARNING)
        if not event:
            return Receipt(status="ignored", detail="the request holds no event")
        taken = await run_in_threadpool(learning.take, event)
        return Receipt(status=taken, detail=_DETAILS.get(taken, ""))


def _add_views(
    app: FastAPI,
    metrics: Metrics,
    report: Callable[[], dict[str, Any]],
    learning: Learning | None,
    quality: Quality | None,
) -> None:
    """Add what people and monitors look at; Label Studio asks for none of it."""

    @app.get("/status")
    def look() -> dict[str, Any]:
        """Tell how classifier, queue, projects and training are doing, and what went wrong last."""
        return report() | {
            "learning": None if learning is None else learning.status(),
            "quality": None if quality is None else quality.report(),
        }

    @app.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
    def measurements() -> Response:
        """Tell Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi()), headers=HEADERS)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(NotReadyError)
    async def not_ready(request: Request, error: NotReadyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503, headers={"Retry-After": _RETRY_SECONDS})

    @app.exception_handler(WinnowError)
    async def mendable(request: Request, error: WinnowError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # without the values that came: they may be large, and hold what the log of a caller should not
        problems = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()[:20]]
        return JSONResponse({"detail": "; ".join(problems)}, status_code=422)


def _log_failures(outcome: Outcome, tasks: int) -> None:
    for failure in outcome.failures[:_MOST_REASONS_LOGGED]:
        logger.warning("task %s: no prediction from '%s': %s", failure.id, failure.path, failure.reason)
    logger.warning("%d image(s) of %d task(s) could not be predicted", len(outcome.failures), tasks)
