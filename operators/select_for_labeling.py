"""Winnow: select images to label next."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.model_outputs import output_fields
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator

_STRATEGIES = {
    "auto": "auto: typical images at first, then those that the classifier is unsure of",
    "typical": "typical: the middle of what has no label yet",
    "cover": "cover: where most has no label yet, and is uncertain",
    "badge": "BADGE: uncertain and different",
    "margin": "margin: torn between two classes",
    "least_confidence": "least confidence: the likeliest class is unlikely",
    "entropy": "entropy: torn between many classes",
    "k_center": "k-center: furthest from what is labelled",
    "random": "random",
}


class SelectForLabeling(WorkflowOperator):
    operator_name = "select_for_labeling"
    title = "select images to label next"
    summary = "Choose the images whose labels would teach a classifier most, and say why each was chosen"
    icon = "playlist_add_check"

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.select import SelectParams, select_for_labeling

        return SelectParams, select_for_labeling

    def fill(self, form: Form) -> None:
        form.number("count", "Images", "How many to choose.", low=1)
        form.choice("strategy", list(_STRATEGIES), "Strategy", labels=_STRATEGIES)
        form.optional_label_field()
        if fields := output_fields(form.view, form.chosen("label_field")):
            form.choice(
                "predictions_field",
                fields,
                "Predictions to go by",
                "Empty: those of a linear probe on the labelled images.",
            )
        if form.wants_more():
            form.texts("target_classes", "Classes to go for", "Rare or weak classes of which more are wanted.")
            form.number(
                "relabel",
                "Share to label again",
                "Share of the batch, 0 to 1, for labelled images whose label is probably wrong.",
                low=0,
                high=1,
            )
            form.text("split_field", "Splits from", "Images of a test or validation split are not chosen.")
            form.field_name("rank_field", "Field for the rank")
            form.field_name("score_field", "Field for the score")
            form.field_name("reason_field", "Field for the reason")
            form.embedding()
            form.seed()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        chosen = images.match(ViewField(params.rank_field) != None)  # noqa: E711
        return "Show the chosen images", chosen.sort_by(params.rank_field)
