"""How a task names the original of a display copy, which is what annotators see where browsers can't show the original.

Beside the copy's address under `image`, the task's data holds, for each such key:

- `winnow_original_image`: the original's path below the folder of originals, with `/` between its steps;
- `winnow_sha256_image`: the SHA-256 of the original file, 64 hexadecimal digits.

A classifier that was trained on originals is asked about the original or not at all: it has never seen a window of 256
grey levels, and its answers about copies would be confidently wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATH, _SHA256 = "winnow_original_", "winnow_sha256_"

# The entry of a display copy's PNG header that holds the SHA-256 of its original: a copy is known as one even in a task
# that has lost the keys above.
COPY_MARK = "winnow-original-sha256"


@dataclass(frozen=True, slots=True)
class Original:
    """The original of a display copy, as a task names it.

    Attributes:
        path: Below the folder of originals; whatever the task holds, so it may be no path at all.
        sha256: Of the file; whatever the task holds.
    """

    path: str
    sha256: str


def named_original(data: Mapping[str, Any], key: str) -> Original | None:
    """Return the original that a task's data names for the image under `key`, None where that is no display copy."""
    if _PATH + key not in data and _SHA256 + key not in data:
        return None
    return Original(str(data.get(_PATH + key) or ""), str(data.get(_SHA256 + key) or ""))


def original_data(original: Original, key: str) -> dict[str, str]:
    """Return what a task's data holds beside the copy's address under `key`."""
    return {_PATH + key: original.path, _SHA256 + key: original.sha256}
