"""`winnow app` and `serve`: the two that run until they are stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import options as opt
from ..terminal import say, shown_errors


def open_the_app(
    dataset: Annotated[str | None, typer.Argument(help="Dataset to open.", show_default=False)] = None,
    port: opt.Port = 5151,
    address: Annotated[str, typer.Option("--address", help="Address that the App listens on.")] = "127.0.0.1",
    remote: Annotated[bool, typer.Option("--remote", help="Serve only; open no browser.")] = False,
    debug: opt.Debug = False,
) -> None:
    """Open the FiftyOne App, with the worker that its scheduled jobs need beside it."""
    run_app_on(dataset, debug=debug, port=port, address=address, remote=remote)


def serve(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a trained classifier.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: opt.Port = 9090,
    debug: opt.Debug = False,
) -> None:
    """Serve a classifier to Label Studio as its ML backend, until Ctrl-C."""
    with shown_errors(debug=debug):
        from ..backend.serve import serve

        serve(directory, host=host, port=port)


def run_app_on(name: str | None, *, debug: bool, **options: Any) -> None:
    """Run the App on a dataset, by name, with the options of `workflows.app.run_app`, until it is closed."""
    with shown_errors(debug=debug):
        from ..plugin.datasets.database import ensure_database
        from ..plugin.workflows.app import run_app

        ensure_database()
        run_app(name, say=say, **options)
