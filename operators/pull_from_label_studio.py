"""Winnow: bring labels back."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.labeling_batches import STATE_FIELD, LabelingState, list_batches
from ..plugin.progress import Progress
from ..plugin.workflows.pull_params import PullParams
from .forms import Form
from .label_studio_operator import LabelStudioOperator
from .workflow_operator import Workflow

_CONFLICTS = {
    "show": "they stay, and are shown",
    "keep": "they stay: the dataset is right",
    "theirs": "they are replaced: annotators are right",
}
_GONE = {"keep": "labels stay", "remove": "labels go back to what they were, and the images can be sent again"}
_TIES = {"open": "the image waits for one more person", "latest": "the latest answer holds"}
_NAMES = {
    "number": "by their number in Label Studio",
    "name": "by name or e-mail address",
    "pseudonym": "by pseudonyms",
}


class PullFromLabelStudio(LabelStudioOperator):
    operator_name = "pull_from_label_studio"
    title = "bring labels back from Label Studio"
    summary = "Bring labels back from Label Studio, its export or a table, each to its own sample"
    icon = "move_to_inbox"

    def workflow(self) -> tuple[type, Workflow]:
        return PullParams, _pull

    def call(self, ctx: Any, workflow: Workflow, view: SampleCollection, params: Any, progress: Progress) -> Any:
        if params.file is not None:
            return workflow(view, params, None, progress)
        return super().call(ctx, workflow, view, params, progress)

    def fill(self, form: Form) -> None:
        form.text("file", "File", "An export (JSON, JSON-MIN, CSV) or a table of labels; empty: Label Studio itself.")
        if not form.ctx.params.get("file"):
            if not self.label_studio(form):
                return
            batches = [entry.name for entry in list_batches(form.dataset) if entry.url]
            if not batches and not form.ctx.params.get("project"):
                form.warning("no_batch", "Nothing was sent from this dataset", "Send a batch, or name a project below.")
            form.number("project", "Project", "Number of a project; 0: those that batches were sent to.", low=0)
            if batches:
                form.choice("batch", ["", *batches], "Batch", default="", labels={"": "all"})
        form.choice("conflicts", list(_CONFLICTS), "Labels that were changed here meanwhile", labels=_CONFLICTS)
        form.text("adjudicate", "Disagreements", "Name of a saved view for images on which annotators disagree.")
        if form.wants_more():
            form.texts("fields", "Fields by control", "CONTROL=FIELD for each; empty: as the batch says.")
            form.choice("gone", list(_GONE), "Where the annotation was deleted", labels=_GONE)
            form.choice("ties", list(_TIES), "Where annotators are split", labels=_TIES)
            form.switch("partial", "Take what is there", "Of images that wait for further annotators.")
            form.choice("annotators", list(_NAMES), "Annotators are called", labels=_NAMES)
            form.text("labeling_config", "Labeling config", "Its file, beside an export.")
            form.text("label_delimiter", "Label delimiter", "What separates several labels in a table.")

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection] | None:
        if not images.has_field(STATE_FIELD):
            return None
        state = ViewField(STATE_FIELD)
        open_ones = images.match(state.is_in([str(LabelingState.CONFLICT), str(LabelingState.DISAGREEMENT)]))
        if open_ones.count():
            return "Show conflicts and disagreements", open_ones
        return "Show what is back", images.match(state == str(LabelingState.BACK))


def _pull(*arguments: Any) -> Any:
    # Label Studio's SDK takes seconds to import, which a form need not wait for.
    from ..plugin.workflows.pull import pull_from_label_studio

    return pull_from_label_studio(*arguments)
