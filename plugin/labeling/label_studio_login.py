"""Authorization at Label Studio: personal access tokens, which are traded for short-lived ones, and legacy tokens."""

from __future__ import annotations

import threading
import time

import httpx

from .image_access import AccessProblem, ImageAccessError

# Label Studio's access tokens live for 300 s.
_RENEW_AFTER_SECONDS = 240.0


class LabelStudioLogin:
    """Makes the Authorization header; safe to share among threads. The token is never shown or logged.

    Args:
        base_url: Label Studio's address, without a slash at the end.
        token: A personal access token (a JSON Web Token, recognised by its form) or a legacy token; None = no header.
        client: Used to trade a personal access token.
    """

    def __init__(self, base_url: str, token: str | None, client: httpx.Client) -> None:
        self._base_url = base_url
        self._token = token
        self._client = client
        self._lock = threading.Lock()
        self._access = ""
        self._renew_at = 0.0

    @property
    def is_renewable(self) -> bool:
        """Whether a refused header is worth a second try with a new one."""
        return self._token is not None and self._token.count(".") == 2

    def headers(self) -> dict[str, str]:
        """Return the headers for a request to Label Studio.

        Raises:
            ImageAccessError: Label Studio does not take the personal access token, or does not answer.
        """
        if self._token is None:
            return {}
        if not self.is_renewable:
            return {"Authorization": f"Token {self._token}"}
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._access = self._renewed()
                self._renew_at = time.monotonic() + _RENEW_AFTER_SECONDS
            return {"Authorization": f"Bearer {self._access}"}

    def forget(self, refused: dict[str, str]) -> None:
        """Drop the access token of headers that Label Studio refused, unless another thread has renewed it already."""
        with self._lock:
            if refused.get("Authorization") == f"Bearer {self._access}":
                self._renew_at = 0.0

    def _renewed(self) -> str:
        try:
            response = self._client.post(f"{self._base_url}/api/token/refresh", json={"refresh": self._token})
        except httpx.HTTPError as error:
            raise ImageAccessError(
                AccessProblem.UNREACHABLE, f"Label Studio does not answer ({type(error).__name__})"
            ) from None
        if response.status_code != httpx.codes.OK:
            raise ImageAccessError(
                AccessProblem.UNAUTHORIZED,
                f"Label Studio refuses the personal access token (status {response.status_code}), as it does when "
                "that was revoked, or when Label Studio was started again with another SECRET_KEY; make a new one "
                "under Account & Settings > Personal Access Token",
            )
        try:
            return str(response.json()["access"])
        except (ValueError, KeyError, TypeError):
            raise ImageAccessError(
                AccessProblem.UNREACHABLE, "what answers at Label Studio's address is not Label Studio"
            ) from None
