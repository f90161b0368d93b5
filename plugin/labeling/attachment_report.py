"""What attaching or detaching a backend changes in a project, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ChangeLog:
    """Collects what is changed; in a dry run nothing is."""

    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self.changes: list[str] = []
        self.notes: list[str] = []

    def will(self, change: str) -> bool:
        """Note a change and tell whether to make it."""
        self.changes.append(change)
        return not self._dry_run


@dataclass(frozen=True)
class AttachmentReport:
    """What was changed, or would be.

    Attributes:
        project_id: The project.
        version: The version that is served; None where it is not known.
        changes: One sentence each; empty when all was as it should be.
        notes: What was left as it is, and why.
        dry_run: Whether nothing was changed.
    """

    project_id: int
    version: str | None
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    dry_run: bool

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""
        return {
            "project": self.project_id,
            "model_version": self.version,
            "changes": list(self.changes),
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""
        if not self.changes:
            title = f"Project {self.project_id}: nothing to change"
        else:
            title = f"Project {self.project_id}: {'would change' if self.dry_run else 'changed'}"
        lines = [title, *(f"- {change}" for change in self.changes), *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)
