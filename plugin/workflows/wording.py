"""What the reports' texts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..failures import Failure


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return "1 image", "2,000 images"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return "cat, dog", of many names the first ones and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def wait_of(seconds: float) -> str:
    """Return "20 seconds", "3 minutes", "2 hours": as exact as an estimate is."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length:
            return counted(round(seconds / length), unit)
    return counted(max(1, round(seconds)), "second")


def failure_lines(
    failures: tuple[Failure, ...], unit: str = "image", units: str = "images", most: int = 5
) -> list[str]:
    """Return markdown lines that name the first failures and count the rest."""
    if not failures:
        return []
    lines = ["", f"**{counted(len(failures), unit, units)} could not be used**:", ""]
    lines += [f"- `{failure.path}`: {failure.reason}" for failure in failures[:most]]
    if len(failures) > most:
        lines.append(f"- and {len(failures) - most:,} more; the field `winnow_failure` has each one's reason.")
    return lines


def rounded(value: Any) -> Any:
    """Return a number, or a tuple of numbers, as plain JSON, to four decimals; what is not finite becomes None."""
    if isinstance(value, (float, np.floating)):
        return round(float(value), 4) if np.isfinite(value) else None
    return [rounded(item) for item in value] if isinstance(value, tuple) else value
