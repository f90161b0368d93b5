"""What was chosen to be labelled next, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..curation.selection import Selection
from ..failures import Failure
from .wording import counted, failure_lines

_TOLD = 5


@dataclass(frozen=True, eq=False)
class SelectReport:
    """What `select_for_labeling` chose.

    Attributes:
        ids: Sample ids, the first one to be labelled first; scores and reasons beside them.
        asked: How many images were asked for.
        suspects: How many of those chosen have a label, which may be wrong.
        selection: How the others were chosen.
        labelled: Images whose labels were learned from.
        away: Images out for labelling, skipped or not settled.
        held_out: Images of evaluation sets.
        label_field: Field of the labels.
        predicted_by: What the probabilities are from; "" = none were used.
        expected: Likeliest class -> how many of the chosen images.
        failures: Images that could not be read.
        notes: More sentences for the user.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]
    asked: int
    suspects: int
    selection: Selection
    labelled: int
    away: int
    held_out: int
    label_field: str
    predicted_by: str
    expected: dict[str, int]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; `strategy`: what "auto" came to."""
        return {
            "chosen": len(self.ids),
            "asked": self.asked,
            "suspects": self.suspects,
            "strategy": self.selection.strategy,
            "candidates": self.selection.candidates,
            "without_prediction": self.selection.without_prediction,
            "labelled": self.labelled,
            "out": self.away,
            "held_out": self.held_out,
            "label_field": self.label_field,
            "predicted_by": self.predicted_by,
            "expected": self.expected,
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.selection
        lines = [
            f"**{counted(len(self.ids), 'image')} to label next**, of {counted(found.candidates, 'candidate')}; "
            f"strategy: {found.strategy}.",
            "",
        ]
        if len(self.ids) < self.asked:
            lines.append(f"- {self.asked:,} were asked for, but no more differ from each other and from what is known")
        if self.suspects:
            lines.append(f"- {self.suspects:,} of them have a label that may be wrong")
        lines.append(f"- not chosen: {self._not_chosen()}")
        if self.predicted_by:
            lines.append(f"- probabilities: of {self.predicted_by}")
        if found.without_prediction:
            lines.append(f"- {counted(found.without_prediction, 'image')} without a prediction were left out")
        if self.expected:
            likeliest = sorted(self.expected.items(), key=lambda item: (-item[1], item[0]))[:_TOLD]
            lines.append("- likeliest classes: " + ", ".join(f"{name} ({count:,})" for name, count in likeliest))
        lines += [f"- {note}" for note in self.notes]
        lines += ["", *(f"{rank}. {reason}" for rank, reason in enumerate(self.reasons[:_TOLD], start=1))]
        return "\n".join(
            [
                *lines,
                *failure_lines(self.failures),
                "",
                "Next: label them in the App, or send them to Label Studio (`winnow labelstudio send`).",
            ]
        )

    def _not_chosen(self) -> str:
        return (
            f"{self.labelled:,} labelled, {self.away:,} out for labelling or skipped, {self.held_out:,} of evaluation "
            "sets, and what looks like them or like another one of the batch"
        )
