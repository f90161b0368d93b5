"""One throw-away world for the whole test session: its own home, its own database, its own plugins folder.

Everything is decided before fiftyone is imported, since FiftyOne reads its settings and connects at import. Importing
fiftyone stays lazy here, so that the tests of the pure parts don't wait for it.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo

REAL_HOME = Path.home()
SESSION = Path(tempfile.mkdtemp(prefix="winnow-tests-"))
FOLDERS = {
    "HOME": SESSION / "home",
    "WINNOW_HOME": SESSION / "winnow",
    "FIFTYONE_DATABASE_DIR": SESSION / "database",
    "FIFTYONE_PLUGINS_DIR": SESSION / "plugins",
    "FIFTYONE_DEFAULT_DATASET_DIR": SESSION / "datasets",
}

# FiftyOne keeps one MongoDB per *user*: a second process joins whichever one is already running, whatever its own
# FIFTYONE_DATABASE_DIR says. To be sure never to meet the user's database, the session starts its own MongoDB, and
# tells FiftyOne its port the way FiftyOne tells its own child processes.
PORT_VARIABLE = "FIFTYONE_PRIVATE_DATABASE_PORT"

# `read` returns when the pytest process is gone, however it ended; then the database goes too.
RUN_WHILE_PARENT_LIVES = 'exec 3<&0; "$@" </dev/null & read -r _ <&3; kill $!; wait'


def pytest_configure() -> None:
    """Point every setting into the session folder and start the database; nobody waits for it here."""
    for variable, folder in FOLDERS.items():
        folder.mkdir()
        os.environ[variable] = str(folder)
    for variable in ("FIFTYONE_DATABASE_URI", "FIFTYONE_DATABASE_NAME", "FIFTYONE_CONFIG_PATH", "XDG_CACHE_HOME"):
        os.environ.pop(variable, None)
    os.environ |= {"FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_SHOW_PROGRESS_BARS": "false", "HF_HUB_OFFLINE": "1"}
    # Not in pytest_unconfigure: FiftyOne cleans its database up at exit, and what is registered first runs last.
    atexit.register(_remove_session, _start_database(FOLDERS["FIFTYONE_DATABASE_DIR"]))


def _remove_session(database: subprocess.Popen[bytes] | None) -> None:
    """Stop the database and remove the session folder."""
    if database is not None:
        database.stdin.close()
        database.wait(timeout=60)
    shutil.rmtree(SESSION, ignore_errors=True)


def _start_database(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start FiftyOne's own `mongod`; return None where it is not installed, as pure tests need none."""
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
        ["sh", "-c", RUN_WHILE_PARENT_LIVES, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for pytest; the database is needed until the last fixture is torn down
    )


@pytest.fixture(scope="session", autouse=True)
def real_home_untouched() -> Iterator[None]:
    """Fail the session when a test has left something of Winnow's or FiftyOne's in the user's home."""
    before = _traces(REAL_HOME)
    yield
    assert _traces(REAL_HOME) == before, f"a test wrote into {REAL_HOME}"


def _traces(home: Path) -> set[str]:
    """Return what Winnow and FiftyOne keep in a home: their folders, and Winnow's and the plugins' content."""
    own = [path for path in home.iterdir() if "winnow" in path.name or "fiftyone" in path.name]
    inside = [*home.glob(".winnow/*"), *home.glob("fiftyone/__plugins__/*")]
    return {str(path) for path in own + inside}


@pytest.fixture
def dataset() -> Iterator[Callable[..., fo.Dataset]]:
    """Return a factory of datasets, `dataset(name=None)`; datasets made during the test are deleted after it."""
    import fiftyone as fo

    before = set(fo.list_datasets())

    def make(name: str | None = None) -> fo.Dataset:
        return fo.Dataset(name or f"test-{uuid.uuid4().hex[:12]}")

    yield make
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a factory of image folders, `image_folder(*names, root="images")`: one small real image a name.

    The content depends on the name alone; the extension decides the format.
    """

    def make(*names: str, root: str = "images") -> Path:
        folder = tmp_path / root
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            write_image(folder / name)
        return folder

    return make


def write_image(path: Path, size: int = 16) -> Path:
    """Write a small colour image of `size` pixels a side, drawn from the file's name, and return its path."""
    rng = np.random.default_rng(list(path.name.encode()))
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR).save(path)
    return path
