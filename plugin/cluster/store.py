"""Where workers leave vectors and the driver finds them: a folder that all of them see, or an object store.

What lies there are shards of the embedding cache, below a folder for each space: files that are never changed, and
appear whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ..errors import DataError, MissingPartError
from ..vision.cache_store import embeddings_root
from ..vision.shards import KEY_BYTES, SUFFIX

STORE_VARIABLE = "WINNOW_VECTOR_STORE"
# What fsspec needs for each; others it knows run code from elsewhere (`reference::`), or are no stores (`http`).
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": "fsspec"}
_HEADER_BYTES = 4096  # more than a shard's header takes


def check_store(address: str) -> None:
    """Make sure that an address is a folder's, or that of a storage which fsspec knows.

    Raises:
        DataError: It is another kind of URL, or holds a password.
    """
    scheme, _, rest = address.partition("://")
    if not rest:
        return
    if scheme not in _PACKAGES:
        known = ", ".join(f"{name}://" for name in _PACKAGES)
        raise DataError(f"a store is a folder or one of {known}, not {scheme}://. Choose one of these.")
    if "@" in rest or "?" in rest:
        raise DataError(
            "the address of a store must hold no password: it is kept in runs and told in messages. Give credentials "
            "the way the storage's own tools read them: environment, files, roles."
        )


class Store:
    """A folder, or a URL such as "s3://bucket/folder".

    Args:
        address: Of the store; "" = what `WINNOW_VECTOR_STORE` names, else the cache of embeddings itself.

    Raises:
        DataError: Another kind of URL, or one that holds a password.
        MissingPartError: fsspec needs a package for it that is not installed.
    """

    def __init__(self, address: str = "") -> None:
        address = address or os.environ.get(STORE_VARIABLE, "") or str(embeddings_root())
        self._files: Any = None
        if "://" not in address:
            self.address = self._root = os.path.abspath(address)
            return
        check_store(address)
        scheme, netloc, path, _, _ = urlsplit(address)
        self.address = f"{scheme}://{netloc}{path}".rstrip("/")
        self._root = f"{netloc}{path}".rstrip("/")
        try:
            import fsspec

            # Listings must not be remembered: other processes write.
            self._files = fsspec.filesystem(scheme, use_listings_cache=False)
        except ImportError as cause:
            raise MissingPartError(
                f"the store {self.address} needs a package that is not installed: pip install {_PACKAGES[scheme]}"
            ) from cause

    def is_cache(self, root: Path) -> bool:
        """Tell whether it is this folder itself."""
        return self._files is None and Path(self._root).resolve() == root.resolve()

    def write(self, space: str, file: Path) -> None:
        """Put a copy of a file into a space, whole or not at all.

        Raises:
            OSError: It can't be written.
        """
        with _told(self.address):
            if self._files is not None:
                self._files.put_file(str(file), f"{self._root}/{space}/{file.name}")
                return
            folder = Path(self._root) / space
            folder.mkdir(parents=True, exist_ok=True)
            _copy(file, folder / file.name)

    def names(self, space: str) -> list[str]:
        """Return the names of the files in a space, sorted; none where there is no such space.

        Raises:
            OSError: The store can't be read.
        """
        with _told(self.address):
            if self._files is not None:
                self._files.invalidate_cache()
                try:
                    return sorted(
                        path.rpartition("/")[2] for path in self._files.ls(f"{self._root}/{space}", detail=False)
                    )
                except FileNotFoundError:
                    return []
            folder = Path(self._root) / space
            return sorted(os.listdir(folder)) if folder.is_dir() else []

    def remove(self, space: str, name: str) -> None:
        """Remove a file, where there is one."""
        with contextlib.suppress(Exception):
            if self._files is not None:
                self._files.rm_file(f"{self._root}/{space}/{name}")
            else:
                (Path(self._root) / space / name).unlink()

    def fetch(self, space: str, name: str, folder: Path) -> None:
        """Put a copy of a file of a space into a folder, whole or not at all.

        Raises:
            OSError: It can't be read, or the folder not be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with _told(self.address):
            if self._files is None:
                source = Path(self._root) / space / name
                try:
                    os.link(source, folder / name)  # costs nothing where both lie on one disk
                except FileExistsError:
                    return
                except OSError:
                    _copy(source, folder / name)
                return
            part = folder / f"{name}.{uuid.uuid4().hex[:8]}.tmp"
            try:
                self._files.get_file(f"{self._root}/{space}/{name}", str(part))
                os.replace(part, folder / name)
            finally:
                part.unlink(missing_ok=True)

    def keys(self, space: str, name: str) -> np.ndarray:
        """Return the (m, 32) uint8 keys of a shard without reading the rest; none where it is no shard.

        Raises:
            OSError: The store can't be read.
        """
        with _told(self.address):
            head = self._part(space, name, 0, _HEADER_BYTES)
            try:
                length = int.from_bytes(head[:8], "little")
                first, last = json.loads(head[8 : 8 + length])["keys"]["data_offsets"]
                start = 8 + length + first
                size = (last - first) // KEY_BYTES * KEY_BYTES
                return np.frombuffer(self._part(space, name, start, start + size), np.uint8).reshape(-1, KEY_BYTES)
            except (ValueError, KeyError, TypeError):
                return np.empty((0, KEY_BYTES), np.uint8)

    def _part(self, space: str, name: str, start: int, end: int) -> bytes:
        if self._files is not None:
            return self._files.cat_file(f"{self._root}/{space}/{name}", start=start, end=end)
        with (Path(self._root) / space / name).open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def fetch_missing(store: Store, space: str, folder: Path, keys: np.ndarray) -> int:
    """Fetch the shards of a space that hold any of (m, 32) uint8 keys and do not lie in the folder yet.

    Returns:
        How many were fetched.

    Raises:
        DataError: The store can't be read, or the folder not be written.
    """
    wanted = {bytes(key) for key in keys}
    fetched = 0
    try:
        for name in store.names(space) if wanted else ():
            if not name.endswith(SUFFIX) or (folder / name).exists():
                continue
            held = wanted.intersection(map(bytes, store.keys(space, name)))
            if held:
                store.fetch(space, name, folder)
                wanted -= held
                fetched += 1
    except OSError as cause:
        raise DataError(f"cannot fetch vectors from {store.address} to '{folder}': {cause}") from cause
    return fetched


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Have whatever a storage's library raises come out as an OSError; what it prints may hold keys, its name not."""
    try:
        yield
    except OSError:
        raise
    except Exception as cause:
        raise OSError(f"{address}: {type(cause).__name__}") from cause


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        shutil.copyfile(source, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
