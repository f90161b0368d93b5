"""Image files that are damaged on purpose, and odd addresses: an error of ours, or pixels; never anything else."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.image_access import ImageAccessError
from winnow.plugin.labeling.image_sources import ImageSources
from winnow.plugin.vision.decoder import Decode, decode

MUTATIONS = 150
KINDS = ("JPEG", "PNG", "PNG16", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "ICO", "HEIC", "DICOM")
HEIC = Path(__file__).parents[1] / "vision" / "astronaut.heic"


def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def file_of(kind: str) -> bytes:
    """Return a whole file of a format, with metadata where damage to it matters."""
    exif = Image.Exif()
    exif[0x0112] = 6
    if kind == "HEIC":
        return HEIC.read_bytes()
    if kind == "DICOM":
        return Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes()
    if kind == "PNG16":
        return saved(Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32)), "PNG")
    if kind == "TIFF":
        return saved(photo(), kind, compression="tiff_lzw")
    if kind == "GIF":
        return saved(photo(), kind, save_all=True, append_images=[photo()])
    return saved(photo(), kind, **({"exif": exif} if kind in ("JPEG", "WEBP", "PNG") else {}))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut a file off, overwrite, repeat or drop parts of it; mostly near its beginning, where headers lie."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        start = int(len(data) * rng.random() ** 3)
        length = int(rng.integers(1, 9))
        match rng.integers(0, 5):
            case 0:
                del data[max(start, 1) :]
            case 1:
                data[start : start + length] = rng.bytes(length)
            case 2:
                data[start : start + length] = bytes([int(rng.choice([0, 127, 128, 255]))]) * length
            case 3:
                del data[start : start + length]
            case _:
                data[start:start] = data[start : start + length * 8]
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_image_is_pixels_or_an_error_of_ours(kind: str) -> None:
    rng = np.random.default_rng(0)
    content = file_of(kind)
    sources = ImageSources(Downloader(), None, 10**6, max_pixels=10**6)
    refused = 0

    for _ in range(MUTATIONS):
        uri = "data:image/x;base64," + base64.b64encode(mutated(content, rng)).decode()
        try:
            pixels = decode(sources.open(uri), Decode(value_range=(0, 1000), max_pixels=10**6))
        except (ImageAccessError, UnreadableImageError):
            refused += 1
        else:
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3

    assert refused > 0


STARTS = ["", "/", "//", "/data/local-files/?d=", "/data/upload/", "data:", "data:;base64,", "http://", "https://[", "s3://",
          "HTTP://127.0.0.1@", "http://localhost:", "/tasks/1/presign/?fileuri=", "\\\\host\\"]  # fmt: skip
ADDRESSES = st.builds(str.__add__, st.sampled_from(STARTS), st.text(max_size=20))
JSON = st.recursive(st.none() | st.booleans() | st.floats() | ADDRESSES, lambda inner: st.lists(inner, max_size=2))


@seed(0)
@settings(max_examples=400, deadline=None, database=None)
@given(address=ADDRESSES | JSON, task_id=st.none() | st.integers() | st.text(max_size=3))
def test_odd_address_is_an_error_of_ours(address: object, task_id: int | str | None) -> None:
    sources = ImageSources(Downloader("http://127.0.0.1:1"), Path(__file__).parent / "no such folder", 1000)

    try:
        sources.open(address, task_id=task_id)
    except ImageAccessError:
        return
    assert str(address).strip()[:5].lower() == "data:", "only a data URI can be read from nowhere"
