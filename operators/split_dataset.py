"""Winnow: make clean splits."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.group_columns import group_fields
from ..plugin.datasets.multi_labels import multi_label_fields
from ..plugin.datasets.samples import label_fields, read_splits, split_sources
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

    def fill(self, form: Form) -> None: ...
