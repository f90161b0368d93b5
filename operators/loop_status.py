"""Winnow: active-learning loop: where it stands, and one step on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from ..plugin.curation.selection import STRATEGIES
from ..plugin.datasets.loops import list_loops
from ..plugin.datasets.views import one_slice, single_images
from ..plugin.labeling.connecting import connected_client, missing_settings
from ..plugin.progress import Progress
from ..plugin.training.recipe import PRESETS
from ..plugin.workflows.loop_settings import METRICS, LoopSettings
from ..plugin.workflows.wording import counted
from .forms import Form
from .label_studio_operator import label_studio_secrets
from .workflow_operator import Workflow, WorkflowOperator

_ACTIONS = {
    "status": "tell where it stands",
    "start": "begin it",
    "next": "go one step on: take notice of labels, train, measure, pick the next batch",
    "stop": "stop it",
}


class LoopStatus(WorkflowOperator):
    """Begins a loop, takes it one step on, stops it, or tells where it stands."""

    operator_name = "loop_status"
    title = "active-learning loop"
    summary = "Pick what to label next, train on what came back, measure it, and tell when more labels no longer pay"
    icon = "autorenew"

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.loop import run_loop
        from ..plugin.workflows.loop_settings import LoopParams

        return LoopParams, run_loop

    def call(self, ctx: Any, workflow: Workflow, view: SampleCollection, params: Any, progress: Progress) -> Any:
        # A loop is about all images, whatever the grid shows at the moment.
        images = one_slice(ctx.dataset, ctx.params.get("group_slice"))
        secrets = label_studio_secrets(ctx)
        with ExitStack() as stack:
            client = None if missing_settings(secrets) else stack.enter_context(connected_client(secrets))
            return workflow(images, params, progress, client)

    @property
    def config(self) -> foo.OperatorConfig:
        return self.configured(execute_as_generator=True, allow_delegated_execution=True, view_target=False)

    def is_long(self, ctx: Any) -> bool:
        return ctx.params.get("action") == "start"

    def fill(self, form: Form) -> None:
        known = list_loops(form.dataset)
        form.note("image_count", counted(single_images(form.dataset).count(), "image"))
        name = form.chosen("name")
        form.text(
            "name", "Loop", f"Loops of this dataset: {', '.join(known)}." if known else "A name for the new loop."
        )
        begun = name in known
        offered = {key: text for key, text in _ACTIONS.items() if key == "status" or begun != (key == "start")}
        form.choice("action", list(offered), "What to do", labels=offered, default="status" if begun else "start")
        action = form.ctx.params.get("action") or ("status" if begun else "start")
        if action == "start":
            self._beginning(form)
        elif action == "next":
            form.text("labels", "CSV file with labels", "Columns path and label; empty: from the label field.")
            form.switch("go_on", "Go on although the learning curve says to stop")
        if action in ("start", "next") and form.wants_more():
            self._settings(form)

    def _beginning(self, form: Form) -> None:
        form.note("needs", "No labels are needed to begin. A random part is set aside to measure on, for good.")
        defaults = LoopSettings()
        form.text("label_field", "Label field", "Field for the labels; empty: the only one, or ground_truth.")
        form.texts("classes", "Classes", "Their names, where no label tells them yet.")
        form.number("evaluation_images", "Images to measure on", f"Empty: {defaults.evaluation_images}.", low=1)
        form.number("batch", "Images a round", f"Empty: {defaults.batch}.", low=1)
        form.switch("label_studio", "Label in Label Studio")
        form.switch("pre_annotate", "Pre-annotate", "What the last round's classifier says of a batch goes with it.")

    def _settings(self, form: Form) -> None:
        """Offer the other settings; what stays empty stays as it was."""
        form.choice("strategy", list(STRATEGIES), "How images are picked")
        form.choice("preset", list(PRESETS), "How a round's classifier is trained")
        form.choice("metric", list(METRICS), "What counts")
        form.number("share", "Share that must be back", "0 to 1; of a batch, before the loop goes on.", low=0, high=1)
        form.number("budget_minutes", "Budget", "Processor minutes that training a round may take.", low=0)
        form.number("patience", "Patience", "Rounds without a gain after which to stop.", low=1)
        form.number("least_gain", "Least gain", "Points that 100 more labels must be expected to bring.", low=0)
        form.number("annotators", "Annotators an image", "In Label Studio.", low=1)
        form.number("project", "Project", "Number of Label Studio's project; empty: a new one.", low=1)
