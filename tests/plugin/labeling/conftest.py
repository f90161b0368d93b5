"""A small web server on loopback: Label Studio's file endpoints as observed, and an ordinary host."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Route = Callable[[BaseHTTPRequestHandler], None]


class WebServer:
    """Answers from `routes` (path without query -> handler) and remembers what it was asked.

    Attributes:
        url: Its address.
        asked: (path with query, Authorization header or "") of each request.
        access_tokens: Given out so far; only the last one is taken.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, str]] = []
        self.access_tokens: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization", "")))
                server.routes.get(self.path.split("?")[0], answer(404))(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"


def answer(status: int, body: bytes = b"", **headers: str) -> Route:
    """Return a route that always gives the same answer; `_` in header names stands for `-`."""

    def route(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return route


@pytest.fixture
def answering() -> Callable[..., Route]:
    """Return `answer`."""
    return answer


@pytest.fixture
def web_servers() -> Iterator[Callable[..., WebServer]]:
    """Return a factory of running servers, over HTTPS where it is given a context; they are stopped after the test."""
    running: list[WebServer] = []

    def start(context: ssl.SSLContext | None = None) -> WebServer:
        server = WebServer(context)
        threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.http.shutdown()
        server.http.server_close()


@pytest.fixture
def label_studio(web_servers: Callable[..., WebServer]) -> WebServer:
    """Return a server that takes only access tokens which it gave out for the personal access token `a.b.c`."""
    server = web_servers()

    def refresh(handler: BaseHTTPRequestHandler) -> None:
        sent = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        if sent != {"refresh": "a.b.c"}:
            answer(401)(handler)
            return
        server.access_tokens.append(f"access-{len(server.access_tokens)}")
        answer(200, json.dumps({"access": server.access_tokens[-1]}).encode())(handler)

    def upload(handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers.get("Authorization") in [f"Bearer {token}" for token in server.access_tokens[-1:]]
        (answer(200, b"image") if known else answer(401))(handler)

    files = ("/data/upload/1/a.png", "/data/local-files/", "/storage-data/uploaded/")
    server.routes = {"/api/token/refresh": refresh} | dict.fromkeys(files, upload)
    return server
