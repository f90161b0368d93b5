"""Copies for annotators, of images that browsers can't show."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from winnow.plugin.errors import TargetError, UnreadableImageError
from winnow.plugin.labeling.display_copies import make_display_copy, needs_display_copy
from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.image_access import ImageAccessError
from winnow.plugin.labeling.image_sources import ImageSources, address_in
from winnow.plugin.vision.decoder import Decode, decode

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
TWELVE_BITS = Decode(value_range=(0, 4095))


def dicom(**header: object) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    file.Rows = file.Columns = 64
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    for name, value in header.items():
        setattr(file, name, value)
    file.PixelData = RAMP.tobytes()
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    """Return a folder with a DICOM file, and a TIFF and a PNG of 16 bits."""
    root = tmp_path / "originals"
    (root / "sub").mkdir(parents=True)
    header = {"PatientName": "Muster^Anna", "WindowCenter": 2048, "WindowWidth": 4096}
    (root / "sub" / "a.dcm").write_bytes(dicom(**header))
    exif = Image.Exif()
    exif[0x013B] = "Muster, Anna"  # the artist
    Image.fromarray(RAMP).save(root / "a.tif", exif=exif)
    Image.fromarray(RAMP).save(root / "a.png", exif=exif)
    return root


@pytest.mark.parametrize("name", ["sub/a.dcm", "a.tif", "a.png"])
def test_copy_shows_what_the_classifier_sees_and_nothing_else(originals: Path, tmp_path: Path, name: str) -> None:
    copy = make_display_copy(originals / name, originals, tmp_path / "copies", TWELVE_BITS)

    content = copy.path.read_bytes()
    assert (decode(copy.path) == decode(originals / name, TWELVE_BITS)).all()
    assert not needs_display_copy(copy.path)
    assert b"Muster" not in content
    chunks = [kind for kind in (b"IHDR", b"tEXt", b"IDAT", b"eXIf", b"iTXt", b"zTXt", b"tIME") if kind in content]
    assert chunks == [b"IHDR", b"tEXt", b"IDAT"]


def test_task_of_a_copy_leads_to_the_original(originals: Path, tmp_path: Path) -> None:
    copy = make_display_copy(originals / "sub" / "a.dcm", originals, tmp_path / "copies")
    task = copy.task_data("image", "/data/local-files/?d=copies/x.png")

    source = ImageSources(Downloader(), None, 10**6, originals_root=originals).open(address_in(task, "image"))

    assert isinstance(source, BytesIO)
    assert source.read() == (originals / "sub" / "a.dcm").read_bytes()
    assert task["winnow_original_image"] == "sub/a.dcm"


def test_copy_itself_is_declined_where_it_is_met_without_its_original(originals: Path, tmp_path: Path) -> None:
    copy = make_display_copy(originals / "a.tif", originals, tmp_path / "copies", TWELVE_BITS)

    with pytest.raises(ImageAccessError, match="is a display copy"):
        ImageSources(Downloader(), tmp_path, 10**6).open(f"/data/local-files/?d=copies/{copy.path.name}")


def test_name_is_made_of_content_and_window(originals: Path, tmp_path: Path) -> None:
    (originals / "same.tif").write_bytes((originals / "a.tif").read_bytes())
    names = [
        make_display_copy(originals / name, originals, tmp_path / "copies", Decode(value_range=(0, high))).path.name
        for name, high in (("a.tif", 4095), ("same.tif", 4095), ("a.tif", 1000), ("a.png", 4095))
    ]

    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert len(list((tmp_path / "copies").iterdir())) == 3


@pytest.mark.parametrize(("burned_in", "refused"), [("YES", True), ("NO", False)])
def test_picture_that_says_it_shows_personal_data_is_refused(tmp_path: Path, burned_in: str, refused: bool) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(dicom(BurnedInAnnotation=burned_in))

    if refused:
        with pytest.raises(UnreadableImageError, match="personal data"):
            make_display_copy(file, tmp_path, tmp_path / "copies", TWELVE_BITS)
        assert not (tmp_path / "copies").exists()
    else:
        assert make_display_copy(file, tmp_path, tmp_path / "copies", TWELVE_BITS).path.is_file()


def test_image_of_many_bits_is_not_shown_by_a_range_that_nobody_named(originals: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no value range"):
        make_display_copy(originals / "a.tif", originals, tmp_path / "copies")


def test_original_that_the_backend_would_not_find_is_refused(originals: Path, tmp_path: Path) -> None:
    (originals / "link.tif").symlink_to(tmp_path / "elsewhere.tif")
    (tmp_path / "elsewhere.tif").write_bytes((originals / "a.tif").read_bytes())

    with pytest.raises(TargetError, match="not below the folder of originals"):
        make_display_copy(originals / "link.tif", originals, tmp_path / "copies", TWELVE_BITS)


@pytest.mark.parametrize(("name", "needed"), [("a.jpg", False), ("a.webp", False), ("a.tif", True), ("a.jp2", True)])
def test_images_of_8_bits_need_a_copy_by_their_format(tmp_path: Path, name: str, needed: bool) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "named.png")  # what counts is the content

    assert needs_display_copy(tmp_path / "named.png") is needed


@pytest.mark.parametrize("name", ["sub/a.dcm", "a.tif", "a.png"])
def test_images_of_more_bits_need_a_copy(originals: Path, name: str) -> None:
    assert needs_display_copy(originals / name)


def test_original_is_named_by_the_hash_of_its_file(originals: Path, tmp_path: Path) -> None:
    copy = make_display_copy(originals / "a.tif", originals, tmp_path / "copies", TWELVE_BITS)

    assert copy.original.sha256 == hashlib.sha256((originals / "a.tif").read_bytes()).hexdigest()
