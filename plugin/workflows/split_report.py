"""What `split_dataset` did, as numbers and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets.samples import Samples
from ..failures import Failure
from .split_settings import OUTPUT_FIELDS
from .wording import counted, failure_lines

_TOLD = 10


@dataclass(frozen=True, eq=False)
class SplitReport:
    """What `split_dataset` did.

    Attributes:
        samples: All n samples, those that could not be read too.
        labels: (n,) int64, -1 = none; or (n, k) float32 in {0, 1, NaN} where a sample may have several.
        classes: Names of the c columns of `counts`: the classes, and what has none.
        split: (n,) object. The split of each sample; "" = pool, as before a repair.
        names: The s splits that `counts` tells about.
        counts: (c, s) int64 images.
        ideal: (c, s) float64 images that there should be: by the fractions, or before the repair.
        pairs: Number of near-duplicate pairs that were kept together.
        units: (n,) int64. Samples with the same number belong together.
        moved: (m,) int64. Rows that a repair moved.
        conflicts: (q,) int64. Rows whose frozen splits tear units apart.
        field: Field that holds the result.
        repaired: Whether existing splits were repaired.
        failures: Images that could not be read; they are dealt by their labels and groups alone.
        notes: Sentences for the user.
    """

    samples: Samples
    labels: np.ndarray
    classes: tuple[str, ...]
    split: np.ndarray
    names: tuple[str, ...]
    counts: np.ndarray
    ideal: np.ndarray
    pairs: int
    units: np.ndarray
    moved: np.ndarray
    conflicts: np.ndarray
    field: str
    repaired: bool
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON.

        `largest_deviation` counts images that a class is off its share in a split (after a repair: off what it was),
        and `furthest_off` names the worst ones. `moved` counts the images that a repair moved, by from and to.
        """
        sizes = np.bincount(self.units)
        return {
            "images": len(self.samples),
            "field": self.field,
            "repaired": self.repaired,
            "sizes": self._sizes(),
            "largest_deviation": round(float(np.abs(self._off()).max(initial=0)), 3),
            "furthest_off": self._furthest_off(),
            "pairs": self.pairs,
            "units_of_several": int(np.sum(sizes > 1)),
            "largest_unit": int(sizes.max(initial=0)),
            "moved": {f"{first} to {second}": count for (first, second), count in self._moves().items()},
            "conflicts": len(self.conflicts),
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        sizes = " · ".join(f"{name or 'in no split'} {size:,}" for name, size in found["sizes"].items())
        lines = [f"**{self._headline()}** in the field `{self.field}`: {sizes}.", ""]
        lines += [
            f"- {first} to {second}: {counted(count, 'image')}" for (first, second), count in self._moves().items()
        ]
        if found["units_of_several"]:
            units = counted(found["units_of_several"], "unit of several images", "units of several images")
            lines.append(f"- {units}; the largest has {found['largest_unit']:,}")
        lines.append(f"- {self._balance()}")
        if found["conflicts"]:
            lines.append(
                f"- **{counted(found['conflicts'], 'image')} of frozen splits** belong to an image frozen in another "
                "split. They stayed, so these units straddle: freeze one of the splits only."
            )
        lines += [f"- {note}" for note in self.notes]
        where = "" if self.field == OUTPUT_FIELDS[0] else f" with the split field `{self.field}`"
        return "\n".join([*lines, *failure_lines(self.failures), "", f"Next: train a classifier{where}."])

    def _headline(self) -> str:
        if not self.repaired:
            return "New splits"
        return f"{counted(len(self.moved), 'image')} moved" if len(self.moved) else "The splits were clean already"

    def _balance(self) -> str:
        worst = self._furthest_off()
        if not worst:
            return "no class has changed" if self.repaired else "every class has exactly its share in every split"
        largest = abs(worst[0]["images"] - worst[0]["ideal"])
        if largest < 1 and not self.repaired:
            return "every class is within one image of its share in every split"
        images, ideal = counted(worst[0]["images"], "image"), worst[0]["ideal"]
        before = f"{ideal:,.0f} before" if self.repaired else f"its share is {ideal:,.1f}"
        return f"furthest off: '{worst[0]['class']}' has {images} in {worst[0]['split']}, {before}"

    def _off(self) -> np.ndarray:
        return self.counts - self.ideal

    def _furthest_off(self) -> list[dict[str, Any]]:
        """Return the classes and splits that are furthest off, the worst first."""
        off = np.abs(self._off()).round(6)
        worst = [divmod(int(place), len(self.names)) for place in np.argsort(-off, axis=None, kind="stable")[:_TOLD]]
        return [
            {
                "class": self.classes[row],
                "split": self.names[column],
                "images": int(self.counts[row, column]),
                "ideal": round(float(self.ideal[row, column]), 3),
            }
            for row, column in worst
            if off[row, column] > 0
        ]

    def _sizes(self) -> dict[str, int]:
        sizes = Counter(self.split.tolist())
        known = [*self.names, *(name for name in sorted(sizes) if name not in self.names)]
        return {name: sizes[name] for name in known}

    def _moves(self) -> dict[tuple[str, str], int]:
        moves = Counter(zip(self.samples.splits[self.moved], self.split[self.moved], strict=True))
        return dict(sorted(moves.items()))
