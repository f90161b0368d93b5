"""The log: one line a request, and the request's id in every line that it causes."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count as counting
from typing import Any, TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"

_request_id: ContextVar[str] = ContextVar("winnow_request_id", default="-")
# from anywhere on, so that a server that is started again repeats no id
_numbers = counting(int.from_bytes(os.urandom(7), "big"))
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# Asked every few seconds, by Label Studio before each call: worth a line only where something is wrong.
_QUIET_ROUTES = ("/health", "/metrics")
_UNKNOWN_ROUTE = "none"
_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


class RequestLog:
    """Gives each request an id, logs and counts it, and answers 500 where something unexpected happens.

    Args:
        app: What is behind it.
        count: Told method, route, status and seconds of each request; the status of one that nobody waited for is 0.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _SANE_ID.fullmatch(given) else f"{next(_numbers):016x}"
        token = _request_id.set(request_id)
        began, status = time.monotonic(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("unexpected error")
            if status:  # an answer was begun, and can't be taken back
                raise
            answer = JSONResponse({"detail": "an unexpected error; the backend's log has it"}, status_code=500)
            await answer(scope, receive, send_with_id)
        finally:
            self._tell(scope, status, time.monotonic() - began)
            _request_id.reset(token)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _UNKNOWN_ROUTE)
        # a method is the caller's to make up, and each would become a series of its own
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._count(method, route, status, seconds)
        quiet = route in _QUIET_ROUTES and status < 400
        # the path alone: a query may hold what a log should not
        details = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 4)}
        logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d in %.3f s",
            scope["method"],
            scope["path"],
            status,
            seconds,
            extra={"details": details},
        )


def configure_logging(form: str, stream: TextIO | None = None) -> None:
    """Send the log to a stream, stderr by default, as `text` or as `json`, one object a line."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "httpx2"):  # they log whole addresses, signatures included
        logging.getLogger(name).setLevel(logging.WARNING)


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s [%(request_id)s] %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = _request_id.get()
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # what a caller sent must not be able to start a line of its own
        record.message = record.message.translate(_CONTROL_CHARACTERS)
        return super().formatMessage(record)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": _request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "details", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
