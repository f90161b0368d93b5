"""Which annotated images no job trains on, so that a new classifier can be judged by them, today and later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from ..plugin.errors import DataError
from ..plugin.labeling.blind_share import place_of


@dataclass(frozen=True)
class HoldingOut:
    """How much is held out.

    Attributes:
        share: Of the units, in 0..1.
        least: Images; at least as many are trained on.
    """

    share: float = 0.2
    least: int = 100


def choose_held_out(units: np.ndarray, known: Set[str], wanted: HoldingOut) -> frozenset[str]:
    """Return the units to hold out: those that were held out before, a fixed share of all, and more up to the least.

    Which ones is decided by a hash of the unit's name: a task is held out, or not, whatever else was annotated.

    Args:
        units: (n,) object. What each image belongs to: a patient, or its own task; never torn apart.
        known: Units that were held out before.
        wanted: How much.

    Raises:
        DataError: Too few images to train and to judge by.
    """
    needed = 2 * wanted.least
    if len(units) < needed:
        raise DataError(
            f"{len(units)} annotated images are too few: at least {wanted.least} are held out to judge by, and as "
            f"many are trained on, or more. Annotate {needed - len(units)} more, or lower WINNOW_HELD_OUT_LEAST."
        )
    sizes = Counter(units.tolist())
    order = sorted(sizes, key=place_of)
    held = {unit for unit in order if unit in known or place_of(unit) < wanted.share}
    images = sum(sizes[unit] for unit in held)
    for unit in order:
        if images >= wanted.least:
            break
        if unit not in held:
            held.add(unit)
            images += sizes[unit]
    if len(units) - images < wanted.least:
        raise DataError(
            f"{images} of {len(units)} annotated images are held out, which leaves fewer than {wanted.least} to train "
            f"on: the images belong to {len(sizes)} groups only. Annotate images of more groups, or lower "
            "WINNOW_HELD_OUT_LEAST."
        )
    return frozenset(held)
