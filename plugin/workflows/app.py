"""The FiftyOne App on a dataset, with the worker that its scheduled jobs need beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import fiftyone as fo

from ..datasets.jobs import worker_alive
from ..errors import TargetError
from ..home import winnow_home
from .install import install

# `fiftyone delegated launch`, without relying on the script being on the PATH.
_WORKER = [sys.executable, "-c", "from fiftyone.core.cli import main; main()", "delegated", "launch"]
_STOP_SECONDS = 10


def run_app(
    dataset_name: str | None = None,
    *,
    port: int = 5151,
    address: str = "127.0.0.1",
    remote: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Open the App and run a delegated worker until Ctrl-C (or SIGTERM); then stop both.

    Args:
        dataset_name: Dataset to open; None shows the list of datasets.
        port: Port of the App.
        address: Address that it listens on.
        remote: Serve only, open no browser.
        say: Told what the user should know.

    Raises:
        TargetError: There is no such dataset.
    """
    dataset = _load(dataset_name) if dataset_name else None
    say(install())
    os.environ["FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS"] = "true"  # without it the App does not offer to schedule
    with _stopping_on_sigterm(), _worker(say):
        session = fo.launch_app(dataset, port=port, address=address, remote=remote, auto=False)
        if not remote:
            session.open()
        say(f"The App runs at http://{address}:{port}/ ; Ctrl-C stops it.")
        try:
            session.wait(-1)
        except KeyboardInterrupt:
            say("Stopping the App and its worker. What their jobs had finished stays.")
        finally:
            session.close()


def _load(name: str) -> fo.Dataset:
    if not fo.dataset_exists(name):
        known = fo.list_datasets()
        near = get_close_matches(name, known, n=3) or known[:3]
        hint = f"Did you mean {', '.join(near)}?" if near else "Make one with `winnow curate FOLDER` or `winnow demo`."
        raise TargetError(f"there is no dataset '{name}'. {hint}")
    return fo.load_dataset(name)


@contextmanager
def _worker(say: Callable[[str], None]) -> Iterator[None]:
    """Run a delegated worker while the block runs, unless one is alive already."""
    if worker_alive():
        say("A delegated worker is running already; scheduled jobs go to it.")
        yield
        return
    log_path = winnow_home() / "logs" / "worker.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        # A session of its own: Ctrl-C in the terminal must reach the worker through us, not tear it down midway.
        worker = subprocess.Popen(_WORKER, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        say(f"A delegated worker runs beside the App; its log is {log_path}.")
        try:
            yield
        finally:
            worker.terminate()
            try:
                worker.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a container or a service manager doesn't leave the worker behind."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
