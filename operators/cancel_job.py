"""Winnow: show and cancel jobs."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.datasets import jobs
from .forms import mark_invalid
from .stream import in_app
from .winnow_operator import WinnowOperator

_SHOWN = 10


class CancelJob(WinnowOperator):
    """Lists the dataset's last jobs, and cancels one that is queued or running."""

    operator_name = "cancel_job"
    title = "show and cancel jobs"
    summary = "See what is queued and what runs, and stop it"
    icon = "cancel_schedule_send"

    @property
    def config(self) -> foo.OperatorConfig:
        return self.configured(view_target=False)

    def resolve_input(self, ctx: Any) -> types.Property:
        inputs = types.Object()
        known = jobs.list_jobs(ctx.dataset)
        active = [job for job in known if job.is_active]
        inputs.md(_as_table(known[:_SHOWN]) if known else "No job was scheduled, and none is running.", name="jobs")
        if active:
            choices = types.DropdownView(label="Job to cancel", description="What it has finished stays.")
            for job in active:
                choices.add_choice(job.id, label=f"{job.operator} ({job.state})")
            inputs.enum("job", choices.values(), required=True, default=active[0].id, view=choices)
        elif not ctx.params.get("job"):
            nothing = inputs.view("nothing", types.Notice(label="Nothing is queued or running."))
            mark_invalid(nothing, "No Winnow job is queued or running.")
        if any(job.state == "queued" for job in active) and not jobs.worker_alive():
            inputs.view("worker", types.Warning(label="No delegated worker is running; queued jobs wait for one."))
        return self.prompt(inputs, "Cancel the job")

    def execute(self, ctx: Any) -> dict[str, Any]:
        return self.guarded(lambda: self._cancel(ctx)) if in_app(ctx) else self._cancel(ctx)

    def _cancel(self, ctx: Any) -> dict[str, Any]:
        return {"text": jobs.cancel_job(ctx.dataset, ctx.params["job"])}

    def resolve_output(self, ctx: Any) -> types.Property:
        outputs = types.Object()
        result = ctx.results or {}
        if "error" in result:
            outputs.view("error", types.Error(label=result["error"]))
        else:
            outputs.view("text", types.Notice(label=result.get("text", "")))
        return types.Property(outputs, view=types.View(label=self.label))


def _as_table(listed: list[jobs.Job]) -> str:
    """Return the jobs as a markdown table, times in UTC."""
    rows = ["| job | state | since | |", "|---|---|---|---|"]
    for job in listed:
        rows.append(f"| {job.operator} | {job.state} | {job.since:%d %b %H:%M} UTC | {job.note.replace('|', '/')} |")
    return "\n".join(rows)
