"""Downloads images, from Label Studio and from hosts that the operator lists, with limits on everything."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from .host_rules import HostRules
from .image_access import AccessProblem, ImageAccessError
from .label_studio_login import LabelStudioLogin
from .trust import Trust

_MAX_REDIRECTS = 3
# Where Label Studio keeps files. The token goes to these paths only: task data must not steer it to the API.
_FILE_PATHS = re.compile(r"/(data|storage-data)/|/(tasks|projects)/\d+/(presign|resolve)/")
_PORTS = {"http": 80, "https": 443}


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
    """Fetches bytes over HTTP; safe to share among threads.

    Args:
        label_studio_url: Where Label Studio is reached from here, also below a sub-path; None = not at all. This host
            alone gets the token, and may have a private address.
        token: Personal access token or legacy token.
        rules: The other hosts that may be asked.
        limits: For each image.
        public_url: Where people reach the same Label Studio, if that is elsewhere: addresses that it writes in full,
            and redirects to itself, are then asked at `label_studio_url`.
        basic_auth: User and password for a proxy in front of Label Studio, sent with each request that has no token:
            both go into the one header `Authorization`.
        trust: Certificates, and the way to Label Studio.
    """

    def __init__(
        self,
        label_studio_url: str | None = None,
        token: str | None = None,
        rules: HostRules | None = None,
        limits: DownloadLimits | None = None,
        *,
        public_url: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._limits = limits or DownloadLimits()
        self._rules = rules or HostRules()
        self._base = None if label_studio_url is None else httpx.URL(label_studio_url.rstrip("/"))
        self._public = None if public_url is None else httpx.URL(public_url.rstrip("/"))
        timeout = httpx.Timeout(self._limits.total_seconds, connect=self._limits.connect_seconds)
        trust = trust or Trust()
        self._client = trust.to_label_studio(timeout)
        self._other_client = trust.to_other_hosts(timeout)
        if basic_auth is not None:
            self._client.headers["Authorization"] = _basic(basic_auth)
        self._login = LabelStudioLogin(self.label_studio_url.rstrip("/"), token, self._client)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._other_client.close()

    @property
    def label_studio_url(self) -> str:
        """Where Label Studio is reached, "" where it is not."""
        return "" if self._base is None else str(self._base)

    def path_at_label_studio(self, address: str) -> str | None:
        """Return path and query (without Label Studio's own sub-path) if an address lies at Label Studio, else None.

        Label Studio writes addresses of its own files relative to itself (`/data/...`), or in full.
        """
        if address.startswith("/") and not address.startswith("//"):
            return self._below(self._below(address, self._base), self._public)
        url = _parsed(address)
        for base in (self._base, self._public):
            if base is not None and _origin(url) == _origin(base):
                parts = urlsplit(address)
                return self._below(parts.path + (f"?{parts.query}" if parts.query else ""), base)
        return None

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

    def from_url(self, address: str, login: tuple[str, str] | None = None) -> bytes:
        """Fetch a file from Label Studio or a listed host; redirects are followed to such hosts only.

        Args:
            address: Of kind http or https.
            login: User and password for the address's own host, if that is not Label Studio: they are not sent after a
                redirect.

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
            url = self._as_reached(url)
            answer = (
                self._at_label_studio(url, deadline)
                if self._is_label_studio(url)
                else self._elsewhere(url, deadline, login)
            )
            if isinstance(answer, bytes):
                return answer
            url, login = answer, None
        raise ImageAccessError(AccessProblem.UNREACHABLE, f"more than {_MAX_REDIRECTS} redirects")

    def _as_reached(self, url: httpx.URL) -> httpx.URL:
        """Return where an address at Label Studio's public address is reached from here."""
        if self._base is None or self._public is None or _origin(url) != _origin(self._public):
            return url
        path = self._below(url.raw_path.decode("ascii"), self._public)
        return httpx.URL(str(self._base).rstrip("/") + path)

    def _is_label_studio(self, url: httpx.URL) -> bool:
        return self._base is not None and _origin(url) == _origin(self._base)

    def _is_file(self, url: httpx.URL) -> bool:
        """Tell whether a path at Label Studio's host is one of its files: other applications may live beside it."""
        sub_path = _sub_path(self._base)
        return url.path.startswith(sub_path) and _FILE_PATHS.match(url.path[len(sub_path) :]) is not None

    @staticmethod
    def _below(path: str, base: httpx.URL | None) -> str:
        """Return a path without the sub-path of a base address."""
        prefix = _sub_path(base)
        return path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path

    def _at_label_studio(self, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """Ask Label Studio; a refused access token is renewed once, as it may have been revoked before its time."""
        if ".." in url.path.split("/"):
            raise ImageAccessError(AccessProblem.REFUSED, "the address climbs out of its folder ('..')")
        with_token = self._is_file(url)
        headers = self._login.headers() if with_token else {}
        try:
            return self._get(self._client, self._client.build_request("GET", url, headers=headers), url, deadline)
        except ImageAccessError as error:
            if error.problem is not AccessProblem.UNAUTHORIZED or not (with_token and self._login.is_renewable):
                raise
        self._login.forget(headers)
        request = self._client.build_request("GET", url, headers=self._login.headers())
        return self._get(self._client, request, url, deadline)

    def _elsewhere(self, url: httpx.URL, deadline: float, login: tuple[str, str] | None) -> bytes | httpx.URL:
        """Ask a listed host, by the address that was checked: the name may lead elsewhere when it is asked again."""
        headers = {"Host": url.netloc.decode("ascii")}
        if login is not None:
            headers["Authorization"] = _basic(login)
        port = url.port or _PORTS[url.scheme]
        problem: ImageAccessError | None = None
        for address in self._rules.addresses_of(url.host, port):
            request = self._other_client.build_request(
                "GET",
                url.copy_with(host=address),
                headers=headers,
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
        # A small compressed body may hold a huge one, of which a single piece would not fit into memory.
        request.headers["Accept-Encoding"] = "identity"
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
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ImageAccessError(AccessProblem.UNSUPPORTED, "the server compresses its answer, unasked")
        body = bytearray()
        for piece in response.iter_raw():
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
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0)


def _sub_path(base: httpx.URL | None) -> str:
    return "" if base is None else base.path.rstrip("/")


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + b64encode(":".join(login).encode()).decode("ascii")


def _check_status(status: int) -> None:
    if status in (401, 403):
        raise ImageAccessError(AccessProblem.UNAUTHORIZED, f"access denied (status {status}); check the token")
    if status in (404, 410):
        raise ImageAccessError(AccessProblem.MISSING, f"not found (status {status})")
    if status != httpx.codes.OK:
        raise ImageAccessError(AccessProblem.UNREACHABLE, f"the server answered with status {status}")
