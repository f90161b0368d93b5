"""Errors that a user can mend: each message names the thing, the reason and the next step."""

from __future__ import annotations


class WinnowError(Exception):
    """Base of every error whose message is meant for the user; faces show the message, never a traceback."""


class UnreadableImageError(WinnowError):
    """One image that cannot be decoded. `reason` is short enough for a table cell and names no path."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot read image '{name}': {reason}. Replace the file, or remove its sample.")
        self.reason = reason


class TargetError(WinnowError):
    """The dataset, folder or table that a command was given cannot be used."""


class FieldError(WinnowError):
    """A field is absent, of the wrong type, or holds nothing that the job can use."""


class DataError(WinnowError):
    """The data does not allow the job: no images, one class, no two splits."""


class ClassifierError(WinnowError):
    """A classifier folder that is absent, damaged or made by an incompatible version."""


class MissingPartError(WinnowError):
    """An optional part that is not installed; the message holds the command that installs it."""


class JobCancelled(WinnowError):  # noqa: N818 - a decision of the user, not a fault
    """Raised from a progress callback to stop a job; what was already written stays."""

    def __init__(self) -> None:
        super().__init__("cancelled; what was finished before stays, and the next run goes on from there")
