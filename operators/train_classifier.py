"""Winnow: train a classifier."""

from __future__ import annotations

from .forms import Form
from .recipe_form import add_recipe
from .workflow_operator import Workflow, WorkflowOperator


class TrainClassifier(WorkflowOperator):
    operator_name = "train_classifier"
    title = "train a classifier"
    summary = "Train on the training split without the flagged labels, and measure on the test split"
    icon = "model_training"
    next_step = ("apply_classifier", "apply the classifier")
    takes_patches = True

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.train import TrainParams, train_classifier

        return TrainParams, train_classifier

    def fill(self, form: Form) -> None:
        if not form.patches("What is learnt"):
            form.label_field()
        form.split_field()
        form.preset()
        form.text("name", "Name", "Name of the classifier; empty: the dataset's.")
        form.choice(
            "label_issues",
            ["exclude", "down-weight", "keep"],
            "Flagged labels",
            labels={
                "exclude": "left out, up to a bounded share of each class",
                "down-weight": "count by the probability that they are right",
                "keep": "count like others",
            },
        )
        if form.wants_more():
            form.switch("train_on_leaks", "Train on leaks", "Also on images that the evaluation split repeats.")
            add_recipe(form)
            form.text("recipe_file", "Recipe file", "YAML with settings of a recipe, instead of the preset.")
            form.text("output", "Folder", "Where the classifier is written; empty: in Winnow's home.")
            form.seed()
