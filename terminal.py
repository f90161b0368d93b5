"""How a command shows its progress, its outcome and its failure in a terminal."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from .plugin.errors import JobCancelled, WinnowError
from .plugin.home import winnow_home
from .plugin.progress import Progress


class Report(Protocol):
    """What every job returns."""

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""


R = TypeVar("R", bound=Report)


def run_job(job: Callable[[Progress], R], *, as_json: bool, debug: bool) -> R:
    """Run a job with a progress bar for each step, and show its report.

    stdout gets the report's text alone, or with `as_json` one line with its summary (or `{"error": ...}`); everything
    else goes to stderr.

    Raises:
        typer.Exit: The job failed or was interrupted; the message stands on stderr.
    """
    with shown_errors(as_json=as_json, debug=debug):
        # What libraries print goes to stderr too.
        with contextlib.redirect_stdout(sys.stderr), progress_bars() as progress:
            report = job(progress)
        _show(report.text(), to_stderr=as_json)
        if as_json:
            print_json(report.summary())
        return report


@contextlib.contextmanager
def shown_errors(*, as_json: bool = False, debug: bool = False) -> Iterator[None]:
    """End the command with exit status 1 and a message instead of a traceback when the block fails."""
    try:
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        message = _message(error)
        say(f"winnow: {message}")
        if as_json:
            print_json({"error": message})
        raise typer.Exit(1) from error


def say(text: str) -> None:
    """Tell the user something beside the outcome, on stderr."""
    typer.echo(text, err=True)


def print_json(summary: dict[str, Any]) -> None:
    """Print one JSON object as one line on stdout."""
    typer.echo(json.dumps(summary, ensure_ascii=False, allow_nan=False))


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Yield a progress callback that draws one bar a step on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(step: str, done: int, total: int) -> None:
            # A total of 0 means that it is not known yet: the bar pulses until it is.
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total or None)
            bars.update(tasks[step], completed=done, total=total or None)

        yield progress


def _show(markdown: str, *, to_stderr: bool) -> None:
    console = Console(stderr=to_stderr)
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        # In a file or a pipe the lines stay as they are: no wrapping, and markdown reads well as it stands.
        typer.echo(markdown, err=to_stderr)


def _message(error: BaseException) -> str:
    """Return what to tell the user of an error; the traceback of an unexpected one is kept in a file."""
    if isinstance(error, KeyboardInterrupt):
        return str(JobCancelled())
    if isinstance(error, WinnowError):
        return str(error)
    try:
        where = f"The traceback is in {_keep_traceback(error)}; --debug shows it here."
    except OSError as reason:
        where = f"Its traceback could not be kept ({reason}); --debug shows it."
    if isinstance(error, ImportError) and not (error.name or "").startswith("winnow"):
        return f"a package is missing or broken ({error}). `winnow doctor` names the command that mends it. {where}"
    return f"unexpected {type(error).__name__}: {error}. {where} Please report it with that traceback."


def _keep_traceback(error: BaseException) -> Path:
    folder = winnow_home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"error-{datetime.now():%Y%m%d-%H%M%S-%f}.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path
