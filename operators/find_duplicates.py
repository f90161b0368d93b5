"""Winnow: find near-duplicates."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.workflows.findings import DUPLICATES_RUN
from ..plugin.workflows.keepers import DEFAULT_KEEP, POLICIES
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class FindDuplicates(WorkflowOperator):
    operator_name = "find_duplicates"
    title = "find near-duplicates"
    summary = "Group images that are copies of each other: re-encoded, cropped, shifted or resized"
    icon = "filter_none"
    next_step = ("find_leaks", "find leaks between splits")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.duplicates import DuplicateParams, find_duplicates

        return DuplicateParams, find_duplicates

    def fill(self, form: Form) -> None:
        form.threshold(DUPLICATES_RUN)
        form.choices(
            "keep", list(POLICIES), "Which image of a group to keep", f"By turns; empty: {', '.join(DEFAULT_KEEP)}."
        )
        if form.wants_more():
            form.texts("keep_paths", "Folders to keep first", "Their images are kept before all others, in this order.")
            form.field_name("group_field", "Field for the group's number")
            form.field_name("score_field", "Field for the score")
            form.field_name("role_field", "Field for keeper or copy")
            form.field_name("conflict_field", "Field for different labels within a group")
            form.neighbors()
            form.embedding()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        grouped = images.match(ViewField(params.group_field) != None)  # noqa: E711
        return "Show the groups", grouped.sort_by(params.group_field)
