"""Why a task's image could not be had, and how its address is named without giving secrets away."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit

from ..errors import WinnowError
from .originals import Original


class AccessProblem(StrEnum):
    """What stood between a task and its image."""

    MISSING = "missing"
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"


class ImageAccessError(WinnowError):
    """One image that could not be brought here; it costs its own task a prediction, never another's.

    Attributes:
        problem: The kind of problem.
        reason: One sentence, fit for a table cell, without the address and without tokens.
    """

    def __init__(self, problem: AccessProblem, reason: str) -> None:
        super().__init__(f"{problem}: {reason}")
        self.problem = problem
        self.reason = reason


def describe_address(address: object) -> str:
    """Name an image's address for people: without inline data, user names, signatures and other query parameters.

    The file in `/data/local-files/?d=...` is kept, as it is what the operator looks for.
    """
    if isinstance(address, Original):
        return f"original '{address.path}'"[:300]
    if not isinstance(address, str):
        return type(address).__name__
    if address[:5].lower() == "data:":
        return "data URI"
    try:
        parts = urlsplit(address)
        host = f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme else ""
    except ValueError:
        return "malformed address"
    query = f"?{parts.query}" if parts.path.rstrip("/").endswith("/data/local-files") else ""
    return f"{host}{parts.path}{query}"[:300]
