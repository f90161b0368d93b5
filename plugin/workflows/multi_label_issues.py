"""Find the labels that are probably missing or wrong where an image may have several of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..curation.verdicts import ODD, VERDICTS
from ..datasets import runs
from ..datasets.group_views import LABEL_ISSUES_VIEW
from ..datasets.label_changes import write_changes
from ..datasets.multi_label_decisions import read_label_set_decisions
from ..datasets.multi_labels import multi_label_field, multi_label_fields, read_multi_labels
from ..datasets.samples import Samples, label_fields
from ..datasets.views import Collection, dataset_of
from ..errors import DataError, FieldError
from ..failures import Failure
from ..progress import Progress
from .findings import LABEL_ISSUES_RUN, read_findings
from .label_issue_fields import write_issues
from .label_issue_text import clash_lines, headline, issue_numbers, other_cuts, outlier_lines
from .multi_label_audit import MultiLabelAudit, audit_multi_labels
from .vectors import embed_collection
from .wording import counted, failure_lines

if TYPE_CHECKING:
    from .label_issues import LabelIssueParams

_CLASSES_TOLD = 5


@dataclass(frozen=True, eq=False)
class MultiLabelIssueReport:
    """What `find_label_issues` found about a field of several labels an image, row for row with `samples`.

    Attributes:
        samples: What was looked at.
        label_field: Field of the labels.
        audit: The findings.
        failures: Images that could not be used.
        notes: More sentences for the user.
    """

    samples: Samples
    label_field: str
    audit: MultiLabelAudit
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON.

        `annotated`: images whose labels are known, be it none; `labels`: the labels that they have; `flagged`: labels
        that are missing or extra, `by_class` of each class that has any; `cuts`: all three of them.
        """
        audit = self.audit
        missing, extra = audit.missing, audit.extra
        return {
            "images": len(self.samples),
            "annotated": int((~np.isnan(audit.given)).any(axis=1).sum()),
            "labels": int(np.nansum(audit.given)),
            "classes": len(audit.judged_names),
            "flagged_images": int(audit.flagged.sum()),
            "missing": int(missing.sum()),
            "extra": int(extra.sum()),
            **issue_numbers(audit.issues),
            "by_class": {
                name: {"missing": int(absent), "extra": int(present)}
                for name, absent, present in zip(audit.judged_names, missing, extra, strict=True)
                if absent or present
            },
            "verdicts": {verdict: int((audit.verdicts == verdict).sum()) for verdict in VERDICTS},
            "outliers": int(audit.outliers.is_outlier.sum()),
            "name_clashes": [clash.summary() for clash in audit.name_clashes],
            "label_field": self.label_field,
            "confirmed": int(audit.confirmed.sum()),
            "unsure": int(audit.unsure.sum()),
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        judged = (
            f"{counted(found['labels'], 'label')} of {counted(found['annotated'], 'image')} in `{self.label_field}`, "
            f"{counted(found['classes'], 'class', 'classes')}"
        )
        if not found["flagged"]:
            lines, after = [f"**No label is probably missing or wrong**: {judged}."], "Next: train a classifier."
        else:
            flagged = (
                f"{counted(found['flagged'], 'label')} of {counted(found['flagged_images'], 'image')}: "
                f"{found['missing']:,} missing, {found['extra']:,} extra"
            )
            lines = [
                *headline(
                    found,
                    f"**Probably wrong: {flagged}.** Looked at: {judged}.",
                    f"**No label is certainly missing or wrong**: {judged}. What disagrees with the images around it: "
                    f"{flagged}.",
                ),
                "",
                f"Most in: {_worst(found['by_class'])}.",
                "",
                other_cuts(found),
            ]
            after = f"Next: review them, in the App's saved view `{LABEL_ISSUES_VIEW}` with the worst first."
        lines += outlier_lines(self.audit.outliers, found["verdicts"][ODD]) + clash_lines(self.audit.name_clashes)
        if found["confirmed"] or found["unsure"]:
            lines.append(f"- a person confirmed {found['confirmed']:,} and is unsure about {found['unsure']:,}")
        lines += [f"- {note}" for note in self.notes]
        return "\n".join([*lines, *failure_lines(self.failures), "", after])


def field_of_several(view: Collection, asked: str | None) -> str | None:
    """Return the field of several labels an image to judge; None where there is one label an image, or none.

    Raises:
        FieldError: It is open which one is meant.
    """
    fields = multi_label_fields(view)
    if asked is None and len(fields) > 1 and not label_fields(view):
        raise FieldError(
            f"'{dataset_of(view).name}' has several fields of Classifications: {', '.join(fields)}. Name the one to "
            "judge as label field."
        )
    return multi_label_field(view, asked)


def find_multi_label_issues(
    view: Collection, label_field: str, params: LabelIssueParams, progress: Progress
) -> MultiLabelIssueReport:
    """Judge the labels of a field of `fo.Classifications`, and write quality, flag and suggested changes.

    Samples whose field is empty were not annotated: they are left alone. An empty list is an answer: none of the
    classes.

    Raises:
        DataError: No sample has a label, the annotated ones do not tell any class from the others, or evidence is asked
            for that only a field of one label an image can have.
        FieldError: See `embed_collection`.
    """
    if params.predictions_field or params.fine_tune:
        raise DataError(
            f"'{label_field}' holds several labels an image, which are judged by the images alone. Leave predictions "
            "and fine-tuning out, or choose a field of one label an image."
        )
    embedded = embed_collection(view, params.vectors, progress=progress)
    samples = embedded.samples
    given, names = read_multi_labels(view, samples.ids, label_field)
    if not names:
        raise DataError(
            f"no sample has a label in field '{label_field}' of '{dataset_of(view).name}'. Label some images first."
        )
    audit = audit_multi_labels(
        embedded,
        given,
        names,
        read_findings(view, samples.ids).groups,
        decided=read_label_set_decisions(view, label_field),
        sensitivity=params.sensitivity,
        seed=params.seed,
        progress=progress,
    )
    suggested = dict(audit.suggested())
    ids = samples.ids[list(suggested)]
    write_changes(view, params.changes_field, ids, list(suggested.values()), label_field=label_field)
    told = write_issues(view, params, samples.ids, audit.quality, audit.verdicts, audit.outliers, label_field)
    notes = (*_notes(given, label_field, params), *told)
    report = MultiLabelIssueReport(samples, label_field, audit, embedded.failures, notes)
    runs.save_run(
        view,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        # Whoever goes on with the findings asks the run where the suggestions are, whatever kind of labels these are.
        params=asdict(params) | {"suggestion_field": params.changes_field},
        fields=[
            params.quality_field,
            params.issue_field,
            params.changes_field,
            params.verdict_field,
            params.outlier_score_field,
            params.outlier_field,
        ],
        summary=report.summary(),
    )
    return report


def _notes(given: np.ndarray, label_field: str, params: LabelIssueParams) -> list[str]:
    notes = []
    if unknown := int(np.isnan(given).all(axis=1).sum()):
        notes.append(f"{unknown} of {len(given)} samples are not annotated in '{label_field}'")
    if params.measure_cleaning:
        notes.append("what cleaning would be worth is measured for one label an image only")
    return notes


def _worst(by_class: dict[str, dict[str, int]]) -> str:
    """Return the classes with the most flagged labels, as in "cat (3 missing, 1 extra), dog (2 extra)"."""
    worst = sorted(by_class.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:_CLASSES_TOLD]
    told = ((name, ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)) for name, counts in worst)
    return ", ".join(f"{name} ({counts})" for name, counts in told)
