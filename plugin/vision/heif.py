"""HEIC files (phones); needs pi-heif, which is an extra. (pillow-heif's wheels carry GPL code.)"""

from __future__ import annotations

from functools import cache

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
INSTALL = 'HEIC needs pi-heif: pip install "fiftyone-winnow[heic]"'


def is_heif(data: bytes) -> bool:
    """Tell whether a file is HEIF (ISO/IEC 23008-12), by its brands, and not AVIF, which Pillow reads itself."""
    if data[4:8] != b"ftyp" or data[8:12] not in _BRANDS:
        return False
    return b"avif" not in data[16 : int.from_bytes(data[:4], "big")]  # the compatible brands


@cache
def can_read_heif() -> bool:
    """Teach Pillow to read HEIF; return whether that is possible."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
