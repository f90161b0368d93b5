"""Where a task's image is found; what must not be found."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError, describe_address
from winnow.plugin.labeling.image_sources import ImageSources, address_in


def sources(root: Path | None = None, max_bytes: int = 1000) -> ImageSources:
    return ImageSources(Downloader(), root, max_bytes)


def problem_of(address: object, root: Path | None = None, max_bytes: int = 1000) -> AccessProblem:
    with pytest.raises(ImageAccessError) as caught:
        sources(root, max_bytes).open(address)
    return caught.value.problem


def root_with(tmp_path: Path, name: str) -> Path:
    root = tmp_path / "root"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b"image")
    return root


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64," + base64.b64encode(b"image").decode(), "data:image/png,ima%67e"]
)
def test_data_uri_holds_its_own_bytes(uri: str) -> None:
    opened = sources().open(uri)

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


@pytest.mark.parametrize("name", ["a.png", "sub/ä b+c.png"])
def test_local_file_is_read_below_the_root(tmp_path: Path, name: str) -> None:
    root = root_with(tmp_path, name)

    opened = sources(root).open(f"/data/local-files/?d={quote(name)}")

    assert opened == (root / name).resolve()


@pytest.mark.parametrize(
    "named",
    ["../secret.png", "sub/../../secret.png", "%2e%2e/secret.png", "link.png", "linked/secret.png", "..%2Fsecret.png"],
)
def test_local_file_outside_the_root_is_refused_links_included(tmp_path: Path, named: str) -> None:
    root = root_with(tmp_path, "a.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "linked").symlink_to(tmp_path)

    assert problem_of(f"/data/local-files/?d={named}", root) is AccessProblem.REFUSED


def test_absolute_path_is_taken_below_the_root(tmp_path: Path) -> None:
    root = root_with(tmp_path, "a.png")

    assert problem_of("/data/local-files/?d=/etc/passwd", root) is AccessProblem.MISSING


@pytest.mark.parametrize("named", ["?d=none.png", "?d=", "", "?d=."])
def test_local_file_that_is_not_there_is_missing(tmp_path: Path, named: str) -> None:
    assert problem_of(f"/data/local-files/{named}", root_with(tmp_path, "a.png")) is AccessProblem.MISSING


def test_local_file_is_asked_of_label_studio_where_no_root_is_mounted(label_studio: Any) -> None:
    over_http = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000)

    opened = over_http.open(f"{label_studio.url}/data/local-files/?d=a.png")

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


def test_upload_is_asked_of_label_studio(label_studio: Any) -> None:
    opened = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000).open("/data/upload/1/a.png")

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


@pytest.mark.parametrize("address", ["data:image/png;base64," + "A" * 2000, "/data/local-files/?d=big.png"])
def test_image_above_the_limit_is_not_read(tmp_path: Path, address: str) -> None:
    root = root_with(tmp_path, "big.png")
    (root / "big.png").write_bytes(b"x" * 1001)

    assert problem_of(address, root) is AccessProblem.TOO_LARGE


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (None, AccessProblem.MISSING),
        ({"url": "x"}, AccessProblem.MISSING),
        ("  ", AccessProblem.MISSING),
        ("s3://bucket/a.png", AccessProblem.UNSUPPORTED),
        ("C:\\images\\a.png", AccessProblem.UNSUPPORTED),
        ("a.png", AccessProblem.UNSUPPORTED),
        ("file:///etc/passwd", AccessProblem.UNSUPPORTED),
        ("data:image/png;base64", AccessProblem.UNSUPPORTED),
        ("data:image/png;base64,§", AccessProblem.UNSUPPORTED),
        ("http://[::1/a.png", AccessProblem.UNSUPPORTED),
        ("//127.0.0.1/a.png", AccessProblem.UNSUPPORTED),
        ("http://127.0.0.1/a.png", AccessProblem.REFUSED),
        ("/data/upload/1/a.png", AccessProblem.REFUSED),
    ],
)
def test_address_that_is_not_served_gets_its_own_reason(address: object, problem: AccessProblem) -> None:
    assert problem_of(address) is problem


def test_null_byte_in_a_local_path_is_no_way_out(tmp_path: Path) -> None:
    assert problem_of("/data/local-files/?d=a%00.png", root_with(tmp_path, "a.png")) is AccessProblem.UNSUPPORTED


def test_description_of_an_address_holds_no_secret() -> None:
    described = [
        describe_address("https://me:pw@host/a.png?X-Amz-Signature=s3cret"),
        describe_address("data:image/png;base64,AAAA"),
        describe_address("/data/local-files/?d=a.png"),
        describe_address(None),
    ]

    assert described == ["https://host/a.png", "data URI", "/data/local-files/?d=a.png", "NoneType"]


def test_key_of_a_task_may_be_a_path() -> None:
    data = {"image": {"url": "x"}, "a.b": "y"}

    assert (address_in(data, "image.url"), address_in(data, "a.b"), address_in(data, "image.no.way")) == (
        "x",
        "y",
        None,
    )
