from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.vision.decoder import Decode, decode

ORIENTATION = 0x0112
STORED = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
ALL_OF_12_BITS = Decode(value_range=(0, 4095))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixels(source: bytes, settings: Decode | None = None) -> np.ndarray:
    return decode(BytesIO(source), settings or Decode())


def reason_of(path: Path, settings: Decode | None = None) -> str:
    with pytest.raises(UnreadableImageError) as raised:
        decode(path, settings or Decode())
    assert str(path) in str(raised.value)
    assert str(path) not in raised.value.reason
    return raised.value.reason


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, np.fliplr),
        (3, lambda stored: np.rot90(stored, 2)),
        (4, np.flipud),
        (5, lambda stored: stored.transpose(1, 0, 2)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: np.rot90(stored, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(orientation: int, upright: Callable[[np.ndarray], np.ndarray]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    found = pixels(encoded(Image.fromarray(STORED), "PNG", exif=exif))

    np.testing.assert_array_equal(found, upright(STORED))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_from_the_given_range(format: str) -> None:
    values = np.array([[0, 100, 2048], [4000, 4095, 60000]], dtype=np.uint16)

    found = pixels(encoded(Image.fromarray(values), format), ALL_OF_12_BITS)

    expected = np.rint(np.minimum(values, 4095) * 255.0 / 4095)
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_big_endian_16_bit_grey_is_read_alike() -> None:
    source = encoded(Image.new("I;16B", (3, 2), 4095), "TIFF")

    assert np.unique(pixels(source, ALL_OF_12_BITS)).tolist() == [255]


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_8_bits_without_a_range_is_an_error(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.new(mode, (3, 2), 1000).save(path)

    assert "no value range given" in reason_of(path)


def test_floating_point_values_are_scaled_and_nan_is_black() -> None:
    values = np.array([[-1.0, 0.0, 1.0], [np.nan, np.inf, -np.inf]], dtype=np.float32)

    found = pixels(encoded(Image.fromarray(values), "TIFF"), Decode(value_range=(-1.0, 1.0)))

    assert found[..., 0].tolist() == [[0, 128, 255], [0, 255, 0]]


def test_a_value_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Decode(value_range=(10, 10))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_converted(format: str) -> None:
    source = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), format)

    np.testing.assert_allclose(pixels(source).mean(axis=(0, 1)), RED, atol=3)


def test_one_bit_becomes_black_and_white() -> None:
    source = encoded(Image.fromarray(np.array([[True, False]])), "PNG")

    assert pixels(source).tolist() == [[[255, 255, 255], [0, 0, 0]]]


def test_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)

    found = pixels(encoded(image, "PNG", transparency=1))

    assert found.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_transparent_colour_of_an_rgb_image_becomes_white() -> None:
    image = Image.fromarray(np.array([[RED, BLUE]], dtype=np.uint8))

    found = pixels(encoded(image, "PNG", transparency=BLUE))

    assert found.tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("mode", "colour"), [("LA", (0,)), ("RGBA", (255, 0, 100))])
def test_alpha_is_composited_on_white(mode: str, colour: tuple[int, ...]) -> None:
    alpha = np.array([0, 64, 128, 255], dtype=np.uint8)
    stored = np.array([[[*colour, a] for a in alpha]], dtype=np.uint8)

    found = pixels(encoded(Image.frombytes(mode, (4, 1), stored.tobytes()), "PNG"))

    share = alpha[:, None] / 255
    expected = np.broadcast_to(share * np.array(colour) + (1 - share) * 255, (4, 3))
    np.testing.assert_allclose(found[0], expected, atol=1)


def test_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]

    found = pixels(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert np.unique(found.reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_truncated_file_is_an_error(format: str, tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(STORED).resize((64, 64)), format)
    path = tmp_path / "half"
    path.write_bytes(whole[: len(whole) // 2])

    assert "truncated" in reason_of(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "AVIF", "JPEG2000", "ICO", "PPM"])
def test_damage_anywhere_gives_an_image_or_the_typed_error(format: str) -> None:
    whole = encoded(Image.fromarray(STORED).resize((24, 24)), format)
    rng = np.random.default_rng(0)

    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(rng.choice([30, len(whole)]), size=3)] = rng.integers(256, size=3)
        try:
            found = decode(BytesIO(damaged.tobytes()), Decode((0, 255), max_pixels=10_000))
            assert (found.ndim, found.shape[2], found.dtype) == (3, 3, np.uint8)
        except UnreadableImageError as error:
            assert error.reason


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty file"), (b"<html>Not found</html>", "not an image")])
def test_file_without_an_image_is_an_error(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)

    assert reason in reason_of(path)


def test_folder_is_an_error(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == "not a regular file"


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "gone.png") == "no such file"


def test_dangling_link_is_told_from_a_missing_file(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")

    assert reason_of(link) == "a link to a file that does not exist"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)

    assert reason_of(path) == "no permission to read it"


def test_image_over_the_pixel_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (11, 10)).save(path)

    assert "11 x 10 pixels are more than the limit of 100" in reason_of(path, Decode(max_pixels=100))


def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    content = encoded(Image.new("1", (8, 8)), "PNG")
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content[24:29]
    path = tmp_path / "bomb.png"
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])

    assert "limit" in reason_of(path)


def test_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "Größe 猫 %20#.png"
    Image.fromarray(STORED).save(path)

    np.testing.assert_array_equal(decode(str(path)), STORED)


def test_open_file_is_read_from_its_start_and_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(STORED).save(path)

    with path.open("rb") as file:
        file.read(5)
        found = decode(file)

        assert not file.closed
    np.testing.assert_array_equal(found, STORED)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_gives_pillows_pixels(mode: str, options: dict) -> None:
    content = encoded(Image.fromarray(data.astronaut()).convert(mode), "JPEG", quality=90, **options)

    np.testing.assert_array_equal(pixels(content), np.asarray(Image.open(BytesIO(content)).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_lies_as_its_exif_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(Image.fromarray(data.chelsea()), "JPEG", exif=exif)

    found = pixels(content)

    np.testing.assert_array_equal(found, np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content)))))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_a_jpeg_that_is_cut_off_is_an_error(share: float, options: dict, tmp_path: Path) -> None:
    content = encoded(Image.fromarray(data.coffee()), "JPEG", **options)
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[: int(share * len(content))])

    assert reason_of(path)


def test_draft_mode_keeps_what_the_input_needs() -> None:
    content = encoded(Image.fromarray(data.astronaut()), "JPEG", quality=95)  # 512 x 512

    found = decode(BytesIO(content), Decode(draft=True), target=100)
    untouched = decode(BytesIO(content), Decode(draft=True), target=300)

    assert found.shape == (128, 128, 3)
    assert untouched.shape == (512, 512, 3)
    quarter = np.asarray(Image.fromarray(data.astronaut()).reduce(4), float)
    assert np.abs(found - quarter).mean() < 3
