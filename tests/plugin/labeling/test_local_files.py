"""Which folders Label Studio has to serve, and under which addresses it serves their files."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, urlsplit

import pytest

from winnow.plugin.labeling.local_files import DocumentRoot, folders_to_serve, local_address


@pytest.mark.parametrize("inner", ["a b/100%.png", "猫/#1?.png", "x&y=z/+.jpg"])
def test_any_file_name_comes_through_an_address(inner: str) -> None:
    parts = urlsplit(local_address(inner))

    assert parse_qs(parts.query)["d"] == [inner] and not parts.fragment


def test_files_are_named_from_the_document_root_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk" / "cats").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    root = DocumentRoot(tmp_path / "disk", PurePosixPath("/data"))

    found = [root.inner(os.fspath(tmp_path / path)) for path in ("disk/cats/1.png", "link/cats/1.png")]

    assert found == ["cats/1.png", "cats/1.png"]


@pytest.mark.parametrize("path", ["root/top.png", "elsewhere/1.png", "root/../elsewhere/1.png", "rootling/a/1.png"])
def test_files_in_the_root_itself_or_elsewhere_are_not_served(tmp_path: Path, path: str) -> None:
    root = DocumentRoot(tmp_path / "root", PurePosixPath("/data"))

    assert root.inner(os.fspath(tmp_path / path)) is None


@pytest.mark.parametrize(
    ("inner", "folders"),
    [
        (["a/b/1.png", "a/b/2.png"], ["a/b"]),
        (["a/b/1.png", "a/c/d/2.png"], ["a"]),
        (["a/1.png", "b/c/2.png"], ["a", "b"]),
        (["a/1.png", "ab/2.png"], ["a", "ab"]),
        ([], []),
    ],
)
def test_as_little_as_possible_is_served_and_never_the_root(inner: list[str], folders: list[str]) -> None:
    assert folders_to_serve(inner) == folders
