"""How a job tells a face where it stands, and how a face stops a job."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by every job at least once a batch.

    A face shows what it is told; to cancel the job it raises `JobCancelled` from the call.
    """

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report that `done` of `total` items of the step named `step` are finished."""


def silent(step: str, done: int, total: int) -> None:
    """Show nothing, never cancel."""
