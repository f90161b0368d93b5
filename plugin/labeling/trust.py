"""Whom a connection trusts: the one place that makes HTTP clients towards Label Studio and other hosts.

Certificates are checked against the system's trust store (which OpenSSL takes from SSL_CERT_FILE and SSL_CERT_DIR where
these are set) and, beside it, a private CA's file. httpx would take certifi's list, which knows no company's CA.

Proxies and passwords from the environment (HTTPS_PROXY, netrc) are never used: a proxy that was set for the desktop
would be handed Label Studio's token, and behind a proxy it is the proxy that resolves names, so that an address that
was checked is not the one that is asked. A proxy can be named for Label Studio, whose address the operator vouches for.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx

from ..errors import WinnowError


class TrustError(WinnowError):
    """A CA file or a proxy address that cannot be used."""


@dataclass(frozen=True)
class Trust:
    """How hosts prove who they are, and the way to Label Studio.

    Attributes:
        ca_file: Certificates (PEM) of a private CA, trusted beside the system's.
        proxy: Address of the proxy that Label Studio is reached through; None = directly. It may hold a password.
    """

    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)

    def to_label_studio(self, timeout: httpx.Timeout) -> httpx.Client:
        """Return a client for Label Studio, through the proxy where there is one.

        Raises:
            TrustError: The CA file is absent or holds no certificate; the proxy's address is malformed.
        """
        try:
            return httpx.Client(timeout=timeout, trust_env=False, verify=self.context, proxy=self.proxy)
        except (httpx.InvalidURL, ValueError):  # neither is shown, as the address may hold a password
            raise TrustError("the proxy's address is malformed. Write it as http://proxy.example.org:3128.") from None

    def to_other_hosts(self, timeout: httpx.Timeout) -> httpx.Client:
        """Return a client for hosts that are connected to by an address that was checked.

        Connections are not kept, for a kept one might have been made for another name at the same address.

        Raises:
            TrustError: As for Label Studio.
        """
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(timeout=timeout, trust_env=False, verify=self.context, limits=limits)

    @property
    def context(self) -> ssl.SSLContext:
        """What certificates are checked against; made once a process, as it takes 50 ms.

        Raises:
            TrustError: The CA file is absent or holds no certificate.
        """
        return _context(self.ca_file)


@lru_cache(maxsize=8)
def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath or context.cert_store_stats()["x509_ca"]):
        context = httpx.create_ssl_context(trust_env=False)  # a Python that finds no system's store, as on macOS
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else "it holds no certificate"
            raise TrustError(f"cannot use the CA file '{ca_file}': {reason}. It must be PEM.") from None
    return context
