"""Run a quick set of tests and the demo with other versions of Python, FiftyOne and MongoDB: `make compat`.

Each pair of Python and FiftyOne gets an environment of its own in `.compat` (7 GB each, as torch comes along), which
later runs use again. What can't be run is a row of the table too. Needs nothing but a Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".compat"
PYTHONS = ("3.11", "3.13")
EMBEDDED, BY_URI = "embedded", "by URI"
DATABASES = (EMBEDDED, BY_URI)
# What touches FiftyOne's plugin interface, its fields, runs and views; none of them trains for minutes.
TESTS = (
    "tests/plugin/datasets",
    "tests/plugin/workflows/test_actions.py",
    "tests/plugin/workflows/test_changes.py",
    "tests/plugin/workflows/test_export_dataset.py",
    "tests/operators/test_registry.py",
    "tests/operators/test_operators.py",
    "tests/operators/test_actions.py",
    "tests/test_two_users.py",
)
# FiftyOne 1.22.0 does not say that it can't do with graphql-core 3.3, and no longer starts as pip installs it today.
PINS = {"1.22.0": ("graphql-core<3.3",)}
BEGIN, END = "<!-- matrix: written by make compat -->", "<!-- end of matrix -->"
_HOUR = 3600


@dataclass(frozen=True)
class Cell:
    """One combination.

    Attributes:
        python: Version of Python, as in "3.11".
        fiftyone: Version of FiftyOne.
        database: One of `DATABASES`.
    """

    python: str
    fiftyone: str
    database: str


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        cell: The combination.
        tests: What pytest says last, or why it was not run.
        demo: What the demo found, or why it was not run.
        works: Whether both went well; None = not run.
        seconds: How long both took.
    """

    cell: Cell
    tests: str
    demo: str
    works: bool | None
    seconds: float = 0.0

    def row(self) -> str:
        """Return its row of the table."""
        word = {True: "works", False: "**fails**", None: "not run"}[self.works]
        seconds = f"{self.seconds / 60:.0f} min" if self.works is not None else ""
        cells = (self.cell.python, self.cell.fiftyone, self.cell.database, word, self.tests, self.demo, seconds)
        return f"| {' | '.join(cells)} |"


def oldest_fiftyone() -> str:
    """Return the oldest version that fiftyone.yml admits, as in "1.22.0"."""
    found = re.search(r'version: ">=([\d.]+)"', (ROOT / "fiftyone.yml").read_text("utf-8"))
    if found is None:
        raise SystemExit('fiftyone.yml does not say which FiftyOne it needs: expected is version: ">=NUMBER".')
    return ".".join([*found[1].split("."), "0", "0"][:3])


def newest_fiftyone(python: str) -> str:
    """Return the newest version that the package index has for this interpreter."""
    command = [python, "-m", "pip", "index", "versions", "fiftyone"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"fiftyone \(([\d.]+)\)", run.stdout)
    if found is None:
        raise SystemExit(f"the newest FiftyOne is not known: {_last_line(run.stderr)}. Name it with --fiftyone.")
    return found[1]


def find_python(version: str, named: Sequence[str]) -> str | None:
    """Return an interpreter of this version: one that was named, on the path, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [*named, f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))]
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for place in places:
        try:
            run = subprocess.run([place, "-c", ask], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if run.returncode == 0 and run.stdout.strip() == version:
            return place
    return None


def make_environment(python: str, cell: Cell) -> Path:
    """Return the interpreter of an environment with these versions, made unless it is there."""
    folder = ENVIRONMENTS / f"python{cell.python}-fiftyone{cell.fiftyone}"
    own, ready = folder / "bin" / "python", folder / ".set-up"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        wanted = [f"fiftyone=={cell.fiftyone}", *PINS.get(cell.fiftyone, ()), "pytest", "hypothesis"]
        wanted += ["--requirement", str(ROOT / "requirements.txt")]
        subprocess.run([own, "-m", "pip", "install", "--quiet", *wanted], check=True)
        with world(own, EMBEDDED) as environment:
            subprocess.run([own, "-m", "winnow", "doctor", "--fix"], env=environment, cwd=ROOT, check=False)
        ready.touch()
    return own


@contextmanager
def world(python: Path, database: str) -> Iterator[dict[str, str]]:
    """Yield the environment variables of a cell: a home of its own and, by URI, a MongoDB server of its own."""
    with tempfile.TemporaryDirectory(prefix="winnow-compat-") as folder:
        (Path(folder) / "winnow").symlink_to(ROOT)  # the package, which the checkout's folder is not called like
        environment = os.environ | {"HOME": folder, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        for name in ("FIFTYONE_DATABASE_URI", "FIFTYONE_CONFIG_PATH", "VIRTUAL_ENV"):
            environment.pop(name, None)
        if database == EMBEDDED:
            yield environment
            return
        mongod = next(python.parents[1].glob("lib/python*/site-packages/fiftyone/db/bin/mongod"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        (Path(folder) / "server").mkdir()
        command = [mongod, "--dbpath", Path(folder) / "server", "--port", port, "--bind_ip", "127.0.0.1"]
        server = subprocess.Popen([*command, "--nounixsocket"], stdout=subprocess.DEVNULL)
        try:
            yield environment | {"WINNOW_TEST_DATABASE_URI": f"mongodb://127.0.0.1:{port}"}
        finally:
            server.terminate()
            server.wait()


def run_cell(python: Path, cell: Cell) -> Outcome:
    """Run tests and demo in an environment that is there."""
    start = time.monotonic()
    pytest = [python, "-m", "pytest", "-q", "--durations=0", "-p", "no:cacheprovider", *TESTS]
    with world(python, cell.database) as environment:
        tests = _run(pytest, environment)
        demo = _run([python, ROOT / "tests" / "compat" / "cell.py"], environment)
    works = tests.returncode == 0 and demo.returncode == 0
    told = _last_line(tests.stdout).strip("= ") or _last_line(tests.stderr)
    if not works:
        sys.stderr.write(f"{cell}\n{tests.stdout[-6000:]}\n{demo.stderr[-3000:]}\n")
    return Outcome(cell, told, _demo_told(demo), works, time.monotonic() - start)


def table(outcomes: Sequence[Outcome], when: str) -> str:
    """Return the matrix as markdown."""
    head = ["| Python | FiftyOne | MongoDB | result | tests | demo | took |", "|---|---|---|---|---|---|---|"]
    return "\n".join([BEGIN, f"Run on {when} ({sys.platform}).", "", *head, *(each.row() for each in outcomes), END])


def write_into(document: Path, matrix: str) -> None:
    """Put the matrix in the place of the one in a document."""
    text = document.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"'{document}' has no place for the matrix: expected are the lines {BEGIN} and {END}.")
    document.write_text(before + matrix + after, "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cells; return 0 where each that was run works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="an interpreter, where it is not found by itself")
    parser.add_argument("--versions", default=",".join(PYTHONS), help="versions of Python (default: %(default)s)")
    parser.add_argument("--fiftyone", help="versions of FiftyOne; default: the oldest that is admitted, and the newest")
    parser.add_argument("--database", choices=DATABASES, help="default: both")
    parser.add_argument("--only", help="run this cell alone, as in 3.11/1.22.0/embedded; the others are 'not run'")
    parser.add_argument("--write", type=Path, help="put the matrix into this document")
    options = parser.parse_args(arguments)

    found = {version: find_python(version, options.python) for version in options.versions.split(",")}
    versions = (options.fiftyone or f"{oldest_fiftyone()},{newest_fiftyone(sys.executable)}").split(",")
    databases = (options.database,) if options.database else DATABASES
    cells = [Cell(python, version, database) for python in found for version in versions for database in databases]
    outcomes = []
    for cell in cells:
        name, interpreter = f"{cell.python}/{cell.fiftyone}/{cell.database}", found[cell.python]
        if options.only and name != options.only:
            outcomes.append(Outcome(cell, "", "", None))
        elif interpreter is None:
            outcomes.append(Outcome(cell, f"Python {cell.python} was not found: name it with --python", "", None))
        else:
            print(f"{name} ...", file=sys.stderr, flush=True)
            outcomes.append(_tried(interpreter, cell))
    matrix = table(outcomes, time.strftime("%Y-%m-%d"))
    print(matrix)
    if options.write:
        write_into(options.write, matrix)
    return int(any(outcome.works is False for outcome in outcomes))


def _tried(interpreter: str, cell: Cell) -> Outcome:
    try:
        return run_cell(make_environment(interpreter, cell), cell)
    except (subprocess.CalledProcessError, OSError) as error:
        return Outcome(cell, f"the environment could not be made: {error}", "", False)


def _run(command: Sequence[str | Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_HOUR,
        check=False,
    )


def _demo_told(run: subprocess.CompletedProcess[str]) -> str:
    try:
        summary = json.loads(_last_line(run.stdout))
        planted = summary["planted"]
        found = ", ".join(f"{each['found']} {name.replace('_', ' ')}" for name, each in planted.items())
        return f"{summary['images']:,} images: {found}"
    except (ValueError, KeyError, TypeError):
        return f"exit status {run.returncode}: {_last_line(run.stderr)}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


if __name__ == "__main__":
    sys.exit(main())
