"""Winnow: make clean splits."""

from __future__ import annotations

from ..plugin.datasets.multi_labels import multi_label_fields
from ..plugin.datasets.samples import label_fields
from ..plugin.workflows.group_sources import group_sources
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class SplitDataset(WorkflowOperator):
    operator_name = "split_dataset"
    title = "make clean splits"
    summary = "Split by the fractions you choose, so that no near-duplicates and no groups straddle two splits"
    icon = "call_split"
    next_step = ("train_classifier", "train a classifier")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.split import SplitParams, split_dataset

        return SplitParams, split_dataset

    def fill(self, form: Form) -> None:
        form.switch("repair", "Repair the existing splits", "Move the fewest images that make them clean.")
        repair = bool(form.ctx.params.get("repair"))
        if not repair:
            form.text("fractions", "Fractions", "Splits with their shares, which sum to 1.")
        labels = [*label_fields(form.view), *multi_label_fields(form.view)]
        if labels:
            form.choice("label_field", labels, "Label field", "Each class gets its share.", default=labels[0])
        splits = form.split_field(required=2 if repair else 0)
        form.choices("freeze", splits, "Freeze", "These splits keep their images.")
        form.choices("group_by", group_sources(form.view), "Keep together", "Images with the same value share a split.")
        if form.wants_more():
            form.text("output_field", "Field for the split", "Empty: split, or split_clean where that is yours.")
            form.threshold()
            form.embedding()
            form.seed()
