"""Downloads against real servers on loopback: tokens, limits, redirects, refusals."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from winnow.plugin.labeling.downloads import Downloader, DownloadLimits
from winnow.plugin.labeling.host_rules import HostRules
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError

LOOPBACK = HostRules.from_entries(["127.0.0.0/8"])


def problem_of(fetch: Callable[[], bytes]) -> ImageAccessError:
    with pytest.raises(ImageAccessError) as caught:
        fetch()
    return caught.value


def test_personal_access_token_is_traded_for_an_access_token_once(label_studio: Any) -> None:
    downloader = Downloader(label_studio.url, "a.b.c")

    bodies = [downloader.from_label_studio("/data/upload/1/a.png") for _ in range(2)]

    assert bodies == [b"image"] * 2
    assert [path for path, _ in label_studio.asked].count("/api/token/refresh") == 1


def test_revoked_access_token_is_renewed_once(label_studio: Any) -> None:
    downloader = Downloader(label_studio.url, "a.b.c")
    downloader.from_label_studio("/data/upload/1/a.png")
    label_studio.access_tokens.append("given to somebody else")

    body = downloader.from_label_studio("/data/upload/1/a.png")

    assert body == b"image"


def test_refused_token_is_told_without_being_shown(label_studio: Any) -> None:
    downloader = Downloader(label_studio.url, "very.secret.token")

    error = problem_of(lambda: downloader.from_label_studio("/data/upload/1/a.png"))

    assert error.problem is AccessProblem.UNAUTHORIZED
    assert "Personal Access Token" in str(error)
    assert "secret" not in str(error)


def test_legacy_token_is_sent_as_it_is(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/data/upload/a.png"] = answering(200, b"image")

    Downloader(server.url, "0123abcd").from_label_studio("/data/upload/a.png")

    assert server.asked == [("/data/upload/a.png", "Token 0123abcd")]


def test_label_studio_below_a_sub_path_is_asked_there(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/studio/data/upload/a.png"] = answering(200, b"image")
    downloader = Downloader(f"{server.url}/studio/", "0123abcd")

    for address in ("/data/upload/a.png", "/studio/data/upload/a.png", f"{server.url}/studio/data/upload/a.png"):
        path = downloader.path_at_label_studio(address)
        assert path is not None
        assert downloader.from_label_studio(path) == b"image"


@pytest.mark.parametrize("path", ["/api/projects/1/", "/data/../api/projects/1/", "/data/%2e%2e/api/projects/1/"])
def test_token_is_not_sent_to_anything_but_files(label_studio: Any, path: str) -> None:
    downloader = Downloader(label_studio.url, "a.b.c")

    problem_of(lambda: downloader.from_label_studio(path))

    assert all(authorization == "" for _, authorization in label_studio.asked)


def test_listed_host_is_asked_without_the_token(web_servers: Any, label_studio: Any, answering: Any) -> None:
    other = web_servers()
    other.routes["/a.png"] = answering(200, b"elsewhere")
    downloader = Downloader(label_studio.url, "a.b.c", LOOPBACK)

    body = downloader.from_url(f"{other.url}/a.png?x=1")

    assert body == b"elsewhere"
    assert other.asked == [("/a.png?x=1", "")]


def test_listed_name_is_asked_by_its_checked_address_under_its_own_name(web_servers: Any) -> None:
    server = web_servers()
    names: list[str] = []

    def route(handler: Any) -> None:
        names.append(handler.headers["Host"])
        handler.send_response(200)
        handler.end_headers()

    server.routes["/a.png"] = route
    rules = HostRules.from_entries(["localhost", "127.0.0.0/8", "::1"])

    Downloader(rules=rules).from_url(f"http://localhost:{server.port}/a.png")

    assert names == [f"localhost:{server.port}"]


def test_host_that_is_not_listed_is_never_asked(web_servers: Any) -> None:
    server = web_servers()

    error = problem_of(lambda: Downloader().from_url(f"{server.url}/a.png"))

    assert error.problem is AccessProblem.REFUSED
    assert server.asked == []


def test_redirect_to_a_host_that_is_not_listed_is_refused(label_studio: Any, web_servers: Any, answering: Any) -> None:
    inside = web_servers()
    label_studio.routes["/data/upload/moved.png"] = answering(302, Location=f"{inside.url}/secret")
    downloader = Downloader(label_studio.url, "a.b.c")

    error = problem_of(lambda: downloader.from_label_studio("/data/upload/moved.png"))

    assert error.problem is AccessProblem.REFUSED
    assert inside.asked == []


def test_redirect_to_a_listed_host_is_followed_without_the_token(
    label_studio: Any, web_servers: Any, answering: Any
) -> None:
    storage = web_servers()
    storage.routes["/a.png"] = answering(200, b"stored")
    label_studio.routes["/data/upload/moved.png"] = answering(302, Location=f"{storage.url}/a.png")
    downloader = Downloader(label_studio.url, "a.b.c", LOOPBACK)

    body = downloader.from_label_studio("/data/upload/moved.png")

    assert body == b"stored"
    assert storage.asked == [("/a.png", "")]


def test_endless_redirects_end(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/a.png"] = answering(302, Location="/a.png")

    error = problem_of(lambda: Downloader(rules=LOOPBACK).from_url(f"{server.url}/a.png"))

    assert "redirects" in error.reason


@pytest.mark.parametrize(
    ("status", "problem"),
    [(401, AccessProblem.UNAUTHORIZED), (404, AccessProblem.MISSING), (500, AccessProblem.UNREACHABLE)],
)
def test_status_of_the_answer_decides_the_problem(
    web_servers: Any, answering: Any, status: int, problem: AccessProblem
) -> None:
    server = web_servers()
    server.routes["/a.png"] = answering(status)

    error = problem_of(lambda: Downloader(rules=LOOPBACK).from_url(f"{server.url}/a.png"))

    assert error.problem is problem


def test_body_above_the_limit_is_cut_off(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/a.png"] = answering(200, b"x" * 2000)
    downloader = Downloader(rules=LOOPBACK, limits=DownloadLimits(max_bytes=1000))

    error = problem_of(lambda: downloader.from_url(f"{server.url}/a.png"))

    assert error.problem is AccessProblem.TOO_LARGE


def test_trickling_body_ends_at_the_total_limit(web_servers: Any) -> None:
    server = web_servers()

    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b"x")
            time.sleep(0.02)

    server.routes["/a.png"] = trickle
    downloader = Downloader(rules=LOOPBACK, limits=DownloadLimits(total_seconds=0.2))

    error = problem_of(lambda: downloader.from_url(f"{server.url}/a.png"))

    assert "took more than 0.2 s" in error.reason


def test_server_that_is_gone_is_unreachable(web_servers: Any) -> None:
    server = web_servers()
    server.http.shutdown()
    server.http.server_close()

    error = problem_of(lambda: Downloader(server.url).from_label_studio("/data/upload/a.png"))

    assert error.problem is AccessProblem.UNREACHABLE


@pytest.mark.parametrize("address", ["http://user:pass@127.0.0.1/a.png", "http:///a.png", "file:///etc/passwd"])
def test_address_of_another_kind_is_refused(address: str) -> None:
    error = problem_of(lambda: Downloader(rules=LOOPBACK).from_url(address))

    assert error.problem is AccessProblem.REFUSED


@pytest.mark.parametrize("public", ["http://studio.example.org", "http://studio.example.org/label"])
def test_label_studio_is_asked_where_it_is_reached_not_where_people_reach_it(label_studio: Any, public: str) -> None:
    downloader = Downloader(label_studio.url, "a.b.c", public_url=public)

    path = downloader.path_at_label_studio(f"{public}/data/upload/1/a.png")

    assert path == "/data/upload/1/a.png"
    assert downloader.from_label_studio(path) == b"image"


def test_redirect_of_label_studio_to_its_public_address_is_followed(label_studio: Any, answering: Any) -> None:
    public = "http://studio.example.org"
    label_studio.routes["/data/upload/moved.png"] = answering(302, Location=f"{public}/data/upload/1/a.png")
    downloader = Downloader(label_studio.url, "a.b.c", public_url=public)

    assert downloader.from_label_studio("/data/upload/moved.png") == b"image"


def test_token_is_not_sent_to_another_application_at_the_same_host(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/data/a.png"] = answering(200, b"of the other application")
    downloader = Downloader(f"{server.url}/studio", "0123abcd")

    downloader.from_url(f"{server.url}/data/a.png")

    assert server.asked == [("/data/a.png", "")]


def test_password_for_a_host_is_not_sent_on_after_a_redirect(web_servers: Any, answering: Any) -> None:
    first, second = web_servers(), web_servers()
    first.routes["/a.png"] = answering(302, Location=f"{second.url}/a.png")
    second.routes["/a.png"] = answering(200, b"image")

    body = Downloader(rules=LOOPBACK).from_url(f"{first.url}/a.png", ("anna", "pw"))

    assert body == b"image"
    assert [authorization for _, authorization in first.asked + second.asked] == ["Basic YW5uYTpwdw==", ""]


def test_password_of_a_proxy_before_label_studio_goes_there_alone(web_servers: Any, answering: Any) -> None:
    proxy, other = web_servers(), web_servers()
    for server in (proxy, other):
        server.routes["/data/a.png"] = answering(200, b"image")
    downloader = Downloader(proxy.url, rules=LOOPBACK, basic_auth=("anna", "pw"))

    downloader.from_label_studio("/data/a.png")
    downloader.from_url(f"{other.url}/data/a.png")

    assert proxy.asked == [("/data/a.png", "Basic YW5uYTpwdw==")]
    assert other.asked == [("/data/a.png", "")]


def test_body_is_asked_for_as_it_is(web_servers: Any) -> None:
    server, accepted = web_servers(), []

    def route(handler: Any) -> None:
        accepted.append(handler.headers["Accept-Encoding"])
        handler.send_response(200)
        handler.end_headers()

    server.routes["/a.png"] = route

    Downloader(rules=LOOPBACK).from_url(f"{server.url}/a.png")

    assert accepted == ["identity"]


def test_compressed_body_is_refused_unread(web_servers: Any, answering: Any) -> None:
    server = web_servers()
    server.routes["/a.png"] = answering(200, b"not even gzip", Content_Encoding="gzip")

    error = problem_of(lambda: Downloader(rules=LOOPBACK).from_url(f"{server.url}/a.png"))

    assert "compresses" in error.reason
