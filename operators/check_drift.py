"""Winnow: check for drift."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.samples import label_fields
from ..plugin.datasets.slice_values import slice_fields
from ..plugin.datasets.split_names import read_splits
from .forms import Form
from .params import params_from
from .workflow_operator import Workflow, WorkflowOperator

HELD_AGAINST = "held_against"
_STORED = "classifier"
_KINDS = {
    _STORED: "what is stored with a classifier",
    "reference_split": "a split of this dataset",
    "reference_view": "a saved view of this dataset",
    "reference_tag": "the samples with a tag",
    "reference": "another dataset, or a folder",
}


class CheckDrift(WorkflowOperator):
    operator_name = "check_drift"
    title = "check for drift"
    summary = "Tell whether images still look like those that a classifier was made for, and which ones do not"
    icon = "moving"
    next_step = ("select_for_labeling", "choose images to label")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.drift import check_drift_of
        from ..plugin.workflows.drift_settings import DriftParams

        return DriftParams, check_drift_of

    def settings(self, ctx: Any) -> Any:
        """Return the job's settings, without references of a kind that was chosen before another one."""
        kind = ctx.params.get(HELD_AGAINST)
        others = {name for name in _KINDS if kind and name not in (_STORED, kind)}
        return params_from(self.workflow()[0], {key: value for key, value in ctx.params.items() if key not in others})

    def fill(self, form: Form) -> None:
        splits = self._splits(form)
        offered = {
            _STORED: [],
            "reference_split": splits,
            "reference_view": form.dataset.list_saved_views(),
            "reference_tag": form.dataset.distinct("tags"),
            "reference": [],
        }
        kinds = [kind for kind in _KINDS if offered[kind] or kind in (_STORED, "reference")]
        given = next((kind for kind in kinds if kind != _STORED and form.ctx.params.get(kind)), _STORED)
        form.choice(HELD_AGAINST, kinds, "Hold the images against", default=given, labels=_KINDS)
        kind = form.ctx.params.get(HELD_AGAINST) or given
        if kind == "reference":
            form.text(kind, "Dataset or folder", "Name of a dataset, or path of a folder or table of images.")
        elif kind != _STORED:
            form.choice(kind, offered[kind], "Reference", "Images as they should be.")
        form.classifier(needed=kind == _STORED)
        if splits:
            form.choice("current_split", ["", *splits], "Check only", default="", labels={"": "all images of the view"})
        form.choices("slice_by", slice_fields(form.view), "Tell by", "Fields by whose values to tell what drifts most.")
        if form.wants_more():
            if fields := label_fields(form.view):
                form.choice("label_field", fields, "Label field", default=fields[0])
            form.outputs_or_none("predictions_field", "Predictions with logits, where no classifier is named")
            form.number("alpha", "False alarms", "Share of checks that find a drift where there is none.", low=0.0025)
            form.field_name("score_field", "Field for the drift score")
            form.field_name("novel_field", "Field for what is new")
            form.embedding()
            form.seed()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        checked = images.match(ViewField(params.score_field) != None)  # noqa: E711
        return "Show what drifts most", checked.sort_by(params.score_field, reverse=True)

    @staticmethod
    def _splits(form: Form) -> list[str]:
        found = read_splits(form.dataset if form.dataset.media_type != "group" else form.view, None)[0]
        return sorted(set(found) - {""})
