"""The committed bundle of the review panel: made of the sources beside it, and of nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"


@pytest.fixture
def bundle() -> str:
    return (APP / "dist" / "index.umd.js").read_text("utf-8")


def test_bundle_was_built_from_the_sources_as_they_are(bundle: str) -> None:
    sources = [path.relative_to(APP).as_posix() for path in (APP / "src").iterdir()]
    digest = hashlib.sha256()
    for name in sorted([*sources, "build.mjs", "package-lock.json"]):
        digest.update(f"{name}\0".encode() + (APP / name).read_bytes() + b"\0")

    first_line = bundle.splitlines()[0]

    assert first_line.endswith(f"sha256 {digest.hexdigest()}"), "the sources in app/src were changed: run `make app`"


def test_bundle_names_no_host_and_brings_no_react_of_its_own(bundle: str) -> None:
    assert not re.findall(r"https?://", bundle)
    assert len(bundle) < 200_000


def test_what_builds_it_is_pinned_and_no_registry_is_named() -> None:
    package = json.loads((APP / "package.json").read_text("utf-8"))
    lock = (APP / "package-lock.json").read_text("utf-8")

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    assert "resolved" not in lock
    assert "://" not in lock
