"""Winnow: export a classifier."""

from __future__ import annotations

from typing import Any

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class ExportClassifier(WorkflowOperator):
    operator_name = "export_classifier"
    title = "export a classifier"
    summary = "Write a trained classifier as an ONNX file, checked on images of this view"
    icon = "ios_share"

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.export import ExportParams, export_classifier

        return ExportParams, export_classifier

    def is_long(self, ctx: Any) -> bool:
        return False  # some ten seconds

    def fill(self, form: Form) -> None:
        form.classifier()
        form.text("output", "File", "NAME.onnx; empty: model.onnx in the classifier's folder.")
