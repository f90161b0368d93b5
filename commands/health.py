"""`winnow report`: how a classifier does at work, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection

_PAGE = "health.html"


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="Folder of a classifier.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Dataset with its predictions, labels and drift checks.")
    ] = None,
    state: opt.StateFolder = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="How far back; default: all there is.")] = None,
    prediction_field: opt.PredictionField = None,
    label_field: opt.LabelField = None,
    output: opt.ReportFile = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Tell how a classifier does at work: overrides, recall by class, images unlike those trained on."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.model_health import HealthParams, model_health

        view = None if dataset is None else open_collection(dataset, None, None)
        given = given_options(state=state, days=days, prediction_field=prediction_field, label_field=label_field)
        params = HealthParams(directory, output=output or directory / _PAGE, **given)
        return model_health(view, params, progress)

    run_job(job, as_json=json, debug=debug)
