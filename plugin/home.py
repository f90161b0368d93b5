"""Where Winnow keeps what it may make again: caches, the demo's copy, classifiers without an explicit folder."""

from __future__ import annotations

import os
from pathlib import Path


def winnow_home() -> Path:
    """Return `$WINNOW_HOME`, or `~/.winnow`. The folder is made by whoever writes to it."""
    return Path(os.environ.get("WINNOW_HOME") or Path.home() / ".winnow")
