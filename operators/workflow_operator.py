"""What Winnow's job operators share: a form, a call into a workflow, a report. No logic of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from ..plugin.cluster.address import check_allowed
from ..plugin.datasets import jobs
from ..plugin.datasets.views import every_image, one_slice
from ..plugin.errors import WinnowError
from ..plugin.progress import Progress, silent
from .forms import Form
from .params import check_names, params_from
from .stream import in_app, stream
from .winnow_operator import WinnowOperator

if TYPE_CHECKING:
    from ..plugin.workflows.estimates import Estimate

Workflow = Callable[..., Any]  # (collection, params, progress) -> report; see `WorkflowOperator.call`


class WorkflowOperator(WinnowOperator):
    """Base of the operators that run one workflow on the target view.

    Attributes:
        next_step: Name and title of the operator that people go on with, or None.
        takes_patches: Whether the job can work on a view of patches.
    """

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

    def call(self, ctx: Any, workflow: Workflow, view: SampleCollection, params: Any, progress: Progress) -> Any:
        """Run the workflow and return its report."""
        return workflow(view, params, progress)

    def settings(self, ctx: Any) -> Any:
        """Return the job's settings, as they were filled in."""
        return params_from(self.workflow()[0], ctx.params)

    def following(self, summary: dict[str, Any]) -> tuple[str, str] | None:
        """Return what people go on with after a report of this summary."""
        return self.next_step

    def estimate(self, ctx: Any, form: Form) -> Estimate | None:
        """Return how long the job will take with what is filled in, None where that is not known or not complete."""
        from ..plugin.workflows.estimates import estimate

        try:
            return estimate(self.operator_name, form.view, self.settings(ctx))
        except WinnowError:
            return None

    def is_long(self, ctx: Any) -> bool:
        """Tell whether people would rather not wait for the job."""
        return True

    @property
    def config(self) -> foo.OperatorConfig:
        return self.configured(execute_as_generator=True, allow_delegated_execution=True)

    def resolve_execution_options(self, ctx: Any) -> foo.ExecutionOptions:
        # Delegated is the default where a worker will take the job; elsewhere it would wait for ever.
        return foo.ExecutionOptions(
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            default_choice_to_delegated=jobs.can_schedule() and self.is_long(ctx),
        )

    def resolve_run_name(self, ctx: Any) -> str:
        return self.label

    def resolve_input(self, ctx: Any) -> types.Property:
        try:
            params_type, _ = self.workflow()
            if not in_app(ctx):
                check_names(params_type, ctx.params)
            form = Form(ctx, params_type)
            form.images(patches=self.takes_patches)
            self.fill(form)
            if (expected := self.estimate(ctx, form)) is not None:
                form.duration(expected.text())
            form.worker()
            return self.prompt(form.inputs)
        except WinnowError as error:
            return self.refusal(error)

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
                lambda show: self.guarded(lambda: self._run(ctx, job_id, show)),
                show_progress=partial(self._progress, job_id),
                show_result=self._output,
            )
        return self._run(ctx, jobs.new_job_id(), silent)

    def resolve_output(self, ctx: Any) -> types.Property:
        return self._output(ctx.results or {})

    def _run(self, ctx: Any, job_id: str, show: Progress) -> dict[str, Any]:
        _, workflow = self.workflow()
        check_allowed(ctx.params.get("cluster") or "", ctx.params.get("store") or "")
        params = self.settings(ctx)
        job = jobs.running_job(ctx.dataset, self.operator_name, job_id, delegated=ctx.delegated, show=show)
        with job as progress:
            view = one_slice(ctx.target_view(), ctx.params.get("group_slice"))
            report = self.call(ctx, workflow, view, params, progress)
        result = {"text": report.text(), "summary": report.summary()}
        finding = self.finding(every_image(ctx.dataset), params)
        if finding is not None and finding[1].count():
            label, view = finding
            result["show"] = {"label": label, "view": view._serialize(include_uuids=False)}
        return result

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
        outputs.view("title", types.Header(label=self.label, divider=True))
        outputs.float("progress", view=types.ProgressView(label=label))
        uri = f"{self.plugin_name}/cancel_job"
        outputs.btn("cancel", "Cancel this job", on_click=uri, params={"job": job_id}, icon="cancel")
        return types.Property(outputs)

    def _output(self, result: dict[str, Any]) -> types.Property:
        outputs = types.Object()
        outputs.view("title", types.Header(label=self.label, divider=True))
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
