"""What `winnow doctor` looks at, and how it mends what pip can mend.

Nothing here imports fiftyone or torch: both may be what is broken. They are tried in a child process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement

from ... import __version__
from ..datasets.database import Problem, database_problem, database_uri, pip_command
from ..errors import WinnowError
from ..home import winnow_home

OLDEST_PYTHON = (3, 11)
REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"
# A day's work with the App (database, caches, a few classifiers) needs about this much; less fails halfway.
LEAST_FREE_BYTES = 2 * 1000**3

_PROBE_SECONDS = 300

# Counts the OpenMP runtimes of one process that holds everything Winnow loads.
_LIBRARIES_PROBE = """
import json, faiss, numpy, onnxruntime, sklearn, timm, torch, torchvision
from threadpoolctl import threadpool_info
print(json.dumps(sorted({pool["filepath"] for pool in threadpool_info() if pool["user_api"] == "openmp"})))
"""

_PLUGIN_PROBE = """
import json
from fiftyone.operators.registry import OperatorRegistry
contexts = [context for context in OperatorRegistry().plugin_contexts if context.name == "@winnow/curation"]
print(json.dumps([
    {"version": c.plugin_definition.version, "folder": c.plugin_definition.directory,
     "operators": len(c.instances), "errors": c.errors}
    for c in contexts
]))
"""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, in a word or two.
        found: What is there; for a note or a problem, what is the matter.
        remedy: What to do about it; empty where all is well.
        is_problem: Whether Winnow can't work, or not wholly, until it is mended. False beside a remedy is a hint.
        pip: Arguments of the `pip install` that mends it; empty where pip can't.
    """

    name: str
    found: str
    remedy: str = ""
    is_problem: bool = False
    pip: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """Return "ok", "note" or "problem"."""
        return "problem" if self.is_problem else "note" if self.remedy else "ok"


@dataclass(frozen=True)
class DoctorReport:
    """Everything that was looked at, in order."""

    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.is_problem)

    def summary(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        keys = ("name", "status", "found", "remedy")
        return {
            "ok": not self.problems,
            "checks": [{key: getattr(check, key) for key in keys} for check in self.checks],
        }

    def text(self) -> str:
        """Return one line a check, and what mends each problem below it."""
        lines = []
        for check in self.checks:
            lines.append(f"{check.status:8} {check.name}: {check.found}")
            if check.remedy:
                lines.append(f"         -> {check.remedy}")
        count = len(self.problems)
        ending = "Everything that Winnow needs is there." if not count else f"{count} to mend: see -> above."
        return "\n".join([*lines, "", ending])


def examine() -> DoctorReport:
    """Look at everything that Winnow needs, without changing anything."""
    checks = [python_check(), *requirement_checks(REQUIREMENTS.read_text("utf-8").splitlines())]
    if any(check.is_problem for check in checks):
        reason = "not tried: mend the packages above first"
        checks += [Check("libraries", reason), Check("plugin", reason)]
    else:
        checks += [*library_checks(), plugin_check()]
    checks += [database_check(), home_check(), disk_check(), worker_check()]
    return DoctorReport(tuple(checks))


def examine_and_mend() -> DoctorReport:
    """Examine, run the pip commands that mend what was found, and examine again, until pip can do nothing new.

    Packages are mended before the parts that need them are tried, hence the rounds. pip's output goes to stderr.

    Raises:
        WinnowError: pip failed; its own message stands above on stderr.
    """
    report = examine()
    tried: set[tuple[str, ...]] = set()
    while commands := {check.pip: None for check in report.problems if check.pip and check.pip not in tried}:
        for arguments in commands:
            _pip_install(arguments)
        tried.update(commands)
        report = examine()
    return report


def requirement_checks(lines: Sequence[str]) -> list[Check]:
    """Check the lines of a requirements file against what is installed; comments and foreign markers are left out."""
    requirements = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return [_requirement(each) for each in requirements if each.marker is None or each.marker.evaluate()]


def _requirement(requirement: Requirement) -> Check:
    arguments = (str(requirement),)
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check(requirement.name, "not installed", pip_command(arguments), True, arguments)
    if not requirement.specifier.contains(version, prereleases=True):
        found = f"{version} is installed, {requirement.specifier} is needed"
        return Check(requirement.name, found, pip_command(arguments), True, arguments)
    return Check(requirement.name, version)


def python_check() -> Check:
    """See that Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", version)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", f"{version}; {oldest} or later is needed", f"make a new environment with {oldest}", True)


def library_checks() -> list[Check]:
    """Import the compiled libraries together: torch and torchvision must be a pair, and OpenMP should be there once."""
    runtimes, error = _probe(_LIBRARIES_PROBE)
    if error:
        arguments = ("--upgrade", "torch", "torchvision")
        remedy = f"reinstall the package that it names; for torch and torchvision: {pip_command(arguments)}"
        # Only a broken pair is surely mended by pip.
        pip = arguments if "torchvision" in error else ()
        return [Check("libraries", f"they do not import together: {error}", remedy, True, pip)]
    checks = [Check("libraries", "torch, torchvision, faiss, scikit-learn and ONNX Runtime import together")]
    if sys.platform == "darwin" and len(runtimes) > 1:
        found = f"{len(runtimes)} OpenMP runtimes in one process, which can crash or hang: {', '.join(runtimes)}"
        checks.append(Check("openmp", found, "if a job crashes, run it with OMP_NUM_THREADS=1"))
    return checks


def plugin_check() -> Check:
    """See that FiftyOne finds the plugin, in this version, and that its operators load."""
    found, error = _probe(_PLUGIN_PROBE)
    if error:
        return Check("plugin", f"FiftyOne does not start: {error}", pip_command(("--upgrade", "fiftyone")), True)
    if not found:
        return Check("plugin", "not in FiftyOne's plugins folder, so the App has no Winnow operators", "winnow install")
    plugin = found[0]
    if plugin["errors"]:
        reason = plugin["errors"][0].strip().splitlines()[-1]
        remedy = "fiftyone plugins requirements @winnow/curation --install, and restart the App"
        return Check("plugin", f"its operators do not load from {plugin['folder']}: {reason}", remedy, True)
    if plugin["version"] != __version__:
        reason = f"{plugin['folder']} holds version {plugin['version']}, installed is {__version__}"
        return Check("plugin", reason, "winnow install --uninstall && winnow install", True)
    return Check("plugin", f"{plugin['operators']} operators from {plugin['folder']}")


def database_check() -> Check:
    """See that FiftyOne's database can be used; it is not started, since that may migrate it to a newer FiftyOne."""
    problem = database_problem()
    if problem:
        return _failed("database", problem)
    return Check("database", "your own MongoDB server answers" if database_uri() else "the embedded MongoDB starts")


def home_check() -> Check:
    """See that Winnow's own folder can be written."""
    home = winnow_home()
    existing = _nearest_existing(home)
    if os.access(existing, os.W_OK) and existing.is_dir():
        return Check("home", str(home))
    return _failed("home", Problem(f"{home} cannot be written", "set WINNOW_HOME to a folder that can"))


def disk_check() -> Check:
    """See that there is room for what Winnow keeps."""
    home = winnow_home()
    free = shutil.disk_usage(_nearest_existing(home)).free
    if free >= LEAST_FREE_BYTES:
        return Check("disk", f"{free / 1000**3:.0f} GB free")
    reason = f"{free / 1000**3:.1f} GB free at {home}, {LEAST_FREE_BYTES / 1000**3:.0f} GB are needed"
    return _failed("disk", Problem(reason, "make room, or set WINNOW_HOME to a folder on another disk"))


def worker_check() -> Check:
    """See whether something executes what the App delegates; FiftyOne's App starts no worker of its own."""
    if any({"delegated", "launch"} <= set(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])):
        return Check("worker", "a worker for delegated jobs is running")
    remedy = "winnow app DATASET starts the App and a worker; beside another App: fiftyone delegated launch"
    return Check("worker", "none is running; jobs that the App delegates wait until one is", remedy)


def _pip_install(arguments: tuple[str, ...]) -> None:
    print(f"running {pip_command(arguments)}", file=sys.stderr, flush=True)
    run = subprocess.run([sys.executable, "-m", "pip", "install", *arguments], stdout=sys.stderr, check=False)
    if run.returncode:
        raise WinnowError(
            f"'{pip_command(arguments)}' failed (see above). Run it by hand once its cause is mended; "
            "where this Python has no pip, install the package with your own tool (uv, conda, ...)."
        )


def _failed(name: str, problem: Problem) -> Check:
    return Check(name, problem.reason, problem.remedy, True, problem.pip)


def _probe(code: str) -> tuple[Any, str]:
    """Run code in a child process; return what it printed last, as JSON, or else its error's last line."""
    environment = {**os.environ, "FIFTYONE_DO_NOT_TRACK": "true", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_PROBE_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {_PROBE_SECONDS} s"
    if run.returncode:
        return None, (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
    return json.loads(run.stdout.strip().splitlines()[-1]), ""


def _nearest_existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
