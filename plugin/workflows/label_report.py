"""The report on classes that `find_label_issues` saved, and the samples that it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fiftyone import ViewField

from ..curation.label_report import LabelReport
from ..datasets import runs
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


def read_label_report(view: Collection) -> SavedLabelReport | None:
    """Return the report of the dataset; None where `find_label_issues` has not run, or its fields were deleted."""
    known = {run.key: run for run in runs.list_runs(view)}
    if LABEL_ISSUES_RUN not in known:
        return None
    run, saved = known[LABEL_ISSUES_RUN], runs.load_results(view, LABEL_ISSUES_RUN)
    fields = [run.params[name] for name in ("issue_field", "suggestion_field", "quality_field")]
    if not saved or "class_report" not in saved or not all(view.has_field(field) for field in fields):
        return None
    return SavedLabelReport(
        report=LabelReport.from_dict(saved["class_report"]),
        estimated=run.summary["estimated"],
        flagged=run.summary["flagged"],
        certain=run.summary["noise"] != "none",
        label_field=run.summary["label_field"],
        stale=runs.is_stale(view, LABEL_ISSUES_RUN),
        spellings=saved["spellings"],
        params=run.params,
    )
