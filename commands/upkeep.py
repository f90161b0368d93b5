"""`winnow doctor` and `install`: Winnow's own installation."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options as opt
from ..terminal import print_json, shown_errors


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Run the pip commands that mend what is missing.")] = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Name everything that is missing or too old, with the command that mends it; exit status 1 if anything is."""
    with shown_errors(as_json=json, debug=debug):
        from ..plugin.workflows.doctor import examine, examine_and_mend

        report = examine_and_mend() if fix else examine()
        if json:
            print_json(report.summary())
        else:
            typer.echo(report.text())
    if report.problems:
        raise typer.Exit(1)


def install(
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take the plugin out again.")] = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Put the plugin into FiftyOne's plugins folder, so that the App offers Winnow's operators."""
    with shown_errors(as_json=json, debug=debug):
        from ..plugin.workflows.install import install
        from ..plugin.workflows.install import uninstall as remove

        outcome = remove() if uninstall else install()
        if json:
            print_json({"outcome": outcome})
        else:
            typer.echo(outcome)
