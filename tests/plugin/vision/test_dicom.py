from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, SecondaryCaptureImageStorage, generate_uid
from skimage import data

from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.vision.decoder import Decode, decode
from winnow.plugin.vision.value_range import detect_value_range

TWELVE_BITS = (data.camera()[::8, ::8].astype(np.uint16) * 16) + 7  # 64 x 64, 7..4087


def dicom(values: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 12, **header: object) -> bytes:
    """Return a DICOM file of (h, w), (frames, h, w) or RGB (h, w, 3) values."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    colour = photometric == "RGB"
    file.Rows, file.Columns = values.shape[:2] if colour or values.ndim == 2 else values.shape[1:3]
    file.SamplesPerPixel, file.PhotometricInterpretation = (3 if colour else 1), photometric
    file.BitsAllocated = 8 * values.dtype.itemsize
    file.BitsStored, file.HighBit = bits, bits - 1
    file.PixelRepresentation = int(values.dtype.kind == "i")
    if colour:
        file.PlanarConfiguration = 0
    elif values.ndim == 3:
        file.NumberOfFrames = len(values)
    for name, value in header.items():
        setattr(file, name, value)
    file.PixelData = values.tobytes()
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def grey(content: bytes, value_range: tuple[float, float] | None = None) -> np.ndarray:
    found = decode(BytesIO(content), Decode(value_range))
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    return found[..., 0]


def test_the_headers_window_decides_what_is_black_and_white() -> None:
    content = dicom(TWELVE_BITS, WindowCenter=1024, WindowWidth=513)

    found = grey(content)

    low, high = 1024 - 0.5 - 256, 1024 - 0.5 + 256  # PS3.3 C.11.2.1.2.1
    expected = np.clip((TWELVE_BITS - low) / (high - low), 0, 1) * 255
    assert np.abs(found - expected).max() <= 0.51


def test_of_several_windows_the_first_counts() -> None:
    one = dicom(TWELVE_BITS, WindowCenter=1024, WindowWidth=500)
    several = dicom(TWELVE_BITS, WindowCenter=[1024, 60], WindowWidth=[500, 80])

    np.testing.assert_array_equal(grey(several), grey(one))


def test_slope_and_intercept_come_before_the_window() -> None:
    stored = dicom(TWELVE_BITS, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=1048, WindowWidth=1001)
    plain = dicom(TWELVE_BITS, WindowCenter=1024.25, WindowWidth=501)

    assert np.abs(grey(stored).astype(int) - grey(plain)).max() <= 1


def test_low_values_of_monochrome1_are_white() -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}

    np.testing.assert_array_equal(
        grey(dicom(TWELVE_BITS, "MONOCHROME1", **window)), 255 - grey(dicom(TWELVE_BITS, **window))
    )


def test_without_a_window_the_detected_range_counts(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom(TWELVE_BITS))

    value_range = detect_value_range([str(path)])

    assert value_range == (0, 4095)
    with pytest.raises(UnreadableImageError, match="no value range given"):
        decode(path)
    assert np.abs(grey(path.read_bytes(), value_range) - TWELVE_BITS / 4095 * 255).max() <= 0.51


def test_a_window_leaves_nothing_to_detect(tmp_path: Path) -> None:
    path = tmp_path / "without_suffix"
    path.write_bytes(dicom(TWELVE_BITS, WindowCenter=2048, WindowWidth=4096))

    assert detect_value_range([str(path)]) is None


def test_eight_bits_and_colour_are_taken_as_they_are() -> None:
    photo = np.ascontiguousarray(data.astronaut()[::8, ::8])

    np.testing.assert_array_equal(grey(dicom(photo[..., 0].copy(), bits=8)), photo[..., 0])
    np.testing.assert_array_equal(decode(BytesIO(dicom(photo, "RGB", bits=8))), photo)


def test_the_first_frame_is_taken() -> None:
    frames = np.stack([TWELVE_BITS, TWELVE_BITS[::-1]])
    window = {"WindowCenter": 2048, "WindowWidth": 4096}

    np.testing.assert_array_equal(grey(dicom(frames, **window)), grey(dicom(TWELVE_BITS, **window)))


@pytest.mark.parametrize("keep", [140, 400, -100])
def test_a_damaged_file_is_an_error_of_its_own(keep: int) -> None:
    with pytest.raises(UnreadableImageError, match="DICOM"):
        decode(BytesIO(dicom(TWELVE_BITS, WindowCenter=2048, WindowWidth=4096)[:keep]))


def test_a_huge_one_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="limit of 100"):
        decode(BytesIO(dicom(TWELVE_BITS)), Decode(max_pixels=100))


def test_without_pydicom_the_message_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)

    with pytest.raises(UnreadableImageError, match=r'pip install "fiftyone-winnow\[dicom\]"'):
        decode(BytesIO(dicom_bytes))


def test_colour_of_16_bits_is_scaled_by_the_bits_it_holds() -> None:
    photo = np.ascontiguousarray(data.astronaut()[::8, ::8]).astype(np.uint16) * 256 + 3

    found = decode(BytesIO(dicom(photo, "RGB", bits=16)))

    assert np.abs(found - photo / 257).max() <= 0.51


def test_palette_colours_are_looked_up() -> None:
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8)
    palette: dict[str, object] = {}
    for factor, colour in ((4, "Red"), (2, "Green"), (1, "Blue")):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [64, 0, 16]
        table = (np.arange(64) * factor * 257).astype("<u2")
        palette[f"{colour}PaletteColorLookupTableData"] = table.tobytes()

    found = decode(BytesIO(dicom(indices, "PALETTE COLOR", bits=8, **palette)))

    np.testing.assert_array_equal(found, indices[..., None] * np.array([4, 2, 1]))


def test_a_slope_of_one_leaves_8_bits_as_they_are() -> None:
    photo = np.ascontiguousarray(data.astronaut()[::8, ::8, 0])

    found = grey(dicom(photo, bits=8, RescaleSlope=1, RescaleIntercept=0))

    np.testing.assert_array_equal(found, photo)


def test_whole_slope_and_intercept_leave_the_bits_in_use_to_detect(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom(TWELVE_BITS, RescaleSlope=1, RescaleIntercept=0))

    assert detect_value_range([str(path)]) == (0, 4095)


def test_a_decoder_that_is_not_installed_is_named() -> None:
    file = pydicom.dcmread(BytesIO(dicom(TWELVE_BITS)))
    file.file_meta.TransferSyntaxUID = JPEGLSLossless
    file.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    file["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, file)

    with pytest.raises(UnreadableImageError, match="pyjpegls"):
        decode(BytesIO(buffer.getvalue()))


def test_the_preamble_may_be_missing() -> None:
    whole = dicom(TWELVE_BITS, WindowCenter=2048, WindowWidth=4096)

    np.testing.assert_array_equal(grey(whole[132:]), grey(whole))


def test_warnings_of_pydicom_stay_inside(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(dicom(TWELVE_BITS, Rows=32, WindowCenter=2048, WindowWidth=4096))  # more data than one frame
    command = f"from winnow.plugin.vision.decoder import decode; decode({str(path)!r})"

    ran = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)

    assert ran.stderr == ""


dicom_bytes = dicom(TWELVE_BITS)
