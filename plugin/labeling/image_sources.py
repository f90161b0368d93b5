"""Brings the image of a Label Studio task here: from the task itself, from a mounted folder, or over HTTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import parse_qs, quote, unquote_to_bytes, urlsplit

from ..vision.decoder import IMAGE_EXTENSIONS
from .downloads import Downloader
from .image_access import AccessProblem, ImageAccessError
from .image_cache import ImageCache
from .image_headers import check_header
from .originals import Original, named_original

_LOCAL_FILES = "/data/local-files"
_UPLOADS = "/data/upload/"
_STORAGES = ("s3", "gs", "azure-blob")
# Label Studio gives each upload a name of its own and never writes to it again. Whatever else has an address may be
# replaced there; for how long the former image may still be used is a compromise.
_REPLACEABLE_SECONDS = 3600.0
_MAX_PIXELS = 100_000_000


class ImageSources:
    """Finds a task's image wherever Label Studio keeps it; safe to share among threads.

    Args:
        downloader: For everything that is not at hand.
        document_root: The folder that Label Studio serves as local files (its LOCAL_FILES_DOCUMENT_ROOT), mounted here;
            None = local files are asked of Label Studio over HTTP.
        max_bytes: Larger images are not read.
        originals_root: The folder below which the originals of display copies lie; None = the document root.
        cache: Keeps what was downloaded.
        max_pixels: Images of more are refused before they are decoded.
    """

    def __init__(
        self,
        downloader: Downloader,
        document_root: Path | None,
        max_bytes: int,
        *,
        originals_root: Path | None = None,
        cache: ImageCache | None = None,
        max_pixels: int = _MAX_PIXELS,
    ) -> None:
        self._downloader = downloader
        self._document_root = None if document_root is None else document_root.resolve()
        self._originals_root = self._document_root if originals_root is None else originals_root.resolve()
        self._max_bytes = max_bytes
        self._cache = cache
        self._max_pixels = max_pixels

    def close(self) -> None:
        """Close all connections."""
        self._downloader.close()

    def open(
        self, address: object, *, task_id: int | str | None = None, login: tuple[str, str] | None = None
    ) -> Path | BytesIO:
        """Return a readable file, or the bytes, of the image at an address from a task's data.

        Args:
            address: What `address_in` returns.
            task_id: The task's number at Label Studio, which is asked for by it where a cloud storage holds the image.
            login: The project's user and password for the hosts that its images lie on; other than Label Studio.

        Raises:
            ImageAccessError: The address is of no kind that is served, not allowed, or leads to no image that may be
                used.
        """
        try:
            if isinstance(address, Original):
                source: Path | BytesIO = BytesIO(self._original(address))
            elif isinstance(address, str) and address.strip():
                source = self._open(address.strip(), task_id, login)
            else:
                raise ImageAccessError(AccessProblem.MISSING, "the task has no image address")
        except ValueError as error:  # urllib raises it for malformed addresses, pathlib for null bytes
            raise ImageAccessError(AccessProblem.UNSUPPORTED, f"not an address: {error}") from None
        check_header(source, self._max_pixels)
        return source

    def keep(
        self,
        address: object,
        folder: Path,
        *,
        task_id: int | str | None = None,
        login: tuple[str, str] | None = None,
    ) -> Path:
        """Return a file that lasts, for training: a local one where it lies, others below `folder`, named by content.

        Raises:
            ImageAccessError: As for `open`.
            OSError: `folder` can't be written to.
        """
        source = self.open(address, task_id=task_id, login=login)
        if isinstance(source, Path):
            return source
        data = source.getvalue()
        named = address.path if isinstance(address, Original) else str(address)[:2000].split("?")[0]
        suffix = os.path.splitext(named)[1].lower()
        path = folder / (hashlib.sha256(data).hexdigest() + (suffix if suffix in IMAGE_EXTENSIONS else ""))
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
                file.write(data)
            os.replace(file.name, path)
        return path

    def _open(self, address: str, task_id: int | str | None, login: tuple[str, str] | None) -> Path | BytesIO:
        if address[:5].lower() == "data:":
            return BytesIO(self._inline(address))
        path = self._downloader.path_at_label_studio(address)
        if path is not None and self._document_root is not None and path.split("?")[0].rstrip("/") == _LOCAL_FILES:
            return self._local_file(path, self._document_root)
        if path is not None and path.startswith(_UPLOADS):
            return self._kept(path, None, lambda: self._upload(path))
        if path is not None:
            return self._kept(path, _REPLACEABLE_SECONDS, lambda: self._downloader.from_label_studio(path))
        scheme = urlsplit(address).scheme.lower()
        if scheme in _STORAGES:
            return self._kept(address, _REPLACEABLE_SECONDS, lambda: self._stored(address, task_id))
        if scheme in ("http", "https"):
            if login is not None:
                return BytesIO(self._downloader.from_url(address, login))
            return self._kept(address, _REPLACEABLE_SECONDS, lambda: self._downloader.from_url(address))
        raise ImageAccessError(
            AccessProblem.UNSUPPORTED,
            f"addresses of kind '{scheme or 'relative path'}' are not read; uploads, local files, data URIs, http(s), "
            "s3, gs and azure-blob are",
        )

    def _kept(self, key: str, max_age: float | None, fetch: Callable[[], bytes]) -> BytesIO:
        if self._cache is None:
            return BytesIO(fetch())
        # two servers may share the cache and have images under the same path, or buckets of the same name
        key = f"{self._downloader.label_studio_url} {key}"
        data = self._cache.get(key, max_age)
        if data is None or len(data) > self._max_bytes:
            data = fetch()
            self._cache.put(key, data)
        return BytesIO(data)

    def _upload(self, path: str) -> bytes:
        """Fetch an upload; where Label Studio keeps these in a cloud storage, it serves them at another path."""
        try:
            return self._downloader.from_label_studio(path)
        except ImageAccessError as error:
            if error.problem is not AccessProblem.MISSING:
                raise
        named = quote(path.split("?")[0].removeprefix("/data/"), safe="%")
        return self._downloader.from_label_studio(f"/storage-data/uploaded/?filepath={named}")

    def _stored(self, address: str, task_id: int | str | None) -> bytes:
        """Fetch an object of a cloud storage by way of Label Studio, which signs an address for it or hands it through.

        The host of a signed address must be listed like any other. Who sets up storages in Label Studio decides where
        these addresses lead, and is not who runs this server.
        """
        number = str(task_id)
        if not (number.isascii() and number.isdigit()):
            raise ImageAccessError(AccessProblem.MISSING, "objects of a cloud storage can only be read for a task")
        uri = base64.urlsafe_b64encode(address.encode()).decode("ascii")
        return self._downloader.from_label_studio(f"/tasks/{number}/presign/?fileuri={quote(uri)}")

    def _original(self, original: Original) -> bytes:
        """Return an original's bytes: those that its hash was made of, whatever happens to the file meanwhile."""
        if self._originals_root is None:
            raise ImageAccessError(
                AccessProblem.REFUSED, "the folder of originals is not known here; set WINNOW_ORIGINALS_ROOT"
            )
        if not original.path or len(original.sha256) != 64:
            raise ImageAccessError(AccessProblem.MISSING, "the task names no original with its SHA-256")
        file = self._file_below(self._originals_root, original.path, "the folder of originals")
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ImageAccessError(AccessProblem.UNREACHABLE, f"cannot read the file: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != original.sha256.lower():
            raise ImageAccessError(AccessProblem.REFUSED, "the original is not the file that its display copy shows")
        return data

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
        """Return the file that `d` names below the root."""
        named = parse_qs(urlsplit(path).query).get("d")
        if not named:
            raise ImageAccessError(AccessProblem.MISSING, "the local-files address names no file (d=)")
        return self._file_below(root, named[0], "the document root")

    def _file_below(self, root: Path, path: str, name: str) -> Path:
        """Return a file below a root; links are followed first, so none can lead out of it."""
        file = (root / path.lstrip("/")).resolve()
        if not file.is_relative_to(root):
            raise ImageAccessError(AccessProblem.REFUSED, f"the file lies outside {name}")
        try:
            if not file.is_file():
                raise ImageAccessError(AccessProblem.MISSING, f"no such file below {name}")
            size = file.stat().st_size
        except OSError as error:
            raise ImageAccessError(AccessProblem.UNREACHABLE, f"cannot read the file: {error.strerror}") from None
        if size > self._max_bytes:
            raise ImageAccessError(AccessProblem.TOO_LARGE, f"{size:,} bytes are more than {self._max_bytes:,}")
        return file


def address_in(data: Mapping[str, Any], key: str) -> object:
    """Return where a task's image is: the original of a display copy where the task names one, else the address.

    Args:
        data: The task's.
        key: Of the labeling config, which may be a path such as `image.url`.
    """
    original = named_original(data, key)
    if original is not None:
        return original
    if key in data:
        return data[key]
    value: object = data
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
