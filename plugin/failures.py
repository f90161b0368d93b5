"""One image that could not be used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that a job left out, and why.

    Attributes:
        id: The sample's id (or whatever the caller named the image by).
        path: The file.
        reason: One short sentence without the path, fit for a table cell.
    """

    id: str
    path: str
    reason: str
