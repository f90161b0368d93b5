"""A client of the Label Studio that a mapping of settings names: the environment, or FiftyOne's secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from ..errors import WinnowError
from .client import TIMEOUT_SECONDS, LabelStudioClient
from .trust import Trust

# Those that must be set, and those that may be.
NEEDED = ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY")
OPTIONAL = ("WINNOW_CA_FILE", "WINNOW_LABEL_STUDIO_PROXY")


class ConnectionSettingsError(WinnowError):
    """Label Studio's address or token is not set, or malformed; the message holds neither."""


def connected_client(settings: Mapping[str, str | None]) -> LabelStudioClient:
    """Return a client of Label Studio's API; to be closed.

    Args:
        settings: Holds those of `NEEDED` and `OPTIONAL` that are set.

    Raises:
        ConnectionSettingsError: One that is needed is not set, or the address is malformed.
        TrustError: A CA file or a proxy address that cannot be used.
    """
    if missing := missing_settings(settings):
        raise ConnectionSettingsError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. Set LABEL_STUDIO_URL to Label "
            "Studio's address and LABEL_STUDIO_API_KEY to a personal access token, which it makes under Account & "
            "Settings, where the process that runs this starts: the terminal, the App, its worker."
        )
    address = plain_address(_setting(settings, "LABEL_STUDIO_URL"))
    if address is None:
        raise ConnectionSettingsError(
            "LABEL_STUDIO_URL is not a plain http(s) address. Set it to e.g. http://localhost:8080."
        )
    ca_file = _setting(settings, "WINNOW_CA_FILE")
    trust = Trust(Path(ca_file) if ca_file else None, _setting(settings, "WINNOW_LABEL_STUDIO_PROXY") or None)
    http = trust.to_label_studio(httpx.Timeout(TIMEOUT_SECONDS))
    return LabelStudioClient(address, _setting(settings, "LABEL_STUDIO_API_KEY"), http=http)


def missing_settings(settings: Mapping[str, str | None]) -> list[str]:
    """Return which of those that are needed are not set."""
    return [name for name in NEEDED if not _setting(settings, name)]


def plain_address(value: str) -> str | None:
    """Return an http(s) address without a slash at its end; None where it is malformed, or holds a login or a query."""
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        is_plain = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.query)
    except ValueError:
        return None
    return address if is_plain else None


def _setting(settings: Mapping[str, str | None], name: str) -> str:
    return (settings.get(name) or "").strip()
