"""A FiftyOne database and a Winnow home of their own for a benchmark, so that it never meets the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def isolated_home() -> Iterator[Path]:
    """Point FiftyOne and Winnow at a temporary folder; call it before either is imported."""
    with tempfile.TemporaryDirectory(prefix="winnow-benchmark-") as folder:
        os.environ |= {
            "HOME": folder,
            "WINNOW_HOME": f"{folder}/winnow",
            "FIFTYONE_DATABASE_DIR": f"{folder}/mongo",
            "FIFTYONE_DO_NOT_TRACK": "true",
            "HF_HUB_OFFLINE": "1",
        }
        os.environ.pop("FIFTYONE_DATABASE_URI", None)
        yield Path(folder)
