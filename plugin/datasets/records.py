"""One image of a folder or a table, before it becomes a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ..failures import Failure


@dataclass(frozen=True)
class Record:
    """An image file and what its source says about it.

    Attributes:
        path: Absolute path.
        label: One label, several (multi-label; possibly none of them apply), or None where there is no label.
        split: The split's name as the source spells it, or None for the pool.
        groups: Further columns of a table, kept as text.
    """

    path: Path
    label: str | tuple[str, ...] | None = None
    split: str | None = None
    groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Source:
    """What a folder or a table holds.

    Attributes:
        root: Absolute path of the folder or the table.
        records: The images, each path once; sorted by path (folder) or in the order of the rows (table).
        failures: What was left out and why: rows whose file is missing, repeated rows, names that can't be stored.
        notes: Sentences for the user: the layout, and what was counted.
    """

    root: Path
    records: tuple[Record, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
