"""Rows of length 1 around a centre: all of them in memory, or made from a file when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from .neighbors import lengths_around, unit_rows_around

_AT_ONCE = 4_096


@dataclass(frozen=True, eq=False)
class CentredRows:
    """Rows of length 1 that are made when they are asked for, so that vectors in a file never lie in memory all.

    Attributes:
        vectors: (n, d) float32; may be memory-mapped.
        centre: (d,) float32. What is subtracted from them.
    """

    vectors: np.ndarray
    centre: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return (m, d) float32 rows of length 1; an all-zero row stays zero.

        Raises:
            ValueError: A value that is not finite, whichever row it is in.
        """
        unit = np.subtract(np.asarray(self.vectors[rows]), self.centre)
        unit /= self._lengths[rows]
        return unit

    @cached_property
    def _lengths(self) -> np.ndarray:
        """(n, 1) float32, 1 where a row is zero: pairs of rows are asked for many times over."""
        lengths = np.empty((len(self), 1), np.float32)
        for start in range(0, len(self), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            lengths[part] = lengths_around(self.vectors[part], self.centre, first=start)
        return lengths


Rows: TypeAlias = np.ndarray | CentredRows
"""(n, d) float32 rows of length 1: an array, or what makes them when they are asked for."""


def rows_around(embeddings: np.ndarray, centre: np.ndarray) -> Rows:
    """Return (n, d) embeddings as rows of length 1 around a (d,) centre: those in a file stay there."""
    if isinstance(embeddings, np.memmap):
        return CentredRows(embeddings, centre)
    return unit_rows_around(embeddings, centre)
