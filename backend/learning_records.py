"""What learning from annotations remembers: events, jobs, versions and promotions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START = "START_TRAINING"


@dataclass(frozen=True)
class Event:
    """Something that happened in Label Studio.

    Attributes:
        key: Two events of one key are one.
        action: Label Studio's name of it.
        project: Number of the project.
        annotations: How many annotations it brings, changes or takes away; skipped ones don't count.
    """

    key: str
    action: str
    project: int
    annotations: int


@dataclass(frozen=True)
class Waiting:
    """The events of a project that no job has taken up yet.

    Attributes:
        project: Number of the project.
        annotations: Sum of the events'.
        first_at: Time of the first, in seconds since 1970.
        last_at: Time of the last.
        asked_for: Whether somebody pressed Start Training.
    """

    project: int
    annotations: int
    first_at: float
    last_at: float
    asked_for: bool


@dataclass(frozen=True)
class Job:
    """A training job.

    Attributes:
        id: Its number.
        project: Whose annotations it reads.
        state: "running", "done", "refused" (too little to learn from), "failed", "cancelled", "unreachable" (Label
            Studio was gone) or "interrupted" (it, or the server, was killed).
        started_at: In seconds since 1970.
        ended_at: The same; None while it runs.
        detail: Why it ended as it did, for a person.
        version: What it made.
        cancel: Above 0 where somebody asked for it to be cancelled.
    """

    id: int
    project: int
    state: str
    started_at: float
    ended_at: float | None
    detail: str
    version: str | None
    cancel: int


@dataclass(frozen=True)
class Version:
    """A classifier that can be served.

    Attributes:
        version: The classifier's own name of it.
        folder: Where it lies.
        made_at: In seconds since 1970.
        report: What its job found out; None for a classifier that was not made here.
    """

    version: str
    folder: Path
    made_at: float
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Promotion:
    """Somebody's decision to serve a version."""

    id: int
    version: str
    who: str
    why: str
    at: float


def start_event(project: int) -> Event:
    """Return a wish to train, of which each counts."""
    return Event(f"{START}:{uuid.uuid4().hex}", START, project, 0)
