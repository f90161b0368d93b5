"""What was found about labels, one a sample or a patch, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curation.label_issues import LabelIssues
from ..datasets.group_views import LABEL_ISSUES_VIEW, PATCH_ISSUES_VIEW
from ..datasets.samples import Samples
from ..failures import Failure
from .label_audit import LabelAudit
from .label_issue_text import headline, issue_numbers, other_cuts
from .wording import counted, failure_lines


@dataclass(frozen=True, eq=False)
class LabelIssueReport:
    """What `find_label_issues` found, row for row with `samples`.

    Attributes:
        samples: What was looked at.
        issues: The findings; suggestions are numbers of `samples.classes`.
        failures: Images or patches that could not be used; a patch goes by the id of its label.
        confirmed: Number of labels that a person confirmed.
        unsure: Number of labels that a person is unsure about; they keep their quality and are not flagged.
        audit: What was found beside the wrong labels.
        notes: More sentences for the user.
        unit: "image" or "patch": what has a label.
    """

    samples: Samples
    issues: LabelIssues
    failures: tuple[Failure, ...]
    confirmed: int = 0
    unsure: int = 0
    audit: LabelAudit | None = None
    notes: tuple[str, ...] = ()
    unit: str = "image"

    def summary(self) -> dict[str, Any]:
        """Return plain JSON. `by_class`: flagged labels of each class that has any; `cuts`: all three of them."""
        flagged = self.issues.is_issue
        counts = np.bincount(self.samples.labels[flagged], minlength=len(self.samples.classes))
        return {
            "images": len(self.samples),
            "unit": self.unit,
            "labelled": int((self.samples.labels >= 0).sum()),
            **issue_numbers(self.issues),
            "by_class": {name: int(count) for name, count in zip(self.samples.classes, counts, strict=True) if count},
            **(self.audit.summary() if self.audit else {}),
            "label_field": self.samples.label_field,
            "confirmed": self.confirmed,
            "unsure": self.unsure,
            "failures": len(self.failures),
            "notes": [*self.samples.notes, *self.notes],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        units, saved = ("patches", PATCH_ISSUES_VIEW) if self.unit == "patch" else ("images", LABEL_ISSUES_VIEW)
        labelled = f"{counted(found['labelled'], 'label')} in `{found['label_field']}`"
        if not found["flagged"]:
            lines, after = [f"**No label is probably wrong**, of {labelled}."], "Next: train a classifier."
        else:
            worst = sorted(found["by_class"].items(), key=lambda item: (-item[1], item[0]))[:5]
            lines = [
                *headline(
                    found,
                    f"**{found['flagged']:,} of {labelled} probably wrong.**",
                    f"**No label is certainly wrong**, of {labelled}; {found['flagged']:,} disagree with the {units} "
                    "around them.",
                ),
                "",
                "Most in: " + ", ".join(f"{name} ({count})" for name, count in worst) + ".",
                "",
                other_cuts(found),
            ]
            after = f"Next: review them, in the App's saved view `{saved}` with the worst first."
        lines += self.audit.lines(self.unit) if self.audit else []
        if self.confirmed or self.unsure:
            lines.append(f"- a person confirmed {self.confirmed:,} and is unsure about {self.unsure:,}: not flagged")
        lines += [f"- {note}" for note in found["notes"]]
        return "\n".join([*lines, *failure_lines(self.failures, self.unit, units), "", after])
