"""Which tasks annotators label without seeing a prediction, so that there are labels that none has influenced.

One rule for all who make predictions: the sender leaves them out of what it sends, and a backend declines them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .image_sources import address_in
from .task_identity import identity


def unit_of(task: int | str | None, data: Mapping[str, Any], group_key: str | None) -> str:
    """Return what a task belongs to: the value of the group key in its data, else its sample, else itself."""
    group = None if group_key is None else address_in(data, group_key)
    if group not in (None, ""):
        return f"group {group}"
    sample = identity(data)
    return f"task {task}" if sample is None else f"sample {sample.sample_id}"


def is_withheld(unit: str, share: float) -> bool:
    """Tell whether a unit is in the share whose predictions annotators don't get to see.

    It is what is held out first, so that there are labels to judge by that no prediction has influenced.
    """
    return place_of(unit) < share


def place_of(unit: str) -> float:
    """Return where a unit lies in 0..1: evenly spread, and always the same."""
    return int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8], "big") / 2**64
