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
    version: Annotated[
        str | None, typer.Option("--version", help="Serve this version, e.g. an earlier one.", show_default=False)
    ] = None,
    state: opt.StateFolder = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="Certificate (PEM), for HTTPS.", show_default=False)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key (PEM).", show_default=False)] = None,
    root_path: Annotated[
        str | None, typer.Option("--root-path", help="Sub-path behind a proxy, e.g. /winnow.", show_default=False)
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", help="text (default) or json.", show_default=False)
    ] = None,
    group_key: Annotated[
        str | None,
        typer.Option("--group-key", help="Key of the tasks' data, e.g. patient_id.", show_default=False),
    ] = None,
    store: opt.Store = None,
    debug: opt.Debug = False,
) -> None:
    """Serve a classifier to Label Studio as its ML backend, until Ctrl-C."""
    with shown_errors(debug=debug):
        from ..backend.serve import ServeOptions, serve

        options = (host, port, state, version, root_path, log_format, tls_cert, tls_key, group_key, store)
        serve(directory, ServeOptions(*options))


def run_app_on(name: str | None, *, debug: bool, **options: Any) -> None:
    """Run the App on a dataset, by name, with the options of `workflows.app.run_app`, until it is closed."""
    with shown_errors(debug=debug):
        from ..plugin.datasets.database import ensure_database
        from ..plugin.workflows.app import run_app

        ensure_database()
        run_app(name, say=say, **options)
