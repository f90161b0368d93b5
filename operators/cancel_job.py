"""Winnow: show and cancel jobs."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.datasets import jobs
from ..plugin.errors import WinnowError
from .forms import mark_invalid
from .stream import in_app

_SHOWN = 10


class CancelJob(foo.Operator):
    """Lists the dataset's last jobs, and cancels one that is queued or running."""

    title = "show and cancel jobs"

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="cancel_job",
            label=f"Winnow: {self.title}",
            description="See what is queued and what runs, and stop it",
            icon="cancel_schedule_send",
            dynamic=True,
            view_target=False,
            risk_level=types.RiskLevel.MEDIUM,
        )

    def resolve_placement(self, ctx: Any) -> types.Placement:
        button = types.Button(label=f"Winnow: {self.title}", icon="cancel_schedule_send", prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

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
        prompt = types.PromptView(label=f"Winnow: {self.title}", submit_button_label="Cancel the job")
        return types.Property(inputs, view=prompt)

    def execute(self, ctx: Any) -> dict[str, Any]:
        try:
            return {"text": jobs.cancel_job(ctx.dataset, ctx.params["job"])}
        except WinnowError as error:
            if not in_app(ctx):
                raise
            return {"error": str(error)}

    def resolve_output(self, ctx: Any) -> types.Property:
        outputs = types.Object()
        result = ctx.results or {}
        if "error" in result:
            outputs.view("error", types.Error(label=result["error"]))
        else:
            outputs.view("text", types.Notice(label=result.get("text", "")))
        return types.Property(outputs, view=types.View(label=f"Winnow: {self.title}"))


def _as_table(listed: list[jobs.Job]) -> str:
    """Return the jobs as a markdown table, times in UTC."""
    rows = ["| job | state | since | |", "|---|---|---|---|"]
    for job in listed:
        rows.append(f"| {job.operator} | {job.state} | {job.since:%d %b %H:%M} UTC | {job.note.replace('|', '/')} |")
    return "\n".join(rows)
