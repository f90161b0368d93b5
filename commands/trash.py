"""`winnow trash`: look at what was deleted, or be rid of it for good."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options as opt
from ..terminal import run_job

app = typer.Typer(no_args_is_help=True, help="Look at what was deleted at your wish, or be rid of it for good.")


@app.command()
def info(json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Show how much lies there, and since when."""
    from ..plugin.workflows.trash import describe_trash

    run_job(lambda progress: describe_trash(), as_json=json, debug=debug)


@app.command()
def empty(
    older_than: Annotated[
        float, typer.Option("--older-than", min=0, show_default=False, help="Days; 0 = everything there is.")
    ],
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Remove for good what was deleted longer ago than that; it can't be undone."""
    from ..plugin.workflows.trash import empty_trash

    run_job(lambda progress: empty_trash(older_than), as_json=json, debug=debug)
