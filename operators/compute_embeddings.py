"""Winnow: compute embeddings."""

from __future__ import annotations

from typing import Any

from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator


class ComputeEmbeddings(WorkflowOperator):
    operator_name = "compute_embeddings"
    title = "compute embeddings"
    summary = "Turn each image into a vector; kept by content, so the other jobs start at once"
    icon = "scatter_plot"
    next_step = ("find_duplicates", "find near-duplicates")
    takes_patches = True

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.embed import EmbedParams, compute_embeddings

        return EmbedParams, compute_embeddings

    def following(self, summary: dict[str, Any]) -> tuple[str, str] | None:
        return None if summary.get("unit") == "patch" else self.next_step  # the other jobs look at whole images

    def is_long(self, ctx: Any) -> bool:
        found = None if ctx.dataset is None else self.estimate(ctx, Form(ctx, self.workflow()[0]))
        return found is not None and found.is_long

    def fill(self, form: Form) -> None:
        form.patches("What gets a vector")
        form.embedding()
        form.text("vector_field", "Field for the vectors", "Empty: they stay in Winnow's cache only.")
        form.projection()
        form.switch("similarity", "Sort by similarity", "Register the vectors, so that the App can sort by them.")
        form.index()
