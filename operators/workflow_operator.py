"""What Winnow's job operators share: a form, a call into a workflow, a report. No logic of its own."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from ..plugin.datasets import jobs
from ..plugin.datasets.views import every_image, one_slice
from ..plugin.errors import JobCancelled, WinnowError
from ..plugin.progress import Progress, silent
from .forms import Form, mark_invalid
from .params import check_names, params_from
from .stream import in_app, stream

Workflow = Callable[[SampleCollection, Any, Progress], Any]

logger = logging.getLogger(__name__)


class WorkflowOperator(foo.Operator, ABC):
    """Base of the operators that run one workflow on the target view.

    Attributes:
        operator_name: Name within the plugin.
        title: What it does, as shown in buttons and lists.
        summary: One sentence for the operator browser.
        icon: Name of a Material icon.
        next_step: Name and title of the operator that people go on with, or None.
        takes_patches: Whether the job can work on a view of patches.
    """

    operator_name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    icon: ClassVar[str]
    next_step: ClassVar[tuple[str, str] | None] = None
    takes_patches: ClassVar[bool] = False

    @abstractmethod
    def workflow(self) -> tuple[type, Workflow]:
        """Return the job's params dataclass and the job; they are imported here, since some of them load torch."""

    @abstractmethod
    def fill(self, form: Form) -> None:
        """Add the job's own settings to the form."""

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection] | None:
        """Return a button text and the view of what the job found, or None where the job marks no samples.

        Args:
            images: All images of the dataset.
            params: The job's settings.
        """
        return None

    def following(self, summary: dict[str, Any]) -> tuple[str, str] | None:
        """Return what people go on with after a report of this summary."""
        return self.next_step

    def is_long(self, ctx: Any) -> bool:
        """Tell whether people would rather not wait for the job."""
        return True

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name=self.operator_name,
            label=f"Winnow: {self.title}",
            description=self.summary,
            icon=self.icon,
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.MEDIUM,
        )

    def resolve_execution_options(self, ctx: Any) -> foo.ExecutionOptions:
        # Delegated is the default where a worker will take the job; elsewhere it would wait for ever.
        return foo.ExecutionOptions(
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            default_choice_to_delegated=jobs.can_schedule() and self.is_long(ctx),
        )

    def resolve_placement(self, ctx: Any) -> types.Placement:
        button = types.Button(label=f"Winnow: {self.title}", icon=self.icon, prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_run_name(self, ctx: Any) -> str:
        return f"Winnow: {self.title}"

    def resolve_input(self, ctx: Any) -> types.Property:
        try:
            params_type, _ = self.workflow()
            if not in_app(ctx):
                check_names(params_type, ctx.params)
            form = Form(ctx, params_type)
            form.images(patches=self.takes_patches)
            self.fill(form)
            form.worker()
            return form.property(f"Winnow: {self.title}")
        except WinnowError as error:
            inputs = types.Object()
            mark_invalid(inputs.view("problem", types.Error(label=str(error))), str(error))
            return types.Property(inputs, view=types.PromptView(label=f"Winnow: {self.title}"))

    def execute(self, ctx: Any) -> Any:
        """Run the job where it was asked for.

        Returns:
            In the App, a generator of messages; for a worker or a call from Python, the result itself: `text`
            (markdown), `summary` (the report as plain JSON) and, where there is something to look at, `show`.

        Raises:
            WinnowError: In a call from Python only; the App shows the message, a delegated run keeps it.
        """
        if ctx.delegated:
            return self._run_delegated(ctx)
        if in_app(ctx):
            job_id = jobs.new_job_id()
            return stream(
                ctx,
                partial(self._run_guarded, ctx, job_id),
                show_progress=partial(self._progress, job_id),
                show_result=self._output,
            )
        return self._run(ctx, jobs.new_job_id(), silent)

    def resolve_output(self, ctx: Any) -> types.Property:
        return self._output(ctx.results or {})

    def _run(self, ctx: Any, job_id: str, show: Progress) -> dict[str, Any]:
        params_type, workflow = self.workflow()
        params: Any = params_from(params_type, ctx.params)
        job = jobs.running_job(ctx.dataset, self.operator_name, job_id, delegated=ctx.delegated, show=show)
        with job as progress:
            report = workflow(one_slice(ctx.target_view(), ctx.params.get("group_slice")), params, progress)
        result = {"text": report.text(), "summary": report.summary()}
        finding = self.finding(every_image(ctx.dataset), params)
        if finding is not None and finding[1].count():
            label, view = finding
            result["show"] = {"label": label, "view": view._serialize(include_uuids=False)}
        return result

    def _run_guarded(self, ctx: Any, job_id: str, show: Progress) -> dict[str, Any]:
        """Run the job, and turn what goes wrong into a result that the App can show."""
        try:
            return self._run(ctx, job_id, show)
        except JobCancelled as error:
            return {"error": str(error), "cancelled": True}
        except WinnowError as error:
            return {"error": str(error)}
        except Exception as error:
            logger.exception("%s failed", self.operator_name)
            return {"error": f"{type(error).__name__}: {error}. The log of the FiftyOne server has the details."}

    def _run_delegated(self, ctx: Any) -> dict[str, Any] | None:
        job_id = str(ctx.request_params["run_doc"])

        def show(step: str, done: int, total: int) -> None:
            ctx.set_progress(progress=done / total if total else 0.0, label=jobs.describe(step, done, total))

        try:
            return self._run(ctx, job_id, show)
        except WinnowError as error:
            jobs.end_delegated(job_id, str(error))
            return None

    def _progress(self, job_id: str, label: str) -> types.Property:
        outputs = types.Object()
        outputs.view("title", types.Header(label=f"Winnow: {self.title}", divider=True))
        outputs.float("progress", view=types.ProgressView(label=label))
        uri = f"{self.plugin_name}/cancel_job"
        outputs.btn("cancel", "Cancel this job", on_click=uri, params={"job": job_id}, icon="cancel")
        return types.Property(outputs)

    def _output(self, result: dict[str, Any]) -> types.Property:
        outputs = types.Object()
        outputs.view("title", types.Header(label=f"Winnow: {self.title}", divider=True))
        if "error" in result:
            shown_as = types.Warning if result.get("cancelled") else types.Error
            outputs.view("error", shown_as(label=result["error"]))
        elif "text" in result:
            outputs.md(result["text"], name="text")
            if show := result.get("show"):
                view = {"view": show["view"]}
                outputs.btn("show", show["label"], on_click="set_view", params=view, icon="visibility")
            if (following := self.following(result.get("summary", {}))) is not None:
                name, title = following
                uri = f"{self.plugin_name}/{name}"
                outputs.btn("next", f"Next: {title}", on_click=uri, prompt=True, icon="arrow_forward")
        return types.Property(outputs)
