"""Winnow: find label issues."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.group_views import flagged_patches
from ..plugin.datasets.patches import patch_fields, shown_patches
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator

_SENSITIVITIES = {
    "conservative": "conservative: few false flags",
    "default": "default: in between",
    "thorough": "thorough: few wrong labels missed",
}


class FindLabelIssues(WorkflowOperator):
    operator_name = "find_label_issues"
    title = "find label issues"
    summary = "Find labels that disagree with the images around them, and suggest better ones"
    icon = "rule"
    next_step = ("train_classifier", "train a classifier")
    takes_patches = True

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.label_issues import LabelIssueParams, find_label_issues

        return LabelIssueParams, find_label_issues

    def settings(self, ctx: Any) -> Any:
        params = super().settings(ctx)
        return replace(params, patches_field=shown_patches(ctx.target_view()) or params.patches_field)

    def following(self, summary: dict[str, Any]) -> tuple[str, str] | None:
        if summary.get("unit") == "patch":
            return None  # a button would go on with the view that is shown, and not with the patches
        return ("review_label_issues", "review them") if summary.get("flagged") else self.next_step

    def fill(self, form: Form) -> None:
        of_patches = form.patches("Whose labels")
        if not of_patches:
            form.label_field()
        form.choice(
            "sensitivity",
            list(_SENSITIVITIES),
            "How much to flag",
            "The result tells for each of the three how many labels it flags, and how many of them are wrong.",
            labels=_SENSITIVITIES,
        )
        form.switch(
            "measure_cleaning",
            "Measure what cleaning would be worth",
            "The accuracy of a probe with and without the flagged labels, cross-validated; takes much longer.",
        )
        if not of_patches:
            form.switch(
                "fine_tune",
                "Fine-tune the backbone as further evidence",
                "Three networks, each asked about the images that it has not seen; much slower, on a CPU above all.",
            )
        if form.wants_more():
            if not of_patches:
                form.predictions("predictions_field")
                form.neighbors()
            form.field_name("quality_field", "Field for the label's quality")
            form.field_name("issue_field", "Field for the flag")
            form.field_name("suggestion_field", "Field for the suggested label")
            form.field_name("changes_field", "Field for suggested changes of several labels")
            form.field_name("verdict_field", "Field for why it is flagged")
            form.field_name("outlier_score_field", "Field for how odd the image is")
            form.field_name("outlier_field", "Field for the flag of odd images")
            form.embedding()
            form.seed()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        if params.patches_field in patch_fields(images):
            _, patches = flagged_patches(
                images, params.patches_field, flag=params.issue_field, score=params.quality_field
            )
            return "Show the flagged patches", patches
        flagged = images.match(ViewField(params.issue_field) == True)  # noqa: E712
        return "Show the flagged labels", flagged.sort_by(params.quality_field)
