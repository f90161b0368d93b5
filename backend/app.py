"""The HTTP face: Label Studio's ML backend contract over one classifier."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

from fastapi import Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from ..plugin.errors import WinnowError
from ..plugin.failures import Failure
from ..plugin.labeling.downloads import Downloader, DownloadLimits
from ..plugin.labeling.image_sources import ImageSources
from ..plugin.labeling.labeling_config import parse_labeling_config
from .contract import PredictRequest, SetupRequest
from .fit_log import FitLog
from .guards import BasicAuth, RequestLimit
from .hosting import ModelHost, NotReadyError
from .predicting import Predictor
from .settings import Settings

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


def create_app(settings: Settings, host: ModelHost, learning: Learning | None = None) -> FastAPI:
    """Build the application; `host` is started by the caller, `learning` by the application."""
    downloader = Downloader(
        settings.label_studio_url,
        settings.label_studio_token,
        settings.image_hosts,
        DownloadLimits(max_bytes=settings.max_image_bytes),
    )
    sources = ImageSources(downloader, settings.document_root, settings.max_image_bytes)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if learning is not None:
            await run_in_threadpool(learning.start)
        yield
        if learning is not None:
            await run_in_threadpool(learning.stop)
        downloader.close()

    # FastAPI's page at /docs loads scripts from a CDN, which places without a network, or with secrets, can't have.
    app = FastAPI(title="Winnow ML backend", docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_routes(app, host, Predictor(host, sources, settings.batch_size), learning)
    _add_error_handlers(app)
    # The last one added is asked first: who calls is known before anything of the body is read.
    app.add_middleware(RequestLimit, max_bytes=settings.max_request_bytes)
    if settings.basic_auth is not None:
        user, password = settings.basic_auth
        app.add_middleware(BasicAuth, user=user, password=password)
    return app


def _add_routes(app: FastAPI, host: ModelHost, predictor: Predictor, learning: Learning | None) -> None:
    fit_log = FitLog()

    # Routes that only look are async: they answer from the event loop, however many threads predict.

    @app.get("/")
    @app.get("/health")
    async def health() -> JSONResponse:
        """Tell that the server is there; a classifier that is still being loaded is no fault."""
        state = host.state
        content = {"status": "DOWN" if state == "failed" else "UP", "classifier": state, "model_version": host.version}
        return JSONResponse(content, status_code=503 if state == "failed" else 200)

    @app.post("/setup")
    def setup(request: SetupRequest) -> dict[str, str | None]:
        """Tell the version, and log how the project's labeling config fits the classifier."""
        if request.label_config and host.state == "ready":
            fit_log.tell(str(request.project), request.label_config, host.served.classifier.classes)
        return {"model_version": host.version}

    @app.post("/predict")
    def predict(request: PredictRequest) -> dict[str, Any]:
        """Return exactly one entry for each task, in order; `[]` for what can't be predicted."""
        outcome = predictor.predict(request.tasks, parse_labeling_config(request.label_config))
        _log_failures(outcome.failures, len(request.tasks))
        return {"results": outcome.entries}

    @app.get("/versions")
    async def versions() -> dict[str, list[str]]:
        """List the versions that can be asked for: the one that is served."""
        return {"versions": [host.version] if host.version else []}

    @app.post("/webhook")
    @app.post("/train")
    async def training(event: Annotated[dict[str, Any] | None, Body()] = None) -> dict[str, str]:
        """Take one of Label Studio's events; what it leads to happens after the answer."""
        if learning is None:
            return {"status": "ignored", "detail": _NO_LEARNING}
        if not event:
            return {"status": "ignored", "detail": "the request holds no event"}
        status = await run_in_threadpool(learning.take, event)
        return {"status": status, "detail": _DETAILS.get(status, "")}


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(NotReadyError)
    async def not_ready(request: Request, error: NotReadyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503, headers={"Retry-After": "5"})

    @app.exception_handler(WinnowError)
    async def mendable(request: Request, error: WinnowError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=400)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # without the values that came: they may be large, and hold what the log of a caller should not
        problems = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()[:20]]
        return JSONResponse({"detail": "; ".join(problems)}, status_code=422)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises the error again after this answer, and the server logs it with its traceback
        return JSONResponse({"detail": "an unexpected error; the backend's log has it"}, status_code=500)


def _log_failures(failures: list[Failure], tasks: int) -> None:
    for failure in failures[:_MOST_REASONS_LOGGED]:
        logger.warning("task %s: no prediction from '%s': %s", failure.id, failure.path, failure.reason)
    if failures:
        logger.warning("%d image(s) of %d task(s) could not be predicted", len(failures), tasks)
