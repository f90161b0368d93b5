"""`winnow labelstudio promote` and `cancel`: what a person decides about training from annotations."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..plugin.errors import DataError
from ..terminal import print_json, shown_errors

State = Annotated[
    Path, typer.Option("--state", show_default=False, help="State folder of 'winnow serve', as its /status names it.")
]


def promote(
    state: State,
    why: Annotated[str, typer.Option("--why", show_default=False, help="The reason; it is kept.")],
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", show_default=False, help="The version to serve.")
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to what was served before.")] = False,
    store: opt.Store = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Have a version served from now on, a new one or an earlier one; a running server follows at once."""
    with shown_errors(as_json=json, debug=debug):
        from ..backend import promotion
        from ..backend.store_address import store_address

        who = getpass.getuser()
        if (version is None) is not rollback:
            raise DataError("give either a version or --rollback.")
        address = store_address(os.environ, store)
        if version is None:
            made = promotion.roll_back(state, who, why, address)
        else:
            made = promotion.promote(state, version, who, why, address)
        if json:
            print_json({"version": made.version, "who": made.who, "why": made.why})
        else:
            typer.echo(f"Version {made.version} is promoted by {made.who}: {made.why}")


def cancel(state: State, store: opt.Store = None, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Cancel the training job that runs; what is served stays as it is."""
    with shown_errors(as_json=json, debug=debug):
        from ..backend.promotion import cancel_training
        from ..backend.store_address import store_address

        job = cancel_training(state, store_address(os.environ, store))
        if json:
            print_json({"job": job})
        else:
            typer.echo("No training job runs." if job is None else f"Training job {job} is being cancelled.")
