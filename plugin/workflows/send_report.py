"""What sending came to, for scripts and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..failures import Failure
from ..labeling.image_delivery import COPIED
from .wording import counted, failure_lines


@dataclass(eq=False)
class SendReport:
    """What `send_to_label_studio` did, or would do.

    Attributes:
        batch: Name of the batch; "" where nothing went out.
        project_id: The project; 0 where it has yet to be made.
        title: The project's.
        url: Where the project is opened.
        is_new: Whether the project was made now.
        fields: Name of the control -> field for the labels that come back.
        samples: Samples that were to go out.
        sent: Tasks that were imported now.
        present: Tasks of the batch that were there before, from a run that did not finish.
        ways: How many images went which way; see `labeling.image_delivery`.
        predictions: Predictions that Label Studio stored.
        dropped: Predictions that were sent and not stored, for which it gives no reason.
        unwritable: Predictions of classes that have no choice.
        blind: Tasks that are labelled without a prediction in sight.
        model_version: Of the predictions; "" = none.
        doubled: Second tasks of a sample, deleted.
        elsewhere: Batch -> samples that are out in it, and were left out.
        failures: Images that could not be sent.
        changes: What was set in the project.
        notes: What a reader should know.
        dry_run: Whether nothing was changed.
    """

    batch: str = ""
    project_id: int = 0
    title: str = ""
    url: str = ""
    is_new: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    samples: int = 0
    sent: int = 0
    present: int = 0
    ways: Mapping[str, int] = field(default_factory=dict)
    predictions: int = 0
    dropped: int = 0
    unwritable: int = 0
    blind: int = 0
    model_version: str = ""
    doubled: int = 0
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dry_run: bool = False

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""
        return {
            "batch": self.batch,
            "project": self.project_id,
            "title": self.title,
            "url": self.url,
            "new_project": self.is_new,
            "fields": dict(self.fields),
            "samples": self.samples,
            "sent": self.sent,
            "present": self.present,
            "images": dict(self.ways),
            "predictions": self.predictions,
            "predictions_dropped": self.dropped,
            "predictions_without_choice": self.unwritable,
            "model_version": self.model_version,
            "blind": self.blind,
            "doubled": self.doubled,
            "out_already": dict(self.elsewhere),
            "failures": [{"path": failure.path, "reason": failure.reason} for failure in self.failures],
            "changes": list(self.changes),
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""
        lines = [*self._headline(), ""] if self.samples else ["**Nothing to send.**", ""]
        ways = sorted(self.ways.items(), key=lambda way: (way[0] == COPIED, way))
        lines += [f"- {counted(count, 'image')} {way}" for way, count in ways]
        lines += self._predictions()
        if self.blind:
            lines.append(f"- {counted(self.blind, 'task')} to be labelled without a prediction in sight")
        if self.present:
            lines.append(f"- {counted(self.present, 'task')} of the batch were there already, from an earlier run")
        if self.doubled:
            lines.append(f"- {counted(self.doubled, 'task')} deleted that an earlier run had doubled")
        for batch, count in self.elsewhere.items():
            lines.append(f"- {counted(count, 'sample')} left out: out in batch '{batch}' already")
        lines += [f"- {change}" for change in self.changes]
        lines += [f"- note: {note}" for note in self.notes]
        return "\n".join([*lines, *failure_lines(tuple(self.failures))])

    def _headline(self) -> list[str]:
        what = "project" if not self.is_new else "new project"
        where = f"{what} '{self.title}'" + (f" ({self.url})" if self.url else "")
        into = ", ".join(f"'{name}' -> `{label_field}`" for name, label_field in self.fields.items())
        if not self.batch and not self.dry_run:
            return [f"**Nothing was sent** to {where}."]
        if self.dry_run:
            return [f"**{counted(self.samples, 'task')} would be sent** to {where}; labels come back as {into}."]
        return [
            f"**{counted(self.sent, 'task')} sent** as batch '{self.batch}' to {where}; labels come back as {into}.",
            "Label them there, then run `winnow labelstudio pull`.",
        ]

    def _predictions(self) -> list[str]:
        lines = []
        if self.predictions:
            lines.append(f"- {counted(self.predictions, 'prediction')} of version {self.model_version} stored")
        if self.dropped:
            lines.append(
                f"- **{counted(self.dropped, 'prediction')} not stored** by Label Studio, which does not say why"
            )
        if self.unwritable:
            lines.append(f"- {counted(self.unwritable, 'prediction')} left out: their classes have no choice")
        return lines
