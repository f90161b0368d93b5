"""16-bit colour, of which Pillow alone keeps the high byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.vision.decoder import Decode, decode
from winnow.plugin.vision.value_range import detect_value_range

PHOTO = data.astronaut()[::8, ::8].astype(np.uint16)
TWELVE_BITS = PHOTO * 16 + 5  # in a 16-bit file Pillow's high byte would leave 16 grey levels of it


def written(path: Path, values: np.ndarray) -> Path:
    code = cv2.COLOR_RGBA2BGRA if values.shape[2] == 4 else cv2.COLOR_RGB2BGR
    assert cv2.imwrite(str(path), cv2.cvtColor(values, code))
    return path


@pytest.mark.parametrize("name", ["image.png", "image.tif"])
def test_colour_of_16_bits_keeps_its_low_byte(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, TWELVE_BITS)

    value_range = detect_value_range([str(path)])
    found = decode(path, Decode(value_range))

    assert value_range == (0, 4095)
    assert np.abs(found - TWELVE_BITS / 4095 * 255).max() <= 0.51


def test_colour_of_16_bits_is_never_divided_silently(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no value range given"):
        decode(written(tmp_path / "image.png", TWELVE_BITS))


def test_transparency_of_16_bits_is_composited_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((*PHOTO.shape[:2], 1), np.uint16)
    alpha[: len(alpha) // 2] = 65535
    path = written(tmp_path / "image.png", np.dstack([PHOTO * 257, alpha]))

    found = decode(path, Decode((0, 65535)))

    np.testing.assert_array_equal(found[: len(found) // 2], PHOTO[: len(found) // 2])
    assert (found[len(found) // 2 :] == 255).all()


def test_a_tall_16_bit_image_lies_as_its_exif_says(tmp_path: Path) -> None:
    grey = Image.fromarray(PHOTO[:, :40, 0])
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(tmp_path / "image.png", exif=exif)

    found = decode(tmp_path / "image.png", Decode((0, 255)))

    np.testing.assert_array_equal(found[..., 0], np.rot90(PHOTO[:, :40, 0], -1))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(2, np.fliplr), (3, lambda stored: np.rot90(stored, 2)), (6, lambda stored: np.rot90(stored, -1)), (8, np.rot90)],
)
def test_16_bit_colour_tiff_is_turned_once(
    orientation: int, upright: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    path, stored = tmp_path / "image.tif", PHOTO[:, :40]
    tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])

    found = decode(path, Decode((0, 255)))

    np.testing.assert_array_equal(found, upright(stored))


def test_16_bit_colour_in_separate_planes_is_refused_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, TWELVE_BITS.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")

    with pytest.raises(UnreadableImageError, match="separate planes"):
        decode(path, Decode((0, 4095)))


def test_opaque_alpha_does_not_widen_the_detected_range(tmp_path: Path) -> None:
    opaque = np.full((*PHOTO.shape[:2], 1), 65535, np.uint16)

    path = written(tmp_path / "image.png", np.dstack([TWELVE_BITS, opaque]))

    assert detect_value_range([str(path)]) == (0, 4095)
