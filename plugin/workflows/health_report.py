"""The report on a classifier's health, as plain JSON and as a few lines of markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .health_figures import Decision, Health, Moved
from .health_leads import headline, leads, next_steps
from .wording import rounded

_MOST_CLASSES = 5
_MOST_DECISIONS = 3


@dataclass(frozen=True, eq=False)
class HealthReport:
    """What `model_health` gathered.

    Attributes:
        health: The figures.
        page: The HTML file that was written, or None.
        comparable: Whether the backend remembers images that can be held against the classifier's reference.
    """

    health: Health
    page: Path | None = None
    comparable: bool = False

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        health = self.health
        level, sentence = headline(health)
        return {
            "classifier": {**asdict(health.about), "classes": len(health.about.classes)},
            "made_at": health.made_at.isoformat(timespec="seconds"),
            "days": health.days,
            "level": level.value,
            "headline": sentence,
            "answers_from": health.answers_from,
            "overrides": health.overrides.plain(),
            "recall": {each.name: each.recall.plain() for each in health.classes},
            "novel": health.novel.plain(),
            "accuracy": health.accuracy.plain(),
            "blind_accuracy": health.blind.plain(),
            "versions": [
                {
                    "version": each.version,
                    "answers": each.answers,
                    "accuracy": each.accuracy.plain(),
                    "overrides": each.overrides.plain(),
                    "blind_accuracy": each.blind.plain(),
                    "calibration_error": rounded(each.calibration_error),
                }
                for each in health.versions
            ],
            "drift": [
                {
                    "time": each.time.isoformat(timespec="seconds"),
                    "what": each.what,
                    "is_drift": each.is_drift,
                    "p_value": rounded(each.p_value),
                    "effect_size": rounded(each.effect),
                    "novel": each.novel.plain(),
                }
                for each in health.checks
            ],
            "moved_classes": [_moved(each) for each in health.moved],
            "moved_statistics": [_moved(each) for each in health.statistics],
            "decisions": [
                {
                    "time": each.time.isoformat(timespec="seconds"),
                    "decision": each.decision,
                    "reason": each.reason,
                    "dry_run": each.dry_run,
                }
                for each in health.decisions
            ],
            "missing": [asdict(each) for each in health.missing],
            "notes": list(health.notes),
            "page": None if self.page is None else str(self.page),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        health = self.health
        lines = [f"**{headline(health)[1]}** Classifier `{health.about.version}` in `{health.about.folder}`.", ""]
        lines += [f"- {lead.title}: **{lead.figure}**{_behind(lead.words())} {lead.sentence}" for lead in leads(health)]
        if health.accuracy.known:
            lines += ["", f"Accuracy of the last answers: {health.accuracy.words()}, from {health.answers_from}."]
        lines += _section("What to do", next_steps(health))
        lines += _section("Not known", [f"{each.what}: {each.how}" for each in health.missing])
        lines += _section("Training again", [_decided(each) for each in health.decisions[:_MOST_DECISIONS]])
        lines += [f"\n{note}." for note in health.notes]
        if self.page is not None:
            lines += ["", f"The whole report is in **`{self.page}`**."]
        return "\n".join(lines)


def _moved(each: Moved) -> dict[str, Any]:
    figures = {"p_value": each.p_value, "effect_size": each.effect, "before": each.before, "now": each.now}
    return {"name": each.name, **{name: rounded(value) for name, value in figures.items()}}


def _section(title: str, entries: Sequence[str]) -> list[str]:
    return ["", f"{title}:", "", *(f"- {entry}" for entry in entries)] if entries else []


def _behind(words: str) -> str:
    return f" ({words})." if words else "."


def _decided(each: Decision) -> str:
    tried = " (dry run)" if each.dry_run else ""
    return f"{each.time:%Y-%m-%d %H:%M}: {each.decision}{tried}, {each.reason}"
