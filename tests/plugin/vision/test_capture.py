from __future__ import annotations

from pathlib import Path

import pytest
from PIL import ExifTags, Image

from winnow.plugin.vision.capture import bursts, capture_of


def shot(path: Path, time: str | None, camera: str | None = "Winnow One") -> str:
    exif = Image.Exif()
    if camera is not None:
        exif[ExifTags.Base.Model] = camera
    if time is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = time
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return str(path)


def test_shots_within_seconds_are_one_burst_over_several_steps(tmp_path: Path) -> None:
    times = ["2026:05:01 10:00:00", "2026:05:01 10:00:05", "2026:05:01 10:00:02", "2026:05:01 10:00:30"]
    paths = [shot(tmp_path / f"{number}.jpg", time) for number, time in enumerate(times)]

    found = bursts(paths).tolist()

    assert found[:3] == ["Winnow One 2026-05-01 10:00:00"] * 3
    assert found[3] == "Winnow One 2026-05-01 10:00:30"


def test_two_cameras_make_two_bursts(tmp_path: Path) -> None:
    paths = [shot(tmp_path / f"{name}.jpg", "2026:05:01 10:00:00", name) for name in ("one", "two")]

    assert len(set(bursts(paths))) == 2


@pytest.mark.parametrize(
    ("time", "camera"), [(None, "Winnow One"), ("2026:05:01 10:00:00", None), ("yesterday", "Winnow One")]
)
def test_without_camera_or_time_there_is_no_burst(time: str | None, camera: str | None, tmp_path: Path) -> None:
    assert capture_of(shot(tmp_path / "a.jpg", time, camera)) is None


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_file_that_cannot_be_read_is_in_no_burst(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)

    assert bursts([str(path)]).tolist() == [None]
