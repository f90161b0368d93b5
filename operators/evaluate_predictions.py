"""Winnow: evaluate predictions."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.evaluations import evaluation_key
from ..plugin.datasets.slice_values import slice_fields
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class EvaluatePredictions(WorkflowOperator):
    operator_name = "evaluate_predictions"
    title = "evaluate predictions"
    summary = "Measure predictions on the test split, by class and by slice, also for the Model Evaluation panel"
    icon = "assessment"
    next_step = ("compare_predictions", "compare with another classifier")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.evaluate import EvaluateParams, evaluate_predictions

        return EvaluateParams, evaluate_predictions

    def is_long(self, ctx: Any) -> bool:
        return False

    def fill(self, form: Form) -> None:
        form.outputs("prediction_field", "Predictions")
        form.label_field()
        form.split_field()
        form.choices("slices", slice_fields(form.view), "Also by", "Accuracy by the values of these, the worst first.")
        if form.wants_more():
            form.seed()
            form.cluster()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection] | None:
        key = evaluation_key(params.prediction_field)
        if not images.has_field(key):
            return None
        return "Show the wrong predictions", images.match(ViewField(key) == False)  # noqa: E712
