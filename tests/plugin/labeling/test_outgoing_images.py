"""Image files that are to be shown to annotators."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_image
from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.labeling.outgoing_images import look_at


@pytest.mark.parametrize(("name", "extension"), [("a.png", ".png"), ("b.jpg", ".jpg"), ("c.webp", ".webp")])
def test_an_image_is_known_by_its_content(tmp_path: Path, name: str, extension: str) -> None:
    path = write_image(tmp_path / name).rename(tmp_path / "without an ending")

    found = look_at(str(path))

    assert (found.sha256, found.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    assert (found.extension, found.needs_copy) == (extension, False)


def test_an_image_that_browsers_cannot_show_needs_a_copy(tmp_path: Path) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16)).save(tmp_path / "deep.png")

    assert look_at(str(tmp_path / "deep.png")).needs_copy


def test_a_file_that_was_cut_off_is_not_shown(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "a.jpg", 256).read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(UnreadableImageError, match="damaged or truncated"):
        look_at(str(tmp_path / "a.jpg"))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        look_at(str(tmp_path / "gone.png"))
