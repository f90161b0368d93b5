"""What file names say about which images belong together: `patient012_03.png` and `patient012_04.png`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

# The last number of a name, with a word before it that only says what it counts.
_COUNTER = re.compile(
    r"[\s_.-]*(?:frame|frm|img|image|slice|view|crop|patch|tile|shot|copy|f|s|v|no|n)?[\s_.-]*\(?\d+\)?$", re.IGNORECASE
)
_SHARE_IN_GROUPS = 0.5


def name_prefixes(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return (n,) object: each file's folder-less name without the number at its end; None where nothing is left."""
    stems = (PurePath(path).stem for path in paths)
    column = np.empty(len(paths), object)
    column[:] = [_COUNTER.sub("", stem) or None for stem in stems]
    return column


def looks_like_groups(prefixes: np.ndarray) -> bool:
    """Whether (n,) prefixes tell groups: they are numbered themselves, and half of the images share theirs.

    `cat_001` tells the class and `IMG_0001` the camera: neither is a group.
    """
    numbered = [prefix for prefix in prefixes if prefix and any(character.isdigit() for character in prefix)]
    sizes = Counter(numbered)
    shared = sum(size for size in sizes.values() if size > 1)
    return len(sizes) > 1 and shared >= _SHARE_IN_GROUPS * len(prefixes)
