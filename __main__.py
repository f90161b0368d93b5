"""The command line: `winnow COMMAND`, each command a thin face of one workflow.

fiftyone and torch take seconds to import, so each command imports its workflow when it runs. Options that are left out
are not passed on: the defaults live in the params dataclasses of the workflows.
"""

from __future__ import annotations

import sys
from typing import Annotated

try:
    import typer
except ModuleNotFoundError:
    sys.exit(f"winnow: typer is not installed. Run: {sys.executable} -m pip install fiftyone-winnow")

from . import __version__
from .commands import (
    cache,
    classifiers,
    curation,
    drift,
    estimates,
    evaluation,
    health,
    history,
    labelstudio,
    leaving,
    loop,
    selection,
    service,
    training,
    trash,
    upkeep,
    whole_job,
)

app = typer.Typer(
    name="winnow",
    epilog="TARGET: a FiftyOne dataset's name, a folder laid out SPLIT/CLASS/file or CLASS/file, or a CSV/JSONL table.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def winnow(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Find what is wrong with an image classification dataset, and train a classifier on what is left."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


# In the order in which `winnow --help` lists them.
app.command()(whole_job.curate)
app.command()(estimates.estimate)
app.command()(curation.embed)
app.command()(curation.duplicates)
app.command()(curation.leaks)
app.command()(curation.split)
app.command()(curation.label_issues)
app.command()(training.train)
app.command()(training.predict)
app.command()(training.evaluate)
app.command()(training.onnx)
app.command()(evaluation.compare)
app.command()(evaluation.thresholds)
app.command()(drift.drift)
app.command()(selection.select)
app.command()(health.health)
app.command()(health.report)
app.command()(history.actions)
app.command()(history.undo)
app.command()(leaving.changes)
app.command()(leaving.export)
app.command()(loop.loop)
app.command()(whole_job.demo)
app.command("app")(service.open_the_app)
app.command()(service.serve)
app.command()(upkeep.doctor)
app.command()(upkeep.install)
app.add_typer(classifiers.app, name="classifiers")
app.add_typer(labelstudio.app, name="labelstudio")
app.add_typer(cache.app, name="cache")
app.add_typer(trash.app, name="trash")


def main() -> None:
    """Run the command line."""
    app(prog_name="winnow")


if __name__ == "__main__":
    main()
