"""`winnow actions` and `undo`: what was changed at the user's wish, and how it is taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import open_collection


def actions(target: opt.Target, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """List what was tagged, moved, relabelled and deleted at your wish, the newest first."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.actions import list_actions

        return list_actions(open_collection(target, None, None))

    run_job(job, as_json=json, debug=debug)


def undo(
    target: opt.Target,
    action: Annotated[
        str | None, typer.Argument(help="As `winnow actions` names it.", show_default="the newest")
    ] = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Take an action back: tags, splits, labels, deleted samples and their files."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.actions import undo_action

        return undo_action(open_collection(target, None, None), action)

    run_job(job, as_json=json, debug=debug)
