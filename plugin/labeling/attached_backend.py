"""A backend as Label Studio is told of it: where it is, and the login that its calls bring."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import WinnowError


class AttachmentError(WinnowError):
    """A backend that cannot be attached to the project, or detached from it."""


@dataclass(frozen=True)
class Backend:
    """A backend as Label Studio is to reach it.

    Attributes:
        url: Without a slash at the end.
        basic_auth: User and password that it asks for.

    Raises:
        AttachmentError: The URL is no plain http(s) address.
    """

    url: str
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.query)
        except ValueError:
            good = False
        if not good:
            raise AttachmentError("--url is no plain http(s) address. Give e.g. --url http://127.0.0.1:9090.")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def webhook_url(self) -> str:
        """Where it takes events."""
        return f"{self.url}/webhook"

    def login(self) -> dict[str, Any]:
        """Return the fields of an ML backend that hold user and password."""
        if self.basic_auth is None:
            return {"auth_method": "NONE"}
        user, password = self.basic_auth
        return {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}

    def webhook_headers(self) -> dict[str, str]:
        """Return the headers of events; Label Studio does not pass the ML backend's login on to its webhook."""
        if self.basic_auth is None:
            return {}
        encoded = base64.b64encode(":".join(self.basic_auth).encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
