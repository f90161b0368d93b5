"""A throw-away home, Winnow home and MongoDB, so that a benchmark or a test never meets the user's own."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

# FiftyOne keeps one MongoDB per *user*: a second process joins whichever one is already running, whatever its own
# FIFTYONE_DATABASE_DIR says. To be sure never to meet the user's database, we start our own, and tell FiftyOne its
# port the way FiftyOne tells its own child processes.
PORT_VARIABLE = "FIFTYONE_PRIVATE_DATABASE_PORT"

# A MongoDB server to use instead: `make compat` tries FiftyOne with one. Each session has a database of its own there.
URI_VARIABLE = "WINNOW_TEST_DATABASE_URI"

# `read` returns when the starting process is gone, however it ended; then the database goes too.
_RUN_WHILE_PARENT_LIVES = 'exec 3<&0; "$@" </dev/null & read -r _ <&3; kill $!; wait'


def isolate() -> Path:
    """Return a temporary folder that everything now points into; call it before fiftyone is imported.

    It is removed, and its database stopped, when the process ends: after FiftyOne, which cleans its database up at
    exit, and would wait half a minute for one that is gone. (What is registered first runs last.)
    """
    session = Path(tempfile.mkdtemp(prefix="winnow-"))
    _point_into(session)
    atexit.register(_clean_up, session, _start_database(session / "database"))
    return session


def _point_into(session: Path) -> None:
    """Make the folders that FiftyOne and Winnow write to, and point their settings there."""
    folders = {
        "HOME": session / "home",
        "WINNOW_HOME": session / "winnow",
        "FIFTYONE_DATABASE_DIR": session / "database",
        "FIFTYONE_PLUGINS_DIR": session / "plugins",
        "FIFTYONE_DEFAULT_DATASET_DIR": session / "datasets",
    }
    for variable, folder in folders.items():
        folder.mkdir()
        os.environ[variable] = str(folder)
    for variable in ("FIFTYONE_DATABASE_URI", "FIFTYONE_DATABASE_NAME", "FIFTYONE_CONFIG_PATH", "XDG_CACHE_HOME"):
        os.environ.pop(variable, None)
    os.environ |= {"FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_SHOW_PROGRESS_BARS": "false", "HF_HUB_OFFLINE": "1"}


def _start_database(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start FiftyOne's own `mongod`; return None where it is not installed, or another server is to be used."""
    if uri := os.environ.get(URI_VARIABLE):
        os.environ |= {"FIFTYONE_DATABASE_URI": uri, "FIFTYONE_DATABASE_NAME": folder.parent.name}
        return None
    package = importlib.util.find_spec("fiftyone")  # finds the folder without importing it
    mongod = Path(package.origin).parent / "db" / "bin" / "mongod" if package and package.origin else None
    if mongod is None or not mongod.is_file():
        return None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ[PORT_VARIABLE] = port
    command = [str(mongod), "--dbpath", str(folder), "--port", port, "--bind_ip", "127.0.0.1", "--nounixsocket"]
    return subprocess.Popen(
        ["sh", "-c", _RUN_WHILE_PARENT_LIVES, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the parent; the database is needed until it has cleaned up
    )


def _clean_up(session: Path, database: subprocess.Popen[bytes] | None) -> None:
    if database is not None and database.stdin is not None:
        database.stdin.close()
        database.wait(timeout=60)
    shutil.rmtree(session, ignore_errors=True)
