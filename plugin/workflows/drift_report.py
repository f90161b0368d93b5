"""What a drift check found, in words and as plain JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curation.drift import Drift
from ..failures import Failure
from .drift_images import Described, Judge
from .drift_settings import DriftParams
from .drift_slices import PREDICTED, SliceDrift
from .wording import counted, failure_lines, listed, rounded

_CLASSES_TOLD, _SLICES_TOLD, _EXEMPLARS_TOLD = 10, 5, 20
_FEW = 200  # images of a side; with fewer, only large changes can be told from chance
_CLEAR = 0.1  # a mean drift score above 0.5 by this is worth a word


@dataclass(frozen=True, eq=False)
class DriftReport:
    """What `check_drift_of` found.

    Attributes:
        drift: The outcome, row for row of `current.samples`.
        current: What was checked.
        reference_images: Number of images that it was held against.
        names: Of what was checked, and of what it was held against.
        judge: The classifier whose view of the images counted; None = the backbone's.
        trained_on: It was held against what is stored with the classifier, whose novelty is counted from what that was
            trained on.
        slices: Which parts drift.
        params: The settings.
        failures: The samples of both sides that could not be read.
        notes: Sentences for the user.
    """

    drift: Drift
    current: Described
    reference_images: int
    names: tuple[str, str]
    judge: Judge | None
    trained_on: bool
    slices: tuple[SliceDrift, ...]
    params: DriftParams
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON.

        `novel`: images unlike anything trained on; `classes`: by name, those first whose probabilities moved furthest;
        `label_shift`: the estimated share of each class; `exemplars`: ids and paths of images that show what is new.
        """
        drift, samples = self.drift, self.current.samples
        shift = drift.label_shift
        return {
            "is_drift": bool(drift.is_drift),
            "p_value": rounded(drift.p_value),
            "effect_size": rounded(drift.effect_size),
            "alpha": self.params.alpha,
            "images": len(samples),
            "reference_images": self.reference_images,
            "novel": int(drift.novel.sum()),
            "current": self.names[0],
            "reference": self.names[1],
            "classifier": None if self.judge is None else str(self.judge.folder),
            "version": None if self.judge is None else self.judge.classifier.version,
            "tests": [
                {
                    "name": each.name,
                    "p_value": rounded(each.p_value),
                    "effect_size": rounded(each.effect_size),
                    "images": each.images,
                }
                for each in drift.tests
            ],
            "classes": list(self._classes()),
            "label_shift": None
            if shift is None
            else {
                "p_value": rounded(shift.p_value),
                "total_variation": rounded(shift.total_variation),
                "shares": {
                    name: {
                        "reference": rounded(then),
                        "current": rounded(now),
                        "interval": [rounded(each) for each in of],
                    }
                    for name, then, now, of in zip(
                        self.current.classes, shift.reference_share, shift.current_share, shift.interval, strict=True
                    )
                },
            },
            "statistics": [
                {
                    "name": each.name,
                    "p_value": rounded(each.p_value),
                    "effect_size": rounded(each.effect),
                    "reference_median": rounded(each.reference_median),
                    "current_median": rounded(each.current_median),
                }
                for each in drift.statistics
            ],
            "slices": [
                {
                    "field": each.field,
                    "value": each.value,
                    "images": each.images,
                    "novel": each.novel,
                    "drift_score": each.score,
                }
                for each in self.slices
            ],
            "exemplars": [
                {"id": samples.ids[row], "path": samples.paths[row]} for row in drift.exemplars[:_EXEMPLARS_TOLD]
            ],
            "fields": [self.params.score_field, self.params.novel_field],
            "left_out": list(drift.left_out),
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person: what is unlike anything known, which classes moved, whether it is drift."""
        drift, count = self.drift, len(self.current.samples)
        novel = int(drift.novel.sum())
        known = "anything that the classifier was trained on" if self.trained_on else "anything in the reference"
        held = f"held against {counted(self.reference_images, 'image')}, {self.names[1]}"
        lines = [
            f"**{counted(novel, 'image')} of {count:,} ({novel / count:.1%})** of {self.names[0]}, unlike {known}."
        ]
        if drift.classes is not None:
            moved = [each for each in self._classes() if each["p_value"] <= self.params.alpha]
            names = listed([each["name"] for each in moved], _SLICES_TOLD)
            lines.append(f"**Classes that moved**: {names or 'none'}.")
        says = "**Drift**" if drift.is_drift else "**No drift** beyond chance"
        lines += [f"{says}: p = {drift.p_value:.3g}, effect size {drift.effect_size:.2f} of 1; {held}.", ""]
        lines += [*self._shift_lines(), *self._statistic_lines(), *self._slice_lines()]
        lines += [f"- {note[0].upper()}{note[1:]}." for note in self.notes]
        lines += self._class_table()
        return "\n".join([*lines, *failure_lines(self.failures), "", f"Next: {self._next()}"])

    def _classes(self) -> Iterator[dict[str, Any]]:
        moved = self.drift.classes
        if moved is None:
            return
        for row in np.lexsort((np.arange(len(moved.effect)), -moved.effect)):
            yield {
                "name": self.current.classes[row],
                "p_value": rounded(moved.p_value[row]),
                "effect_size": rounded(moved.effect[row]),
                "reference_mean": rounded(moved.reference_mean[row]),
                "current_mean": rounded(moved.current_mean[row]),
            }

    def _shift_lines(self) -> Iterator[str]:
        shift = self.drift.label_shift
        if shift is None or shift.p_value > self.params.alpha:
            return
        moved = np.argsort(-np.abs(shift.current_share - shift.reference_share), kind="stable")[:_SLICES_TOLD]
        shares = ", ".join(
            f"{self.current.classes[row]} {shift.reference_share[row]:.0%} → {shift.current_share[row]:.0%}"
            for row in moved
        )
        yield f"- The mix of classes changed, by estimate: {shares}."

    def _statistic_lines(self) -> Iterator[str]:
        moved = [
            f"{each.name} {each.reference_median:.3g} → {each.current_median:.3g}"
            for each in self.drift.statistics
            if each.p_value <= self.params.alpha
        ]
        if moved:
            yield f"- What changed in the images (medians): {', '.join(moved)}."

    def _slice_lines(self) -> Iterator[str]:
        for field in dict.fromkeys(each.field for each in self.slices):
            most = [each for each in self.slices if each.field == field and each.score >= 0.5 + _CLEAR][:_SLICES_TOLD]
            if most:
                told = ", ".join(
                    f"{each.value} ({each.score:.2f}, {counted(each.images, 'image')}, {each.novel} new)"
                    for each in most
                )
                yield f"- By {field if field == PREDICTED else f'`{field}`'}, these drift most: {told}."

    def _class_table(self) -> list[str]:
        rows = [
            f"| {each['name']} | {each['reference_mean']:.3f} | {each['current_mean']:.3f} | {each['effect_size']:.2f} "
            f"| {each['p_value']:.3g} |"
            for each in self._classes()
            if each["p_value"] <= self.params.alpha
        ]
        if not rows:
            return []
        head = ["", "| class | mean probability, reference | now | distance | p |", "|---|---|---|---|---|"]
        return [*head, *rows[:_CLASSES_TOLD]]

    def _next(self) -> str:
        drift, fields = self.drift, f"`{self.params.score_field}` and `{self.params.novel_field}`"
        if not drift.is_drift:
            few = min(len(self.current.samples), self.reference_images) < _FEW
            return "check again with more images; so few show large changes only." if few else "nothing to do."
        if drift.novel.any():
            return (
                f"look at the images that are new ({fields} sort them). If they show a class that is not known, or "
                "known ones in a new look, label some and train again."
            )
        return (
            f"look at what drifts most (by {fields}), label some of the new images, and evaluate the classifier on "
            "them: drift alone does not say that it is wrong."
        )
