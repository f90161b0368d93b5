"""Who may call, how much they may send, and where the server may listen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from winnow.backend.guards import check_address
from winnow.backend.settings import Settings, SettingsError

CLOSED = Settings(basic_auth=("anna", "pä:ss"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/setup"),
        ("POST", "/predict"),
        ("GET", "/versions"),
        ("POST", "/webhook"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("GET", "/health/"),
    ],
)
def test_everything_but_health_asks_for_the_password(backend: Any, method: str, path: str) -> None:
    response = backend(CLOSED).request(method, path, follow_redirects=False)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_health_asks_for_no_password(backend: Any) -> None:
    assert backend(CLOSED).get("/health").status_code == 200


def test_below_a_sub_path_too_only_health_asks_for_no_password(backend: Any) -> None:
    client = backend(Settings(basic_auth=("anna", "secret"), root_path="/p"))

    statuses = {path: client.get(path).status_code for path in ("/p/health", "/health", "/p/versions", "/p/p/health")}

    assert statuses == {"/p/health": 200, "/health": 200, "/p/versions": 401, "/p/p/health": 401}


def test_right_password_is_let_in(backend: Any) -> None:
    client = backend(CLOSED)

    response = client.get("/versions", headers={"Authorization": "Basic YW5uYTpww6Q6c3M="})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "header", ["Basic YW5uYTpwYXNz", "Basic", "Basic §§", "Bearer YW5uYTpww6Q6c3M=", "Basic YW5uYTpww6Q6c3M=x", ""]
)
def test_wrong_password_is_not_let_in(backend: Any, header: str) -> None:
    response = backend(CLOSED).get("/versions", headers={"Authorization": header.encode()})

    assert response.status_code == 401


def test_request_above_the_limit_is_refused(backend: Any) -> None:
    response = backend(Settings(max_request_bytes=1000)).post("/predict", content=b"x" * 1001)

    assert response.status_code == 413
    assert "WINNOW_MAX_REQUEST_MB" in response.json()["detail"]


def test_request_that_hides_its_length_is_refused_when_it_passes_the_limit(backend: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b'{"tasks": [' + b" " * 600] * 2

    response = backend(Settings(max_request_bytes=1000)).post(
        "/predict", content=pieces(), headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 413


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_password(host: str) -> None:
    check_address(host, Settings())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "myhost", "127.0.0.1.example.org"])
def test_any_other_address_needs_a_password(host: str) -> None:
    check_address(host, CLOSED)

    with pytest.raises(SettingsError, match="refusing to listen"):
        check_address(host, Settings())
