"""`winnow labelstudio pull`: labels back into the dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection


def pull(
    target: opt.Target,
    project: Annotated[
        int | None, typer.Option("--project", help="Number of the project; default: all that batches were sent to.")
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="Bring this batch back alone.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="An export (JSON, JSON-MIN, CSV) or a table of labels, in place of the server."),
    ] = None,
    labeling_config: Annotated[
        Path | None, typer.Option("--labeling-config", help="The project's labeling config (XML), beside an export.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="CONTROL=FIELD, or FIELD where there is one control; may be repeated."),
    ] = None,
    conflicts: Annotated[
        str | None,
        typer.Option("--conflicts", help="Of labels that were changed here too: 'show', 'keep' or 'theirs'."),
    ] = None,
    gone: Annotated[
        str | None,
        typer.Option("--gone", help="Of labels whose annotation was deleted: 'keep' or 'remove'."),
    ] = None,
    ties: Annotated[
        str | None, typer.Option("--ties", help="Without a majority: 'open', or the 'latest' answer holds.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take the answers of images that wait for further annotators.")
    ] = False,
    annotators: Annotated[
        str | None, typer.Option("--annotators", help="Called by 'number', 'name' or 'pseudonym'.")
    ] = None,
    adjudicate: Annotated[
        str | None, typer.Option("--adjudicate", help="Saved view for the images on which annotators disagree.")
    ] = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Bring labels back, each to its own sample, and never over a label that was changed meanwhile."""

    def job(progress: Progress) -> Report:
        from ..plugin.labeling.connecting import connected_client
        from ..plugin.workflows.pull import pull_from_label_studio
        from ..plugin.workflows.pull_params import PullParams

        given = given_options(project=project, batch=batch, file=file, labeling_config=labeling_config)
        given |= given_options(conflicts=conflicts, gone=gone, ties=ties, annotators=annotators, adjudicate=adjudicate)
        params = PullParams(**given, fields=tuple(field or ()), partial=partial, label_delimiter=label_delimiter)
        collection = open_collection(target, label_delimiter, group_slice)
        if file is not None:
            return pull_from_label_studio(collection, params, progress=progress)
        with connected_client(os.environ) as client:
            return pull_from_label_studio(collection, params, client, progress)

    run_job(job, as_json=json, debug=debug)
