"""What a check of the connection between Label Studio and a backend found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    HINT = "hint"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: Whether it is as it should be; a hint is no fault.
        what: What was found, one sentence without a full stop.
        why: What it comes from, or leads to; empty where that goes without saying.
        next_step: What to do; empty where there is nothing to do.
    """

    level: Level
    what: str
    why: str = ""
    next_step: str = ""

    def line(self) -> str:
        """Return the finding as a list item of markdown."""
        rest = "".join(f" {part[0].upper()}{part[1:]}." for part in (self.why, self.next_step) if part)
        return f"- {self.level}: {self.what}.{rest}"


@dataclass(frozen=True)
class ConnectionReport:
    """All findings, in the order in which they were looked at; what depends on a problem was not looked at."""

    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether there is no problem."""
        return all(finding.level is not Level.PROBLEM for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""
        return {
            "ok": self.is_sound,
            "findings": [
                {"level": str(each.level), "what": each.what, "why": each.why, "next_step": each.next_step}
                for each in self.findings
            ],
        }

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""
        return "\n".join(finding.line() for finding in self.findings)
