"""`winnow health`: how a dataset stands; `winnow report`: how a classifier does at work, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection

_PAGE = "health.html"


def health(
    target: opt.Target,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    prediction_field: opt.PredictionField = None,
    saved_view: opt.HealthView = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Tell how a dataset stands, what needs attention first; counts what is known and looks for nothing anew."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.dataset_health import DatasetHealthParams, dataset_health

        given = given_options(label_field=label_field, split_field=split_field, prediction_field=prediction_field)
        view = open_collection(target, label_delimiter, group_slice, saved_view)
        return dataset_health(view, DatasetHealthParams(**given), progress)

    run_job(job, as_json=json, debug=debug)


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
