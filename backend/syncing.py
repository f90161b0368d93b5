"""`winnow labelstudio sync`: the served classifier's part in push mode, where Label Studio calls nobody.

The same host of the classifier, predictor and training as in the server; tasks and annotations are fetched, not sent.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..plugin.errors import ClassifierError
from ..plugin.labeling.client import LabelStudioClient, LabelStudioError
from ..plugin.labeling.pushing import AnnotationWatch, PushReport, push_predictions
from ..plugin.progress import Progress
from ..plugin.training.versions import default_state
from .contract import PredictRequest, Task
from .hosting import ModelHost
from .images import image_sources
from .learning import Learning
from .loading import load_warm
from .predicting import Entry, Predictor
from .promotion import promoted_folder
from .remembering import Memory, ProjectWatch
from .settings import Settings, SettingsError

# Nobody waits for a chunk, but an image host that hangs should not hold a pass up for ever.
_SECONDS_FOR_A_CHUNK = 1800.0
_MOST_REASONS = 20
# How long a pass waits at its end for the tasks that are predicted for the record alone.
_SECONDS_FOR_THE_RECORD = 600.0


@dataclass(frozen=True)
class SyncOptions:
    """How to synchronise.

    Attributes:
        interval: Seconds between two looks at the project; None = one pass, and no training.
        state: Folder of the versions that are trained from annotations; None = below Winnow's home.
        force_sampling: See `attachment.attach`.
        delete_old: Delete the predictions of Winnow's earlier versions.
    """

    interval: float | None = None
    state: Path | None = None
    force_sampling: bool = False
    delete_old: bool = False


def sync(
    directory: Path,
    project_id: int,
    client: LabelStudioClient,
    options: SyncOptions,
    *,
    say: Callable[[str], None],
    progress: Progress,
    environment: Mapping[str, str] | None = None,
) -> PushReport:
    """Push predictions into a project once, or again and again until the process is told to stop.

    While it goes on, annotations are handed to training from annotations, and a version that is promoted is pushed.

    Args:
        directory: A Classifier folder.
        project_id: The project.
        client: Of the Label Studio.
        options: How.
        say: Told of each pass that did something, and of one that failed.
        progress: Told how many tasks of a pass are done.
        environment: Where settings are read from; the process's own by default.

    Returns:
        What the last pass did.

    Raises:
        ClassifierError: There is no such folder.
        SettingsError: A malformed setting, or one that is for replicas.
        NotReadyError: The classifier could not be loaded.
        LabelStudioError: Of a single pass, see `push_predictions`. Later ones are tried again.
    """
    settings = Settings.from_environment(os.environ if environment is None else environment)
    if settings.store is not None:
        raise SettingsError(
            "WINNOW_STORE or WINNOW_STORE_FILE is set, which is for several replicas of 'winnow serve'. One 'sync' "
            "does all of its project: unset it, and give --state a folder that the replicas don't use."
        )
    if not directory.is_dir():
        raise ClassifierError(f"there is no classifier folder '{directory}'. Make one with 'winnow train'.")
    state = options.state or default_state(directory)
    folder = promoted_folder(state) or directory
    memory = Memory(state, settings.remember) if options.interval is not None or settings.remember.days else None
    load = partial(load_warm, vectors=settings.remember.days > 0)
    host = ModelHost(lambda: load(folder))
    host.start()
    host.wait()
    with _memory(memory), _predictor(host, settings, memory) as predictor:
        watched = None if memory is None else memory.watch(project_id)
        one_pass = partial(_one_pass, client, project_id, host, predictor, options, watched, progress=progress)
        if options.interval is None:
            return one_pass(watch=AnnotationWatch(project_id, lambda event: None))
        learning = Learning(directory, state, host, load, settings.learning, memory=memory)
        learning.start()
        try:
            again = partial(one_pass, watch=AnnotationWatch(project_id, learning.take))
            return _keep_on(client, project_id, host, again, options.interval, say)
        finally:
            learning.stop()


def _keep_on(
    client: LabelStudioClient,
    project_id: int,
    host: ModelHost,
    one_pass: Callable[[], PushReport],
    interval: float,
    say: Callable[[str], None],
) -> PushReport:
    """Make a pass whenever the project or the version has changed; ends with an interrupt."""
    seen: Any = None
    while True:
        try:
            found = _look(client, project_id), host.version
            if found != seen:
                report = one_pass()
                say(report.text())
                seen = found[0], report.version
        except LabelStudioError as error:
            say(f"{error} Trying again in {interval:g} s.")
        time.sleep(interval)


def _look(client: LabelStudioClient, project_id: int) -> tuple[object, ...]:
    """Return what tells, in two small requests, that tasks, annotations or the config of a project have changed."""
    project = client.project(project_id)
    counts = ("task_number", "total_annotations_number", "skipped_annotations_number")
    return *(project.get(name) for name in counts), project.get("label_config"), client.latest_change(project_id)


def _one_pass(
    client: LabelStudioClient,
    project_id: int,
    host: ModelHost,
    predictor: Predictor,
    options: SyncOptions,
    watched: ProjectWatch | None,
    *,
    watch: AnnotationWatch,
    progress: Progress,
) -> PushReport:
    label_config = str(client.project(project_id).get("label_config") or "")
    reasons: list[str] = []

    def predict(tasks: Sequence[dict[str, Any]]) -> Sequence[Entry]:
        asked = [Task(id=task["id"], data=task["data"]) for task in tasks]
        request = PredictRequest(tasks=asked, label_config=label_config, project=project_id)
        outcome = asyncio.run(predictor.predict(request))
        reasons.extend(f"task {failure.id}: {failure.reason}" for failure in outcome.failures)
        return outcome.entries

    def see(task: dict[str, Any]) -> None:
        watch.see(task)
        if watched is not None:
            watched.see(task)

    report = push_predictions(
        client,
        project_id,
        host.served.version,
        predict,
        on_task=see,
        progress=progress,
        force_sampling=options.force_sampling,
        delete_old=options.delete_old,
    )
    watch.end_pass()
    if watched is not None:
        watched.end_pass()
        predictor.wait_for_record(_SECONDS_FOR_THE_RECORD)
    report.notes += reasons[:_MOST_REASONS]
    return report


@contextmanager
def _memory(memory: Memory | None) -> Iterator[None]:
    if memory is not None:
        memory.start()
    try:
        yield
    finally:
        if memory is not None:
            memory.stop()


@contextmanager
def _predictor(host: ModelHost, settings: Settings, memory: Memory | None) -> Iterator[Predictor]:
    sources = image_sources(settings)
    predictor = Predictor(
        host,
        sources,
        batch_size=settings.batch_size,
        capacity=settings.max_waiting,
        seconds=_SECONDS_FOR_A_CHUNK,
        on_batch=lambda size: None,
        is_withheld=settings.learning.withholds,
        memory=memory,
    )
    try:
        yield predictor
    finally:
        predictor.queue.close()
        sources.close()
