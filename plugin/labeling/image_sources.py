"""Brings the image of a Label Studio task here: from the task itself, from a mounted folder, or over HTTP."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from .downloads import Downloader
from .image_access import AccessProblem, ImageAccessError

_LOCAL_FILES = "/data/local-files"


class ImageSources:
    """Finds a task's image wherever Label Studio keeps it.

    Args:
        downloader: For everything that is not at hand.
        document_root: The folder that Label Studio serves as local files (its LOCAL_FILES_DOCUMENT_ROOT), mounted here;
            None = local files are asked of Label Studio over HTTP.
        max_bytes: Larger images are not read.
    """

    def __init__(self, downloader: Downloader, document_root: Path | None, max_bytes: int) -> None:
        self._downloader = downloader
        self._document_root = None if document_root is None else document_root.resolve()
        self._max_bytes = max_bytes

    def open(self, address: object) -> Path | BytesIO:
        """Return a readable file, or the bytes, of the image at an address from a task's data.

        Raises:
            ImageAccessError: The address is of no kind that is served, not allowed, or leads to no image.
        """
        if not isinstance(address, str) or not address.strip():
            raise ImageAccessError(AccessProblem.MISSING, "the task has no image address")
        address = address.strip()
        try:
            return self._open(address)
        except ValueError as error:  # urllib raises it for malformed addresses, pathlib for null bytes
            raise ImageAccessError(AccessProblem.UNSUPPORTED, f"not an address: {error}") from None

    def _open(self, address: str) -> Path | BytesIO:
        if address[:5].lower() == "data:":
            return BytesIO(self._inline(address))
        path = self._downloader.path_at_label_studio(address)
        if path is not None and self._document_root is not None and path.split("?")[0].rstrip("/") == _LOCAL_FILES:
            return self._local_file(path, self._document_root)
        if path is not None:
            return BytesIO(self._downloader.from_label_studio(path))
        scheme = urlsplit(address).scheme.lower()
        if scheme in ("http", "https"):
            return BytesIO(self._downloader.from_url(address))
        raise ImageAccessError(
            AccessProblem.UNSUPPORTED,
            f"addresses of kind '{scheme or 'relative path'}' are not read; uploads, local files, data URIs and "
            "http(s) are",
        )

    def _inline(self, address: str) -> bytes:
        header, comma, content = address.partition(",")
        if not comma:
            raise ImageAccessError(AccessProblem.UNSUPPORTED, "the data URI has no content")
        # 4 characters of base64 are 3 bytes; looked at first, so that a huge one is not decoded at all
        if len(content) * 3 // 4 > self._max_bytes:
            raise ImageAccessError(AccessProblem.TOO_LARGE, f"the data URI holds more than {self._max_bytes:,} bytes")
        data = unquote_to_bytes(content)
        if not header.lower().endswith(";base64"):
            return data
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error:
            raise ImageAccessError(AccessProblem.UNSUPPORTED, "the data URI is not valid base64") from None

    def _local_file(self, path: str, root: Path) -> Path:
        """Return the file that `d` names below the root; links are followed first, so none can lead out of it."""
        named = parse_qs(urlsplit(path).query).get("d")
        if not named:
            raise ImageAccessError(AccessProblem.MISSING, "the local-files address names no file (d=)")
        file = (root / named[0].lstrip("/")).resolve()
        if not file.is_relative_to(root):
            raise ImageAccessError(AccessProblem.REFUSED, "the file lies outside the document root")
        try:
            if not file.is_file():
                raise ImageAccessError(AccessProblem.MISSING, "no such file below the document root")
            size = file.stat().st_size
        except OSError as error:
            raise ImageAccessError(AccessProblem.UNREACHABLE, f"cannot read the file: {error.strerror}") from None
        if size > self._max_bytes:
            raise ImageAccessError(AccessProblem.TOO_LARGE, f"{size:,} bytes are more than {self._max_bytes:,}")
        return file


def address_in(data: Mapping[str, Any], key: str) -> object:
    """Return what a task's data holds under a key of the labeling config, which may be a path such as `image.url`."""
    if key in data:
        return data[key]
    value: object = data
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
