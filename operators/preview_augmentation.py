"""Winnow: preview augmentation."""

from __future__ import annotations

from typing import Any

from fiftyone.operators import types

from .forms import Form
from .recipe_form import add_recipe
from .workflow_operator import Workflow, WorkflowOperator


class PreviewAugmentation(WorkflowOperator):
    operator_name = "preview_augmentation"
    title = "preview augmentation"
    summary = "Show how training would vary the selected images, or the first ones of the view"
    icon = "auto_awesome_motion"
    next_step = ("train_classifier", "train a classifier")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.augmentation_preview import PreviewParams, preview_augmentation

        return PreviewParams, preview_augmentation

    def is_long(self, ctx: Any) -> bool:
        return False

    def fill(self, form: Form) -> None:
        form.preset()
        add_recipe(form, groups=("augmentation",))
        form.number("views", "Views", "Random views of each image.", low=1, high=20)
        form.seed()

    def _output(self, result: dict[str, Any]) -> types.Property:
        shown = super()._output(result)
        if "summary" in result:
            shown.type.str("sheet", view=types.ImageView(width="100%", alt="each image, then random views of it"))
            result["sheet"] = result["summary"]["image"]
        return shown
