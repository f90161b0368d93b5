"""`winnow changes` and `export`: what leaves a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, names_in, open_collection

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
ExportFolder = Annotated[Path | None, typer.Option("--output", help="New folder for the images: SPLIT/CLASS/file.")]
ExportTable = Annotated[
    Path | None, typer.Option("--csv", callback=opt.in_a_folder, help="File for a table: path,label,split.")
]
LeaveOut = Annotated[
    str | None, typer.Option("--leave-out", help="Findings that stay behind: copies,leaks,label issues.")
]
Link = Annotated[bool, typer.Option("--link", help="Make hard links instead of copies.")]
SavedView = Annotated[str | None, typer.Option("--view", help="Only the images of this saved view.")]


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


def export(
    target: opt.Target,
    output: ExportFolder = None,
    csv: ExportTable = None,
    leave_out: LeaveOut = None,
    link: Link = False,
    view: SavedView = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    label_delimiter: Joint = None,
    group_slice: opt.GroupSlice = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write the dataset as it is now to folders or a table, without what you leave out."""
    if output is None and csv is None:
        raise typer.BadParameter("Name a folder with --output, a table with --csv, or both.")

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.export_dataset import ExportDatasetParams, export_dataset

        places = given_options(output=output and str(output), csv=csv and str(csv), leave_out=names_in(leave_out))
        fields = given_options(label_field=label_field, split_field=split_field, label_delimiter=label_delimiter)
        params = ExportDatasetParams(link=link, **places, **fields)
        return export_dataset(open_collection(target, label_delimiter, group_slice, view), params, progress)

    run_job(job, as_json=json, debug=debug)
