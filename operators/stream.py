"""A job inside the App's server: its progress and its result, as messages that the App shows while it runs.

A workflow reports through a callback, the App reads a generator. So the workflow runs in a thread of its own, and the
generator looks at it a few times a second. Streaming also keeps the job clear of the 600 seconds after which FiftyOne
cuts off an immediate execution.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from fiftyone.operators import types

from ..plugin.datasets.jobs import describe
from ..plugin.progress import Progress

_LOOK_SECONDS = 0.5


def in_app(ctx: Any) -> bool:
    """Whether the App asked for this execution: only it has a sidebar, whose filters it always sends along."""
    return "filters" in ctx.request_params


class _JobThread(threading.Thread):
    """Runs a job, keeps its last progress, and its result at the end."""

    def __init__(self, job: Callable[[Progress], dict[str, Any]]) -> None:
        super().__init__(name="winnow-job", daemon=True)
        self._job = job
        self.last: tuple[str, int, int] = ("starting", 0, 0)
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        self.result = self._job(self._note)

    def _note(self, step: str, done: int, total: int) -> None:
        self.last = (step, done, total)


def stream(
    ctx: Any,
    job: Callable[[Progress], dict[str, Any]],
    *,
    show_progress: Callable[[str], types.Property],
    show_result: Callable[[dict[str, Any]], types.Property],
) -> Iterator[Any]:
    """Run a job and yield App messages: progress while it runs, its output at the end.

    Args:
        ctx: The operator's execution context.
        job: Takes a progress callback and returns the result; it raises nothing.
        show_progress: Turns a label into what the App shows meanwhile.
        show_result: Turns the result into what the App shows at the end.

    Yields:
        Messages for the App.
    """
    thread = _JobThread(job)
    thread.start()
    shown = None
    while thread.is_alive():
        if thread.last != shown:
            shown = thread.last
            step, done, total = shown
            share = done / total if total else 0.0
            yield ctx.ops.show_output(show_progress(describe(step, done, total)).to_json(), {"progress": share})
        thread.join(_LOOK_SECONDS)

    yield ctx.ops.show_output(show_result(thread.result).to_json(), thread.result)
    yield ctx.ops.reload_dataset()
