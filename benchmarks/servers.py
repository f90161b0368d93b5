"""Backends on loopback: Winnow's in its own process, one whose classifier is swapped all the time, and the peers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 300
# Nobody listens there: Label Studio is gone.
_GONE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Server:
    """A backend that answers.

    Attributes:
        port: On loopback.
        pid: Its process.
    """

    port: int
    pid: int

    def peak_megabytes(self) -> float:
        """Return the largest resident size of the process so far; NaN where the system does not tell."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return float("nan")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1e3 if found else float("nan")

    def processor_seconds(self) -> float:
        """Return the time that the process has spent on processors so far; NaN where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def winnow_server(folder: Path, root: Path, **more: str) -> Iterator[Server]:
    """Run `winnow serve` with a document root, a Label Studio that does not answer, and more settings."""
    settings = {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(root), "LABEL_STUDIO_URL": _GONE, **more}
    port = _free_port()
    with _running(
        [sys.executable, "-m", "winnow", "serve", str(folder), "--port", str(port)], port, settings
    ) as server:
        yield server


@contextmanager
def usual_server(engine: str, folder: Path, root: Path) -> Iterator[Server]:
    """Run a peer (see `usual_server.py`)."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.usual_server", engine, str(folder), str(root), str(port)]
    with _running(command, port, {}) as server:
        yield server


@contextmanager
def swapping_server(folder: Path, root: Path) -> Iterator[Server]:
    """Run the backend in this process and replace its classifier without a pause, by the same with another version."""
    import uvicorn

    from winnow.backend.app import create_app
    from winnow.backend.hosting import ModelHost
    from winnow.backend.loading import load_warm
    from winnow.backend.settings import Settings

    host = ModelHost(lambda: load_warm(folder))
    host.start()
    host.wait(_START_SECONDS)
    stop = threading.Event()

    def swap() -> None:
        number = 0
        while not stop.wait(0.2):
            number += 1
            classifier = load_warm(folder)
            # the version is a hash that is computed once; another one stands for another training
            classifier.__dict__["version"] = f"swap-{number}"
            host.swap(lambda classifier=classifier: classifier, f"swap-{number}").result()

    app = create_app(Settings(document_root=root), host)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False))
    threads = [threading.Thread(target=server.run), threading.Thread(target=swap)]
    for thread in threads:
        thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Server(server.servers[0].sockets[0].getsockname()[1], os.getpid())
    finally:
        stop.set()
        server.should_exit = True
        for thread in threads:
            thread.join()


@contextmanager
def _running(command: Sequence[str], port: int, settings: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(process, port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(_START_SECONDS * 10):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} has ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
                if json.load(response).get("classifier", "ready") == "ready":
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{process.args} does not answer")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
