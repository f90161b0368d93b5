"""Winnow: train a classifier."""

from __future__ import annotations

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class TrainClassifier(WorkflowOperator):
    operator_name = "train_classifier"
    title = "train a classifier"
    summary = "Train on the training split without the flagged labels, and measure on the test split"
    icon = "model_training"
    next_step = ("apply_classifier", "apply the classifier")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.train import TrainParams, train_classifier

        return TrainParams, train_classifier

    def fill(self, form: Form) -> None:
        form.label_field()
        form.split_field()
        form.preset()
        form.text("name", "Name", "Name of the classifier; empty: the dataset's.")
        form.switch("exclude_label_issues", "Leave out flagged labels", "Up to a bounded share of each class.")
        if form.wants_more():
            form.text("output", "Folder", "Where the classifier is written; empty: in Winnow's home.")
            form.seed()
