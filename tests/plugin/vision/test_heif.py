"""HEIC. No library that may be installed beside ours writes it: `astronaut.heic` (64 x 48) is scikit-image's photo."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.vision.decoder import decode
from winnow.plugin.vision.heif import is_heif


def test_pixels_of_a_heic_file() -> None:
    pytest.importorskip("pi_heif")
    photo = Image.fromarray(data.astronaut()).resize((64, 64), Image.Resampling.BOX).crop((0, 0, 64, 48))

    found = decode(Path(__file__).with_name("astronaut.heic"))

    assert found.shape == (48, 64, 3)
    assert np.abs(found - np.asarray(photo, dtype=float)).mean() < 4  # quality 70; 78 if it lay upside down


def test_a_heic_file_is_named_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.plugin.vision.decoder.can_read_heif", lambda: False)

    with pytest.raises(UnreadableImageError, match=r'pip install "fiftyone-winnow\[heic\]"'):
        decode(BytesIO(b"\0\0\0\x18ftypheic" + bytes(100)))


def test_a_damaged_heic_file_is_unreadable() -> None:
    pytest.importorskip("pi_heif")

    with pytest.raises(UnreadableImageError):
        decode(BytesIO(b"\0\0\0\x18ftypheic" + bytes(100)))


def test_avif_under_the_brand_of_heif_needs_no_extra() -> None:
    assert is_heif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not is_heif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif")
