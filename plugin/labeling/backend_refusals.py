"""Why Label Studio will not call the backend, and what to do: its answers to `POST /api/ml/` and `/api/webhooks/`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .client import LabelStudioError
from .reserved_addresses import narrow_exception, reserved_address_of


@dataclass(frozen=True)
class Refusal:
    """A refusal in words.

    Attributes:
        why: What stands between Label Studio and the backend, with the setting at fault.
        next_step: What to do.
    """

    why: str
    next_step: str


def explain_refusal(error: LabelStudioError, url: str, *, setting: str = "ML_BLOCK_LOCAL_IP") -> Refusal:
    """Explain why Label Studio does not connect to an ML backend, or does not take a webhook.

    Args:
        error: What the client raised.
        url: The backend's address, as it was given to Label Studio.
        setting: The protection that guards this kind of call.
    """
    detail = error.detail
    if "reserved network address" in detail:
        return Refusal(f"{setting} is on in Label Studio, and refuses private addresses: {detail}", spare_address(url))
    # Where /health needs no login, as that of 'winnow serve', it is /setup that the login is missing at.
    if "authentication parameters" in detail or "401 Client Error" in detail:
        return Refusal(
            "the backend asks for a user and a password that Label Studio was not given, or for others",
            "Set BASIC_AUTH_USER and BASIC_AUTH_PASS here to those that 'winnow serve' runs with",
        )
    if "resolve hostname" in detail:
        return Refusal(
            f"Label Studio cannot resolve the host '{urlsplit(url).hostname}'",
            "Name the backend as Label Studio's own machine or container knows it, e.g. the name of its service in "
            "compose.yaml",
        )
    if "valid ML backend" in detail:
        return Refusal(
            f"what answers Label Studio at {url} is no ML backend, or could not tell its version",
            "Give the address of 'winnow serve', a sub-path included, and look into its log",
        )
    if "health check failed" in detail:
        return Refusal(f"Label Studio gets no healthy answer from {url}", _where_to_look(url))
    return Refusal(str(error), "Look into Label Studio's log")


def spare_address(url: str) -> str:
    """Return the advice with which Label Studio may call one private address, all protections left on."""
    address = reserved_address_of(url)
    if address is None:
        return (
            "Spare the backend's address: find it out from Label Studio's own machine or container, and give doctor "
            "that address instead of the name; it then tells the settings"
        )
    settings = " ".join(f"{name}={value}" for name, value in narrow_exception(address).items())
    return (
        f"Leave both protections on and spare {address} alone. Start Label Studio with {settings} - or use "
        "'winnow labelstudio sync', for which Label Studio calls nobody"
    )


def _where_to_look(url: str) -> str:
    if (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1"):
        return (
            "Start 'winnow serve', and look at the port. Where Label Studio runs in a container, localhost is that "
            "container: name the backend's service, or host.docker.internal"
        )
    return (
        "Start 'winnow serve' with --host on an address that Label Studio reaches, and look at port and firewall. Try "
        f"'curl {url.rstrip('/')}/health' from Label Studio's machine or container"
    )
