"""`winnow changes`: what leaves a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection

ChangesTable = Annotated[
    Path | None,
    typer.Option("--csv", callback=opt.in_a_folder, help="Write a row for each changed image to this file."),
]
Digests = Annotated[
    bool, typer.Option("--sha256", help="Add the SHA-256 of each file, to find images whose path is another.")
]
Replay = Annotated[
    Path | None,
    typer.Option(
        "--replay", exists=True, dir_okay=False, help="Follow this table, which --csv wrote for another copy."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --replay: do it; without, only tell what would be done.")]
Joint = Annotated[
    str | None,
    typer.Option("--label-delimiter", help="What separates several labels of an image, here and in a table."),
]


def changes(
    target: opt.Target,
    csv: ChangesTable = None,
    sha256: Digests = False,
    replay: Replay = None,
    yes: Yes = False,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    label_delimiter: Joint = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List which images were changed, by whom and why, or do the same on another copy of the data."""
    if replay is not None and csv is not None:
        raise typer.BadParameter("--csv writes a table, --replay follows one. Give one of the two.")
    if yes and replay is None:
        raise typer.BadParameter("--yes confirms --replay, which is not given.")

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.change_replay import ReplayParams, replay_changes
        from ..plugin.workflows.changes import ChangesParams, list_changes

        given = given_options(label_field=label_field, label_delimiter=label_delimiter)
        collection = open_collection(target, label_delimiter, None)
        if replay is not None:
            params = ReplayParams(str(replay), confirmed=yes, split_field=split_field, **given)
            return replay_changes(collection, params, progress)
        table = None if csv is None else str(csv)
        return list_changes(collection, ChangesParams(csv=table, sha256=sha256, **given), progress)

    run_job(job, as_json=json, debug=debug)
