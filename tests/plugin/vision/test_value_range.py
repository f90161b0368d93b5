from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.plugin.vision.value_range import detect_value_range


def tiff(path: Path, values: np.ndarray) -> str:
    Image.fromarray(values).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("largest", "high"), [(4000, 4095), (4095, 4095), (4096, 8191), (65535, 65535), (200, 255), (256, 511)]
)
def test_whole_numbers_give_the_bits_in_use(largest: int, high: int, tmp_path: Path) -> None:
    paths = [
        tiff(tmp_path / f"{value}.tif", np.array([[3, value]], np.uint16)) for value in (largest // 2 + 1, largest)
    ]

    assert detect_value_range(paths) == (0, high)


def test_negative_whole_numbers_lower_the_range(tmp_path: Path) -> None:
    path = tiff(tmp_path / "ct.tif", np.array([[-1024, 3000]], np.int32))

    assert detect_value_range([path]) == (-1024, 4095)


def test_floats_inside_0_and_1_give_0_and_1(tmp_path: Path) -> None:
    path = tiff(tmp_path / "share.tif", np.array([[0.2, 0.7]], np.float32))

    assert detect_value_range([path]) == (0, 1)


def test_other_floats_give_their_smallest_and_largest_finite_value(tmp_path: Path) -> None:
    path = tiff(tmp_path / "heat.tif", np.array([[-40.5, 300.0, np.nan, np.inf]], np.float32))

    assert detect_value_range([path]) == (-40.5, 300)


def test_constant_floats_still_give_a_range(tmp_path: Path) -> None:
    path = tiff(tmp_path / "flat.tif", np.full((2, 2), 7.0, np.float32))

    assert detect_value_range([path]) == (7, 8)


def test_8_bit_images_have_no_range(tmp_path: Path) -> None:
    path = tiff(tmp_path / "grey.tif", np.array([[3, 200]], np.uint8))

    assert detect_value_range([path]) is None


def test_no_images_have_no_range() -> None:
    assert detect_value_range([]) is None


def test_unreadable_files_are_passed_over(tmp_path: Path) -> None:
    good = tiff(tmp_path / "good.tif", np.array([[3, 4000]], np.uint16))
    half = tmp_path / "half.tif"
    half.write_bytes(Path(tiff(tmp_path / "x.tif", np.zeros((64, 64), np.uint16))).read_bytes()[:300])
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))

    paths = [str(tmp_path / "missing.tif"), str(tmp_path), str(half), str(bomb), good]

    assert detect_value_range(paths) == (0, 4095)


def test_of_many_images_every_nth_is_read(tmp_path: Path) -> None:
    read, passed = np.array([[100]], np.uint16), np.array([[5000]], np.uint16)

    paths = [tiff(tmp_path / f"{number}.tif", passed if number % 2 else read) for number in range(300)]

    assert detect_value_range(paths) == (0, 255)
