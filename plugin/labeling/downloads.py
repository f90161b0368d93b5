"""Downloads images, from Label Studio and from hosts that the operator lists, with limits on everything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from .host_rules import HostRules
from .image_access import AccessProblem, ImageAccessError
from .label_studio_login import LabelStudioLogin

_MAX_REDIRECTS = 3
# Where Label Studio keeps files. The token goes to these paths only: task data must not steer it to the API.
_FILE_PATHS = ("/data/", "/storage-data/")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What one image may cost.

    Attributes:
        max_bytes: Of the body.
        connect_seconds: For each connection.
        total_seconds: From the first byte asked for to the last one received, so that a trickle ends too.
    """

    max_bytes: int = 32 * 1024 * 1024
    connect_seconds: float = 3.0
    total_seconds: float = 20.0


class Downloader:
    """Fetches bytes over HTTP; safe to share among threads. Proxies from the environment are not used.

    Args:
        label_studio_url: Where Label Studio is reached from here, also below a sub-path; None = not at all. This host
            alone gets the token, and may have a private address.
        token: Personal access token or legacy token.
        rules: The other hosts that may be asked.
        limits: For each image.
    """

    def __init__(
        self,
        label_studio_url: str | None = None,
        token: str | None = None,
        rules: HostRules | None = None,
        limits: DownloadLimits | None = None,
    ) -> None:
        self._limits = limits or DownloadLimits()
        self._rules = rules or HostRules()
        self._base = None if label_studio_url is None else httpx.URL(label_studio_url.rstrip("/"))
        timeout = httpx.Timeout(self._limits.total_seconds, connect=self._limits.connect_seconds)
        self._client = httpx.Client(timeout=timeout, trust_env=False)
        # Other hosts are connected to by address. Connections are not kept, for a kept one might have been made for
        # another name at the same address.
        self._other_client = httpx.Client(
            timeout=timeout, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._login = LabelStudioLogin(str(self._base or "").rstrip("/"), token, self._client)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._other_client.close()

    def path_at_label_studio(self, address: str) -> str | None:
        """Return path and query (without Label Studio's own sub-path) if an address lies at Label Studio, else None.

        Label Studio writes addresses of its own files relative to itself (`/data/...`), or in full.
        """
        if address.startswith("/") and not address.startswith("//"):
            path = address
        elif self._base is not None and _origin(_parsed(address)) == _origin(self._base):
            parts = urlsplit(address)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        else:
            return None
        prefix = self._sub_path()
        return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path

    def from_label_studio(self, path: str) -> bytes:
        """Fetch a file from Label Studio, with the token.

        Raises:
            ImageAccessError: See `AccessProblem`.
        """
        if self._base is None:
            raise ImageAccessError(
                AccessProblem.REFUSED, "Label Studio's address is not known here; set LABEL_STUDIO_URL and its token"
            )
        return self.from_url(str(self._base).rstrip("/") + path)

    def from_url(self, address: str) -> bytes:
        """Fetch a file from Label Studio or a listed host; redirects are followed to such hosts only.

        Raises:
            ImageAccessError: See `AccessProblem`.
        """
        url = _parsed(address)
        deadline = time.monotonic() + self._limits.total_seconds
        for _ in range(_MAX_REDIRECTS + 1):
            if url.scheme not in ("http", "https") or not url.host or url.userinfo:
                raise ImageAccessError(
                    AccessProblem.REFUSED, "only plain http(s) addresses without a user name are read"
                )
            answer = (
                self._at_label_studio(url, deadline) if self._is_label_studio(url) else self._elsewhere(url, deadline)
            )
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise ImageAccessError(AccessProblem.UNREACHABLE, f"more than {_MAX_REDIRECTS} redirects")

    def _is_label_studio(self, url: httpx.URL) -> bool:
        return self._base is not None and _origin(url) == _origin(self._base)

    def _sub_path(self) -> str:
        return "" if self._base is None else self._base.path.rstrip("/")

    def _at_label_studio(self, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """Ask Label Studio; a refused access token is renewed once, as it may have been revoked before its time."""
        if ".." in url.path.split("/"):
            raise ImageAccessError(AccessProblem.REFUSED, "the address climbs out of its folder ('..')")
        with_token = url.path.startswith(tuple(self._sub_path() + path for path in _FILE_PATHS))
        headers = self._login.headers() if with_token else {}
        try:
            return self._get(self._client, self._client.build_request("GET", url, headers=headers), url, deadline)
        except ImageAccessError as error:
            if error.problem is not AccessProblem.UNAUTHORIZED or not (with_token and self._login.is_renewable):
                raise
        self._login.forget(headers)
        request = self._client.build_request("GET", url, headers=self._login.headers())
        return self._get(self._client, request, url, deadline)

    def _elsewhere(self, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """Ask a listed host, by the address that was checked: the name may lead elsewhere when it is asked again."""
        port = url.port or (443 if url.scheme == "https" else 80)
        problem: ImageAccessError | None = None
        for address in self._rules.addresses_of(url.host, port):
            request = self._other_client.build_request(
                "GET",
                url.copy_with(host=address),
                headers={"Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                return self._get(self._other_client, request, url, deadline)
            except ImageAccessError as error:
                if error.problem is not AccessProblem.UNREACHABLE:
                    raise
                problem = error
        raise problem or ImageAccessError(AccessProblem.UNREACHABLE, f"host '{url.host}' has no address")

    def _get(self, client: httpx.Client, request: httpx.Request, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """Return the body, or where a redirect leads (relative to `url`, which still holds the host's name)."""
        try:
            response = client.send(request, stream=True, follow_redirects=False)
            try:
                if response.is_redirect:
                    return url.join(response.headers["location"])
                _check_status(response.status_code)
                return self._body(response, deadline)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ImageAccessError(
                AccessProblem.UNREACHABLE, f"no answer from '{url.host}' ({type(error).__name__})"
            ) from None

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > self._limits.max_bytes:
                raise ImageAccessError(AccessProblem.TOO_LARGE, f"more than {self._limits.max_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise ImageAccessError(AccessProblem.UNREACHABLE, f"took more than {self._limits.total_seconds:g} s")
        return bytes(body)


def _parsed(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ImageAccessError(AccessProblem.UNSUPPORTED, f"not an address: {error}") from None


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _check_status(status: int) -> None:
    if status in (401, 403):
        raise ImageAccessError(AccessProblem.UNAUTHORIZED, f"access denied (status {status}); check the token")
    if status in (404, 410):
        raise ImageAccessError(AccessProblem.MISSING, f"not found (status {status})")
    if status != httpx.codes.OK:
        raise ImageAccessError(AccessProblem.UNREACHABLE, f"the server answered with status {status}")
