"""Winnow: find leaks between splits."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.workflows.findings import LEAKS_RUN
from ..plugin.workflows.group_sources import group_sources
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class FindLeaks(WorkflowOperator):
    operator_name = "find_leaks"
    title = "find leaks between splits"
    summary = "Find test and validation images of which the training split holds a copy"
    icon = "water_drop"
    next_step = ("split_dataset", "make clean splits")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.leaks import LeakParams, find_leaks

        return LeakParams, find_leaks

    def fill(self, form: Form) -> None:
        form.split_field(required=2)
        form.choices(
            "group_by", group_sources(form.view), "Must not straddle", "Fields of what must not lie in two splits."
        )
        form.threshold(LEAKS_RUN)
        if form.wants_more():
            form.field_name("score_field", "Field for the score")
            form.field_name("kind_field", "Field for the kind of leak")
            form.field_name("group_field", "Field for the number of the leak")
            form.neighbors()
            form.embedding()

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection]:
        field = params.score_field
        return "Show the leaks", images.match(ViewField(field) != None).sort_by(field, reverse=True)  # noqa: E711
