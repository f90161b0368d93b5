"""The server's end of a training job: its folder, its process, and how it ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .job_files import JOB, LOG, OUTCOME, PROGRESS, JobSpec
from .learning_store import Job
from .store_address import STORE, STORE_FILE, StoreAddress

# What decides how many threads the libraries of numpy, torch and ONNX Runtime start.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_JOBS = "jobs"
_JOBS_KEPT = 10
_SECONDS_TO_END = 10.0


class JobProcess:
    """A training job in its own process, which dies with this one.

    Args:
        job: As the store knows it.
        spec: What it is to do. Label Studio's address and token are in the environment, which the process inherits.
        address: Of the database that the store is kept in; None = it is in the state folder.
    """

    def __init__(self, job: Job, spec: JobSpec, address: StoreAddress | None = None) -> None:
        self.job = job
        self._folder = spec.state / _JOBS / str(job.id)
        _remove_old(spec.state / _JOBS)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)  # the project's images are brought here
        spec.write(self._folder / JOB)
        given = dict.fromkeys(_THREAD_VARIABLES, str(spec.threads)) | {STORE: "", STORE_FILE: ""}
        if address is not None:
            given[STORE] = address.text()
        with open(self._folder / LOG, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "winnow.backend.training_job", str(self._folder)],
                stdin=subprocess.PIPE,  # it ends when this pipe does
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | given,
                start_new_session=True,  # Ctrl-C is for the server, which ends its job itself
            )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def outcome(self) -> dict[str, Any] | None:
        """Return `state`, `detail` and, where it made one, `version`; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        self._tidy()
        told = _read(self._folder / OUTCOME)
        if told is not None:
            return told
        if code < 0:
            return {"state": "killed", "detail": f"the job's process was killed (signal {-code})"}
        return {"state": "failed", "detail": f"the job's process ended with status {code}; see '{self._folder / LOG}'"}

    def end(self) -> None:
        """End the process: it is asked to, and killed when that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the images: they are the project's, and may be many."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for name in ("images", "version"):
            shutil.rmtree(self._folder / name, ignore_errors=True)


def progress_of(state: Path, job: int) -> dict[str, Any] | None:
    """Return `step`, `done` and `total` of a job, also of one that another replica runs; None before the first."""
    return _read(state / _JOBS / str(job) / PROGRESS)


def _remove_old(jobs: Path) -> None:
    """Remove all but the last folders; of those that a killed server left, what is large."""
    folders = sorted((each for each in jobs.glob("*") if each.name.isdigit()), key=lambda each: int(each.name))
    for folder in folders[: 1 - _JOBS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in folders:
        for name in ("images", "version"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
