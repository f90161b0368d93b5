"""Winnow: compare predictions."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class ComparePredictions(WorkflowOperator):
    operator_name = "compare_predictions"
    title = "compare predictions"
    summary = "Tell which of two classifiers is better on the same samples, by how much, and where"
    icon = "compare_arrows"

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.compare import CompareParams, compare_predictions

        return CompareParams, compare_predictions

    def is_long(self, ctx: Any) -> bool:
        return False

    def fill(self, form: Form) -> None:
        chosen = form.outputs("prediction_field", "Predictions")
        form.outputs("other_field", "Compare with", other_than=chosen)
        form.label_field()
        form.split_field()
        if form.wants_more():
            form.field_name("output_field", "Field for who is right")
            form.seed()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        from ..plugin.workflows.compare import only

        fields = (params.prediction_field, params.other_field)
        told = ViewField(params.output_field).is_in([only(field) for field in fields])
        return "Show what one alone has right", images.match(told).sort_by(params.output_field)
