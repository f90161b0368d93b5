"""Winnow: send to Label Studio."""

from __future__ import annotations

from typing import Any

from fiftyone import ViewField
from fiftyone.core.collections import SampleCollection

from ..plugin.datasets.labeling_batches import STATE_FIELD, LabelingState
from ..plugin.datasets.outgoing import unsure_samples
from ..plugin.workflows.wording import counted
from .forms import Form
from .label_studio_operator import DOCUMENT_ROOT, LabelStudioOperator
from .params import params_from
from .workflow_operator import Workflow

_IMAGES = {
    "auto": "as it fits: local files where Label Studio sees them, else uploaded",
    "local-files": "Label Studio serves them from its document root",
    "upload": "upload them",
    "url": "from the addresses in a field",
}


class SendToLabelStudio(LabelStudioOperator):
    operator_name = "send_to_label_studio"
    title = "send to Label Studio"
    summary = "Send the samples of the view to be labelled, those that were selected first"
    icon = "send"
    in_bar = True
    next_step = ("pull_from_label_studio", "bring the labels back")

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.send_params import SendParams

        return SendParams, _send

    def fill(self, form: Form) -> None:
        if not self.label_studio(form):
            return
        form.number("project", "Project", "Number of a project; empty: the last batch's, or a new one.", low=1)
        form.text("label_field", "Label field", "Labels come back to it; empty: the only one, or ground_truth.")
        form.texts("classes", "Classes", "What annotators choose from; empty: those in use.")
        form.outputs_or_none("prediction_field", "Predictions that annotators get to see")
        form.number("annotators", "Annotators", "How many are to label each image.", low=1)
        form.number("limit", "At most", "Only the best ones; empty: all of the view.", low=1)
        form.choice("images", list(_IMAGES), "Images", "How annotators get to see them.", labels=_IMAGES)
        if form.chosen("images") != "upload":
            form.text("document_root", "Document root", f"That Label Studio serves files from; empty: {DOCUMENT_ROOT}.")
        if unsure := unsure_samples(form.view, form.chosen("label_field")):
            left = f"{counted(len(unsure), 'image')} of these, which reviews left open."
            form.switch("unsure", "Only labels that somebody is unsure about", left)
        form.switch("dry_run", "Only tell what would be sent")
        if form.wants_more():
            self._more(form)

    def settings(self, ctx: Any) -> Any:
        root = ctx.params.get("document_root") or ctx.secret(DOCUMENT_ROOT) or None
        return params_from(self.workflow()[0], {**ctx.params, "document_root": root})

    def finding(self, images: SampleCollection, params: Any) -> tuple[str, SampleCollection] | None:
        if params.dry_run or not images.has_field(STATE_FIELD):
            return None
        return "Show what is out", images.match(ViewField(STATE_FIELD) == str(LabelingState.OUT))

    def _more(self, form: Form) -> None:
        form.switch("new_project", "Make a new project")
        form.text("title", "Title of a new project", "Empty: the dataset's name.")
        form.text("config", "Labeling config", "File for a new project; empty: made of the classes.")
        form.texts("fields", "Fields by control", "CONTROL=FIELD for each, in place of the label field.")
        form.switch("multiple", "Several classes may apply", "Where no label says so yet.")
        form.number("blind_share", "Blind share", "Of the tasks, without a prediction; 0 to 1.", low=0, high=1)
        form.text("group_field", "Group field", "What an image belongs to, such as a patient: blind as a whole.")
        form.texts("data_fields", "Data fields", "Fields whose values go into the tasks.")
        purposes = {"training": "training", "evaluation": "evaluation: all tasks are blind"}
        form.choice("purpose", list(purposes), "Purpose", labels=purposes)
        form.text("url_field", "Field of addresses", "http(s) or s3:// addresses of the images.")
        form.text("document_root_there", "Document root in a container", "As Label Studio itself sees it.")
        form.text("originals_root", "Folder of originals", "That originals of display copies are named from.")
        form.text("model_version", "Model version", "Of predictions that do not say it themselves.")
        form.text("batch", "Name of the batch", "Empty: the next number.")
        form.switch("everything", "Also what was not selected, and what is labelled", "Of a whole dataset.")
        form.switch("again", "Also what is out in another batch")
        form.switch("force_sampling", "Sequential order even where annotations exist")


def _send(*arguments: Any) -> Any:
    # Label Studio's SDK takes seconds to import, which a form need not wait for.
    from ..plugin.workflows.send import send_to_label_studio

    return send_to_label_studio(*arguments)
