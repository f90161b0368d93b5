"""Winnow: apply a classifier."""

from __future__ import annotations

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class ApplyClassifier(WorkflowOperator):
    operator_name = "apply_classifier"
    title = "apply a classifier"
    summary = "Write a trained classifier's predictions into a field"
    icon = "auto_awesome"
    next_step = ("find_label_issues", "find label issues")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.predict import PredictParams, apply_classifier

        return PredictParams, apply_classifier

    def fill(self, form: Form) -> None:
        form.classifier()
        form.field_name("prediction_field", "Field for the predictions")
        if form.wants_more():
            form.number("batch_size", "Batch size", "Images at a time; the result does not depend on it.", low=1)
