"""The report on classes that `find_label_issues` saved, and the samples that it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fiftyone import ViewField

from ..curation.label_report import LabelReport
from ..datasets import runs
from ..datasets.runs import SavedRun
from ..datasets.views import Collection, every_image
from .findings import LABEL_ISSUES_RUN


@dataclass(frozen=True, eq=False)
class SavedLabelReport:
    """What the last run of `find_label_issues` on a dataset found about its classes.

    Attributes:
        report: The report.
        estimated: Expected number of wrong labels in all.
        flagged: Number of flagged labels, when the run ended.
        certain: Whether the labels show noise; else the flagged ones only disagree with the images around them.
        label_field: Field of the labels.
        stale: Why the run no longer tells about the whole dataset, or None.
        spellings: All names of the classes that have several.
        params: The job's settings.
    """

    report: LabelReport
    estimated: float
    flagged: int
    certain: bool
    label_field: str
    stale: str | None
    spellings: dict[str, list[str]]
    params: dict[str, Any]

    def labels(self, view: Collection, given: str, true: str | None = None) -> Collection:
        """Return the flagged labels of a class, the worst first.

        Args:
            view: The dataset, or a view into it.
            given: Class of the label.
            true: Class that was suggested; None = any.
        """
        chosen = (ViewField(self.params["issue_field"]) == True) & self._is(self.label_field, given)  # noqa: E712
        if true is not None:
            chosen &= self._is(self.params["suggestion_field"], true)
        return every_image(view).match(chosen).sort_by(self.params["quality_field"])

    def _is(self, field: str, name: str) -> ViewField:
        return ViewField(f"{field}.label").is_in(self.spellings.get(name, [name]))


@dataclass(frozen=True, eq=False)
class SavedLabelSetReport:
    """What the last run of `find_label_issues` on a dataset found, where it judged several labels an image.

    Attributes:
        by_class: Name, flagged missing labels and flagged extra ones of each class that has any, the most first.
        estimated, flagged, certain, label_field, stale, params: As in `SavedLabelReport`.
    """

    by_class: tuple[tuple[str, int, int], ...]
    estimated: float
    flagged: int
    certain: bool
    label_field: str
    stale: str | None
    params: dict[str, Any]

    def changes(self, view: Collection, name: str) -> Collection:
        """Return the images of the dataset for which a change of this class is suggested, the worst first."""
        suggested = ViewField(f"{self.params['suggestion_field']}.classifications.label").contains(name)
        return every_image(view).match(suggested).sort_by(self.params["quality_field"])


def read_label_report(view: Collection) -> SavedLabelReport | None:
    """Return the report of the dataset; None where there is none, or its fields were deleted."""
    run = _last_run(view)
    if run is None or _judged_sets(run):
        return None
    saved = runs.load_results(view, LABEL_ISSUES_RUN)
    if not saved or "class_report" not in saved:
        return None
    return SavedLabelReport(
        report=LabelReport.from_dict(saved["class_report"]),
        spellings=saved["spellings"],
        **_common(view, run),
    )


def read_label_set_report(view: Collection) -> SavedLabelSetReport | None:
    """Return the report of the dataset where the last run judged several labels an image, else None."""
    run = _last_run(view)
    if run is None or not _judged_sets(run):
        return None
    counts = ((name, each["missing"], each["extra"]) for name, each in run.summary["by_class"].items())
    by_class = tuple(sorted(counts, key=lambda each: (-each[1] - each[2], each[0])))
    return SavedLabelSetReport(by_class=by_class, **_common(view, run))


def _last_run(view: Collection) -> SavedRun | None:
    """Return the last run; None where `find_label_issues` has not run, or its fields were deleted."""
    run = next((run for run in runs.list_runs(view) if run.key == LABEL_ISSUES_RUN), None)
    if run is None:
        return None
    fields = [run.params[name] for name in ("issue_field", "suggestion_field", "quality_field")]
    return run if all(view.has_field(field) for field in fields) else None


def _judged_sets(run: SavedRun) -> bool:
    return "missing" in run.summary


def _common(view: Collection, run: SavedRun) -> dict[str, Any]:
    return {
        "estimated": run.summary["estimated"],
        "flagged": run.summary["flagged"],
        "certain": run.summary["noise"] != "none",
        "label_field": run.summary["label_field"],
        "stale": runs.is_stale(view, LABEL_ISSUES_RUN),
        "params": run.params,
    }
