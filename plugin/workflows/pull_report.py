"""What bringing labels back from Label Studio, or from a table, came to."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..labeling.agreement import Agreement, AnnotatorAgreement
from .wording import counted, listed

_SHOWN = 10


@dataclass(frozen=True)
class Clash:
    """A label that was not written, as the dataset's own was changed meanwhile, or the file was.

    Attributes:
        id: Of the sample.
        path: Its file.
        field: Label field.
        here: The dataset's label.
        theirs: What annotators say.
        reason: One short sentence.
    """

    id: str
    path: str
    field: str
    here: str
    theirs: str
    reason: str


@dataclass(frozen=True)
class AskedAgreement:
    """How far annotators agree in one control."""

    control: str
    field: str
    overall: Agreement
    annotators: tuple[AnnotatorAgreement, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "control": self.control,
            "field": self.field,
            "tasks": self.overall.tasks,
            "share": _number(self.overall.share),
            "alpha": _number(self.overall.alpha),
            "annotators": [
                {
                    "annotator": str(each.annotator),
                    "answers": each.answers,
                    "compared": each.compared,
                    "share": _number(each.share),
                    "kappa": _number(each.kappa),
                }
                for each in self.annotators
            ],
        }


@dataclass
class PullCounts:
    """How many samples, or labels, came to what; see `PullReport`."""

    labelled: int = 0
    changed: int = 0
    confirmed: int = 0
    unchanged: int = 0
    kept: int = 0
    skipped: int = 0
    empty: int = 0
    disagreements: int = 0
    conflicts: int = 0
    changed_files: int = 0
    unchecked_files: int = 0
    waiting: int = 0
    out: int = 0
    withdrawn: int = 0
    removed: int = 0
    missing_tasks: int = 0
    deleted_samples: int = 0
    superseded: int = 0
    outside: int = 0
    foreign: int = 0


@dataclass(frozen=True)
class PullReport:
    """What was brought back.

    Attributes:
        dataset: Its name.
        source: Where it came from: projects of Label Studio, or a file.
        action: Key to undo it by; None where nothing was new.
        counts: Labels that are new (`labelled`), that replace others (`changed`), that are those that were there
            (`confirmed`), that were back before (`unchanged`), that were let stand at one's wish (`kept`); samples that
            were `skipped`, submitted without an answer (`empty`), on which annotators are split (`disagreements`),
            whose label (`conflicts`) or file (`changed_files`) was changed here meanwhile, whose file can't be read to
            check it (`unchecked_files`), that wait for further annotators (`waiting`), and that nobody has seen yet
            (`out`); labels whose annotation was deleted since (`withdrawn`), those `removed` at one's wish, tasks that
            were deleted in Label Studio (`missing_tasks`), samples that were deleted here (`deleted_samples`), answers
            of an earlier batch to samples that were sent again since (`superseded`), samples `outside` of the view,
            and tasks that name no sample of the dataset (`foreign`).
        by_class: Class -> how many labels of it are new or changed.
        clashes: The conflicts.
        agreement: Of annotators, control by control.
        notes: Sentences for the user.
        adjudication: Name of the saved view with the disagreements, where one was asked for.
    """

    dataset: str
    source: str
    action: str | None
    counts: PullCounts
    by_class: Counter[str] = field(default_factory=Counter)
    clashes: tuple[Clash, ...] = ()
    agreement: tuple[AskedAgreement, ...] = ()
    notes: tuple[str, ...] = ()
    adjudication: str | None = None

    @property
    def undoable(self) -> bool:
        """Whether there is something to undo."""
        return self.action is not None

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset,
            "source": self.source,
            "action": self.action,
            **vars(self.counts),
            "by_class": dict(sorted(self.by_class.items())),
            "clashes": [vars(each) for each in self.clashes[:1_000]],
            "agreement": [each.summary() for each in self.agreement],
            "notes": list(self.notes),
            "adjudication": self.adjudication,
        }

    def text(self) -> str:
        """Return markdown for a person."""
        counts = self.counts
        new = [
            (counts.labelled, "new"),
            (counts.changed, "changed"),
            (counts.confirmed, "as they were"),
        ]
        told = ", ".join(f"{number:,} {word}" for number, word in new if number)
        total = counts.labelled + counts.changed + counts.confirmed
        head = f"**Brought {counted(total, 'label')} back from {self.source}**" + (f" ({told})." if told else ".")
        lines = [head if total else f"**Nothing new in {self.source}.**", *self._counted(), *self._clashes()]
        lines += [line for each in self.agreement for line in _agreement_lines(each)]
        lines += [f"- {note}" for note in self.notes]
        if self.action:
            lines += ["", f"It can be undone: `{self.action}`."]
        return "\n".join([*lines, *self._next()])

    def _counted(self) -> list[str]:
        counts = self.counts
        sentences = [
            (counts.unchanged, "{} back before, and unchanged", "label"),
            (counts.out, "{} still out, not annotated yet", "image"),
            (counts.waiting, "{} annotated, waiting for further annotators (--partial takes what is there)", "image"),
            (counts.skipped, "{} skipped by annotators", "image"),
            (counts.empty, "{} submitted without an answer", "image"),
            (counts.disagreements, "{} on which annotators are split", "image"),
            (counts.conflicts, "{} changed here meanwhile, and let stand", "label"),
            (counts.kept, "{} kept as they are here", "label"),
            (counts.changed_files, "{} whose file was changed since it was sent", "image"),
            (counts.unchecked_files, "{} whose file can't be read, so it was not compared", "image"),
            (counts.withdrawn, "{} whose annotation was deleted in Label Studio, kept (--gone remove)", "label"),
            (counts.removed, "{} removed, as their annotation was deleted in Label Studio", "label"),
            (counts.missing_tasks, "{} whose task was deleted in Label Studio (--gone remove frees them)", "image"),
            (counts.deleted_samples, "{} deleted from the dataset since they were sent", "sample"),
            (counts.superseded, "{} sent again since: only the newer batch counts", "image"),
            (counts.outside, "{} outside of the view", "image"),
            (counts.foreign, "{} that name no sample of this dataset", "task"),
        ]
        return [f"- {sentence.format(counted(number, unit))}" for number, sentence, unit in sentences if number]

    def _clashes(self) -> list[str]:
        if not self.clashes:
            return []
        rows = ["", "| image | field | here | annotators | why |", "|---|---|---|---|---|"]
        for each in self.clashes[:_SHOWN]:
            cells = (f"`{each.path}`", each.field, each.here, each.theirs, each.reason)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        more = len(self.clashes) - _SHOWN
        rows += [f"| and {more:,} more | | | | |"] * (more > 0)
        return [*rows, ""]

    def _next(self) -> list[str]:
        counts = self.counts
        steps = []
        if counts.conflicts or counts.changed_files:
            steps.append(
                'Conflicts: look at the samples whose `labeling_state` is "conflict", then pull again with --conflicts '
                "theirs (annotators are right) or keep (the dataset is)."
            )
        if counts.disagreements and not self.adjudication:
            steps.append(
                "Disagreements: --adjudicate NAME gathers them in a saved view, to be sent to one more person."
            )
        if self.adjudication:
            steps.append(
                f"Disagreements are in the saved view `{self.adjudication}`: send them to one more person, in the App "
                f"or with winnow labelstudio send {self.dataset} --view {self.adjudication} --batch NAME."
            )
        return ["", *(f"Next: {step}" for step in steps)] if steps else []


def new_classes_note(field_name: str, names: list[str]) -> str:
    """Return the sentence that tells of classes that a field did not have before: perhaps they are slips."""
    return f"new in '{field_name}': {counted(len(names), 'class', 'classes')}, {listed(names, 10)}"


def _agreement_lines(asked: AskedAgreement) -> list[str]:
    if not asked.overall.tasks:
        return []
    several = [each for each in asked.annotators if each.compared]
    lines = [
        "",
        f"`{asked.control}`: {counted(asked.overall.tasks, 'image')} with several annotators, who agree in "
        f"{asked.overall.share:.0%} (Krippendorff's alpha {_shown(asked.overall.alpha)}).",
        "",
        "| annotator | answers | compared | agrees with the others | kappa |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.annotator} | {each.answers:,} | {each.compared:,} | {each.share:.0%} | {_shown(each.kappa)} |"
        for each in several[:_SHOWN]
    ]
    return [*lines, ""]


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
