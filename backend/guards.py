"""What stands before every route: who may call, how much they may send, and where the server may listen."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Settings, SettingsError

# Label Studio's connection test and container health checks bring no credentials.
_OPEN_PATH = "/health"


class BasicAuth:
    """Lets a call through that brings the user and password, and every call to `/health`."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._expected = f"{user}:{password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 unless the credentials are right."""
        if scope["type"] != "http" or _is_open(scope) or self._is_known(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        response = JSONResponse(
            {"detail": "user name and password are missing or wrong; they are the backend's BASIC_AUTH_USER and _PASS"},
            status_code=401,
            headers={"WWW-Authenticate": 'Basic realm="winnow"'},
        )
        await response(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        # compared in constant time, so that the time taken tells nothing about how much was right
        return hmac.compare_digest(given, self._expected) and scheme.lower() == "basic"


def _is_open(scope: Scope) -> bool:
    """Return whether no password is asked for; a proxy may leave its sub-path on, or take it off."""
    return scope["path"] in (_OPEN_PATH, scope["root_path"] + _OPEN_PATH)


class SubPath:
    """Has requests answered alike whether a proxy leaves the sub-path on that it serves the backend under, or not."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the routes which part of the path is not theirs."""
        await self._app({**scope, "root_path": self._root_path}, receive, send)


class RequestLimit:
    """Refuses bodies above a size, whether their length is announced or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._detail = f"more than {max_bytes:,} bytes; send fewer tasks, or raise WINNOW_MAX_REQUEST_MB"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 to a body that is too large; it is read no further."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await JSONResponse({"detail": self._detail}, status_code=413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                # raised inside the route that reads the body, where FastAPI makes an answer of it
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)


class JsonOnly:
    """Refuses bodies that say themselves that they are not JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 415 to a body of another kind."""
        content_type = Headers(scope=scope).get("content-type", "") if scope["type"] == "http" else ""
        kind = content_type.partition(";")[0].strip().lower()
        if kind and kind != "application/json":
            response = JSONResponse({"detail": "only application/json is read"}, status_code=415)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def check_address(host: str, settings: Settings) -> None:
    """Refuse to listen where others can call, unless they must bring a password.

    Raises:
        SettingsError: The address is not a loopback address, and basic auth is not set.
    """
    if settings.basic_auth is None and not _is_loopback(host):
        raise SettingsError(
            f"refusing to listen on '{host}' without a password: anyone who reaches it could use the backend. Set "
            "BASIC_AUTH_USER and BASIC_AUTH_PASS, or listen on 127.0.0.1."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
