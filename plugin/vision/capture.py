"""When and with which camera an image was taken, from its EXIF data: images of one burst are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from PIL import ExifTags, Image

from .ahead import work_ahead
from .decoder import DECODING_ERRORS

BURST_SECONDS = 3.0
_CAMERA = (ExifTags.Base.Make, ExifTags.Base.Model)
_SERIAL = ExifTags.Base.BodySerialNumber
_TIMES = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


def bursts(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Group images that one camera took within three seconds of each other, over several steps too.

    Returns:
        (n,) object: "CAMERA TIME" of the burst's first image; None where the file tells no camera or no time.
    """
    found: dict[str, list[tuple[datetime, int]]] = {}
    for row, capture in enumerate(work_ahead(capture_of, (str(path) for path in paths))):
        if capture is not None:
            camera, taken = capture
            found.setdefault(camera, []).append((taken, row))
    column = np.full(len(paths), None, object)
    for camera, shots in found.items():
        last, name = None, ""
        for taken, row in sorted(shots):
            if last is None or (taken - last).total_seconds() > BURST_SECONDS:
                name = f"{camera} {taken:%Y-%m-%d %H:%M:%S}"
            column[row], last = name, taken
    return column


def capture_of(path: str) -> tuple[str, datetime] | None:
    """Return camera and time of an image, None where its EXIF data does not tell both."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            details = exif.get_ifd(ExifTags.IFD.Exif)
        camera = " ".join(str(value).strip("\0 ") for value in (*map(exif.get, _CAMERA), details.get(_SERIAL)) if value)
        times = [details[tag] for tag in _TIMES if tag in details]
        return (
            (camera, datetime.strptime(str(times[0]).strip("\0 "), "%Y:%m:%d %H:%M:%S")) if camera and times else None
        )
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return None
