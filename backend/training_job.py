"""The process of a training job: `python -m winnow.backend.training_job FOLDER`, started by `learning`.

The folder holds `job.json`. The process writes `progress.json` along the way and `outcome.json` at its end. It ends
when it gets SIGTERM, and when its standard input ends, which happens when the server dies, however it does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ..plugin.errors import JobCancelled, WinnowError
from ..plugin.labeling.client import LabelStudioError
from .images import image_sources
from .job_files import JOB, OUTCOME, PROGRESS, JobSpec
from .label_studio import label_studio_client
from .learning_store import LearningStore, StoreError
from .settings import Settings

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 2.0


def main(folder: Path, environment: Mapping[str, str]) -> None:
    """Run the job that a folder describes; how it ended is written there.

    Args:
        folder: With `job.json`.
        environment: Where Label Studio's address and token are read from: they are written nowhere.
    """
    signal.signal(signal.SIGTERM, _cancel)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    try:
        outcome = {"state": "done", **_run(folder, environment)}
    except JobCancelled:
        outcome = {"state": "cancelled", "detail": "cancelled"}
    except LabelStudioError as error:
        outcome = {"state": "unreachable" if _may_pass(error) else "refused", "detail": str(error)}
    except WinnowError as error:
        outcome = {"state": "refused", "detail": str(error)}
    except Exception as error:
        logger.exception("the training job failed")
        outcome = {"state": "failed", "detail": f"an unexpected error ({type(error).__name__}); its log has it"}
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logger.info("%s: %s", outcome["state"], outcome["detail"])
    _write(folder / OUTCOME, outcome)


def _run(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    spec = JobSpec.read(folder / JOB)
    _be_modest(spec)
    # after that, since threads that are there already would not be bound by it
    import torch

    from .retraining import retrain

    torch.set_num_threads(spec.threads)
    settings = Settings.from_environment(environment)
    with ExitStack() as opened:
        client = opened.enter_context(label_studio_client(settings))
        sources = opened.enter_context(closing(image_sources(settings)))
        store = opened.enter_context(closing(LearningStore(spec.state, settings.store)))
        if spec.job is not None and settings.store is not None:
            threading.Thread(target=_end_with_the_job, args=(store, spec.job), daemon=True).start()
        version, report = retrain(spec, store, client, sources, folder, _ProgressFile(folder / PROGRESS))
    return {"version": version, "detail": _sentence(report)}


def _may_pass(error: LabelStudioError) -> bool:
    """Tell whether the same question may be answered later: by a Label Studio that is back, or with another token."""
    return error.status is None or error.status >= 500 or error.status in (401, 403, 408, 429)


def _sentence(report: Mapping[str, Any]) -> str:
    found = report["comparison"]
    new, serving = found["score"]["new"], found["score"]["serving"]
    return (
        f"version {report['version']}: {found['measure']} {new:.1%} on {found['images']} held-out images "
        f"({found['judged_on']}), the serving one {serving:.1%}"
    )


def _be_modest(spec: JobSpec) -> None:
    """Leave the processor to the server: few cores, at a low priority; threads started later inherit both."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-spec.threads :])
    if hasattr(os, "nice"):
        os.nice(spec.niceness)


def _end_with_the_server() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock a thread must not hold when the interpreter ends
        pass
    os._exit(1)  # nobody is left to tell; the next server begins again


def _end_with_the_job(store: LearningStore, job: int) -> None:
    """End where another replica took over, since the server of this process was thought dead and is only paused."""
    while True:
        time.sleep(_LOOK_EVERY_SECONDS)
        try:
            goes_on = store.is_running(job)
        except StoreError:  # away for a moment, or closed as all is done
            continue
        if not goes_on:
            os._exit(1)


def _cancel(number: int, frame: object) -> None:
    raise JobCancelled


class _ProgressFile:
    """Writes how far the job is, at most once a second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._next = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            _write(self._file, {"step": step, "done": done, "total": total})


def _write(file: Path, content: Mapping[str, Any]) -> None:
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    os.replace(unfinished, file)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, signatures included
    main(Path(sys.argv[1]), os.environ)
