"""Files that are whole or not there: written under another name, and renamed when they are complete."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ..errors import DataError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yield a text file (UTF-8, line ends as they are written) that takes the place of `path` when the block ends well.

    Raises:
        DataError: The file can't be written; what was at `path` before is still there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise DataError(f"'{path}' can't be written: {error.strerror or error}. Name another file.") from error
    finally:
        part.unlink(missing_ok=True)
