"""`winnow classifiers`: which classifiers a dataset has, and which one is in use."""

from __future__ import annotations

import typer

from .. import options as opt
from ..terminal import run_job
from .arguments import open_collection

app = typer.Typer(no_args_is_help=True, help="List a dataset's classifiers, and choose the one in use.")


@app.command("list")
def list_them(target: opt.Target, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Show the classifiers of a dataset, the newest first."""
    from ..plugin.workflows.classifiers import list_classifiers

    run_job(lambda progress: list_classifiers(open_collection(target, None, None)), as_json=json, debug=debug)


@app.command()
def promote(target: opt.Target, name: opt.ClassifierName, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Make a classifier the one in use: predictions take it where no other is named."""
    from ..plugin.workflows.classifiers import promote_classifier

    run_job(lambda progress: promote_classifier(open_collection(target, None, None), name), as_json=json, debug=debug)


@app.command()
def delete(target: opt.Target, name: opt.ClassifierName, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Move a classifier that is not in use to Winnow's trash."""
    from ..plugin.workflows.classifiers import delete_classifier

    run_job(lambda progress: delete_classifier(open_collection(target, None, None), name), as_json=json, debug=debug)
