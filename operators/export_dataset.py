"""Winnow: export the dataset."""

from __future__ import annotations

from typing import Any

from ..plugin.workflows.choosing import choices
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator

_NOT_WORTH_A_WORKER = 20_000


class ExportDataset(WorkflowOperator):
    operator_name = "export_dataset"
    title = "export the dataset"
    summary = (
        "Write the images of this view to folders SPLIT/CLASS/file, or a table of them, without what you leave out"
    )
    icon = "drive_folder_upload"

    def workflow(self) -> tuple[type, Workflow]:
        from ..plugin.workflows.export_dataset import ExportDatasetParams, export_dataset

        return ExportDatasetParams, export_dataset

    def is_long(self, ctx: Any) -> bool:
        return ctx.view.count() > _NOT_WORTH_A_WORKER

    def fill(self, form: Form) -> None:
        from ..plugin.workflows.export_dataset import LEAVE_OUT

        form.text("output", "Folder", "A new folder, on the machine that runs FiftyOne. Empty: only a table.")
        form.text("csv", "Table", "NAME.csv with the columns path, label and split. Empty: only the folder.")
        found = choices(form.view)
        offered = [name for name, what in LEAVE_OUT.items() if what in found]
        form.choices("leave_out", offered, "Leave out", "What was found stays behind; the dataset itself stays whole.")
        form.switch("link", "Hard links instead of copies", "They take no space; who edits one file edits both.")
        form.optional_label_field()
