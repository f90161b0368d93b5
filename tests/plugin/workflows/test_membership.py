from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import winnow
from winnow.plugin.membership import is_among

# Arrays of bytes, which numpy sorts.
SORTED = ("similarity_indexes.py", "similarity_neighbors.py")


class Key:
    """Compares itself with nothing."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = object.__hash__


def test_values_among_others_are_told_without_comparing_each_with_each() -> None:
    keys = [Key() for _ in range(5)]

    assert is_among(np.array(keys, object), keys[1:3]).tolist() == [False, True, True, False, False]
    assert is_among(np.empty(0, object), keys).tolist() == []


def test_ids_are_never_looked_up_by_numpy_which_compares_objects_each_with_each() -> None:
    folder = Path(winnow.__file__).parent
    sources = [path for part in ("plugin", "backend", "operators") for path in sorted((folder / part).rglob("*.py"))]
    found = [
        f"{path.name}: {line.strip()}"
        for path in sources
        if path.name not in SORTED
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"np\.(isin|setdiff1d|in1d)\([^)]*\bids\b", line)
    ]

    assert len(sources) > 200
    assert found == []
