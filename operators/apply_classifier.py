"""Winnow: apply a classifier."""

from __future__ import annotations

from typing import Any

from fiftyone.core.collections import SampleCollection

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class ApplyClassifier(WorkflowOperator):
    operator_name = "apply_classifier"
    title = "apply a classifier"
    summary = "Write a trained classifier's predictions into a field"
    icon = "auto_awesome"
    next_step = ("evaluate_predictions", "evaluate the predictions")
    takes_patches = True

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.predict import PredictParams, apply_classifier

        return PredictParams, apply_classifier

    def following(self, summary: dict[str, Any]) -> tuple[str, str] | None:
        return None if summary.get("unit") == "patch" else self.next_step

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection] | None:
        if not images.has_field(params.prediction_field):
            return None  # patches have theirs elsewhere
        predicted = images.exists(params.prediction_field)
        return "Show the least sure first", predicted.sort_by(f"{params.prediction_field}.margin")

    def fill(self, form: Form) -> None:
        form.classifier()
        form.patches("What gets a prediction")
        form.field_name("prediction_field", "Field for the predictions")
        if form.wants_more():
            form.switch("logits", "Logits", "Store what is thought of every class too: label issues can use it.")
            form.number("batch_size", "Batch size", "Images at a time; the result does not depend on it.", low=1)
            form.cluster()
