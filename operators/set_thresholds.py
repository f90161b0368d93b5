"""Winnow: set thresholds."""

from __future__ import annotations

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class SetThresholds(WorkflowOperator):
    operator_name = "set_thresholds"
    title = "set thresholds"
    summary = "Let a classifier decide only where it reaches a wanted precision or recall"
    icon = "tune"
    next_step = ("apply_classifier", "apply the classifier again")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.thresholds import ThresholdParams, set_thresholds

        return ThresholdParams, set_thresholds

    def fill(self, form: Form) -> None:
        form.classifier()
        form.number("precision", "Precision", "Share of the decisions for a class that are right; or:", low=0, high=1)
        form.number("recall", "Recall", "Share of a class's images that are decided for it.", low=0, high=1)
        form.label_field()
        form.split_field()
        if form.wants_more():
            form.number("batch_size", "Batch size", "Images at a time; the result does not depend on it.", low=1)
