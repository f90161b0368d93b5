"""Push mode before a real Label Studio with all its protections on, which therefore may call no backend here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.label_studio.conftest import RunningBackend, annotate, predictions_of
from tests.label_studio.server import RealLabelStudio, running_label_studio
from winnow.backend.learning_store import LearningStore
from winnow.backend.syncing import SyncOptions, sync
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.pushing import PushReport, push_predictions
from winnow.plugin.labeling.served_store import ServedStore
from winnow.plugin.progress import silent


@pytest.fixture(scope="module")
def strict(executable: Path, studio: RealLabelStudio, studio_folder: Path) -> Iterator[RealLabelStudio]:
    """Run a second Label Studio over the same data, with the protections as they are by default."""
    with running_label_studio(executable, studio_folder, studio.token) as running:
        yield running


@pytest.fixture(scope="module")
def strict_client(strict: RealLabelStudio) -> Iterator[LabelStudioClient]:
    """Return a client of the strict Label Studio."""
    with LabelStudioClient(strict.url, strict.token) as made:
        yield made


@pytest.fixture
def push(
    strict: RealLabelStudio, strict_client: LabelStudioClient, backend: RunningBackend
) -> Callable[..., PushReport]:
    """Return `winnow labelstudio sync`; `push(project, say=print, **options)` makes one pass without an interval.

    `more` are more settings in the environment.
    """
    environment = {
        "LABEL_STUDIO_URL": strict.url,
        "LABEL_STUDIO_API_KEY": strict.token,
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(strict.images.parent),
        "WINNOW_IMAGE_CACHE_MB": "0",
    }

    def call(
        project: int, say: Callable[[str], None] = print, more: Mapping[str, str] | None = None, **options: Any
    ) -> PushReport:
        chosen, read = SyncOptions(**options), environment | dict(more or {})
        return sync(backend.folder, project, strict_client, chosen, say=say, progress=silent, environment=read)

    return call


def guess(
    version: str, kill_after: int | None = None, choice: str | list[str] = "up"
) -> Callable[..., list[dict[str, Any]]]:
    """Return a stand-in for the classifier, which ends the process, as it were, after some chunks."""
    chunks = iter(range(100))

    def predict(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if next(chunks) == kill_after:
            raise KeyboardInterrupt
        result = [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}]
        return [{"result": result, "score": 0.5, "model_version": version} for _ in tasks]

    return predict


def test_label_studio_refuses_the_backend_that_is_not_needed_here(
    strict_client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    memories: AttachmentMemories,
) -> None:
    with pytest.raises(Exception, match="ML_BLOCK_LOCAL_IP is on"):
        attach(strict_client, new_project(), backend.backend, memories)


def test_pushed_predictions_are_there_once_and_the_project_goes_by_their_version(
    strict_client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    push: Callable[..., PushReport],
) -> None:
    project = new_project([*local_images(5), {"image": "data:,no image"}])

    first = push(project)
    second = push(project)

    found = predictions_of(strict_client, project)
    assert (first.pushed, first.unpredicted, second.pushed, second.present) == (5, 1, 0, 5)
    assert [len(each) for each in found.values()] == [1, 1, 1, 1, 1, 0]
    assert strict_client.project(project)["model_version"] == backend.version
    assert not strict_client.ml_backends(project) and not strict_client.webhooks(project)


def test_what_was_pushed_is_remembered_and_laid_beside_the_annotations(
    strict_client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    push: Callable[..., PushReport],
    tmp_path: Path,
) -> None:
    project = new_project(local_images(8))
    more = {"WINNOW_REMEMBER_DAYS": "30", "WINNOW_HELD_OUT_PERCENT": "50", "WINNOW_BLIND_PERCENT": "50"}
    first = push(project, more=more, state=tmp_path)
    tasks = predictions_of(strict_client, project)
    for task, found in tasks.items():
        said = found[0]["result"][0]["value"]["choices"][0] if found else "up"
        annotate(strict_client, task, said if task % 2 else "other")

    push(project, more=more, state=tmp_path)

    with closing(ServedStore(tmp_path, read_only=True)) as store:
        outcomes, held = store.outcomes(), store.held()
        vectors, _, _ = store.vectors(backend.version)
    shown = [task for task, found in tasks.items() if found]
    assert (held.predictions, held.withheld, held.answers) == (8, first.unpredicted, 8)
    assert (len(outcomes), outcomes.shown.sum(), len(vectors)) == (8, len(shown), 8)
    assert outcomes.overrides.sum() == sum(task % 2 == 0 for task in shown)


def test_nested_choices_which_bulk_imports_drop_are_stored_one_by_one(
    strict_client: LabelStudioClient, new_project: Callable[..., int]
) -> None:
    nested = (
        '<View><Image name="image" value="$image"/><Choices name="label" toName="image" allowNested="true">'
        '<Choice value="clothes"><Choice value="up"/><Choice value="down"/></Choice></Choices></View>'
    )
    project = new_project([{"image": "data:,"}] * 2, nested)

    report = push_predictions(strict_client, project, "v1", guess("v1", choice=["clothes", "up"]))

    found = predictions_of(strict_client, project)
    assert (report.pushed, report.dropped) == (2, 0)
    assert [each[0]["result"][0]["value"]["choices"] for each in found.values()] == [[["clothes", "up"]]] * 2


def test_label_stream_serves_the_least_certain_pushed_task(
    strict_client: LabelStudioClient,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    push: Callable[..., PushReport],
) -> None:
    project = new_project(local_images(5))
    push(project)
    scores = {task: found[0]["score"] for task, found in predictions_of(strict_client, project).items()}

    served = strict_client.call("GET", f"/api/projects/{project}/next/")["id"]

    assert served == min(scores, key=lambda task: scores[task])


def test_pass_that_was_killed_is_taken_up_where_it_ended(
    strict_client: LabelStudioClient, new_project: Callable[..., int]
) -> None:
    project = new_project([{"image": "data:,"}] * 5)
    with pytest.raises(KeyboardInterrupt):
        push_predictions(strict_client, project, "v1", guess("v1", kill_after=1), chunk=2)

    report = push_predictions(strict_client, project, "v1", guess("v1"), chunk=2)

    assert (report.present, report.pushed) == (2, 3)
    assert [len(each) for each in predictions_of(strict_client, project).values()] == [1] * 5


def test_predictions_that_were_stored_twice_are_thinned_out(
    strict_client: LabelStudioClient, new_project: Callable[..., int]
) -> None:
    project = new_project([{"image": "data:,"}])
    task = next(strict_client.tasks(project))
    strict_client.import_predictions(project, [{"task": task["id"], **guess("v1")([task])[0]}] * 2)

    report = push_predictions(strict_client, project, "v1", guess("v1"))

    assert (report.doubled, report.pushed) == (1, 0)
    assert [len(each) for each in predictions_of(strict_client, project).values()] == [1]


def test_old_versions_of_winnow_go_by_request_and_those_of_others_stay(
    strict_client: LabelStudioClient, new_project: Callable[..., int]
) -> None:
    project = new_project([{"image": "data:,"}])
    for version in ("0123456789ab", "somebody else's"):
        push_predictions(strict_client, project, version, guess(version))

    push_predictions(strict_client, project, "ba9876543210", guess("ba9876543210"), delete_old=True)

    assert set(strict_client.model_versions(project)) == {"ba9876543210", "somebody else's"}


def test_changed_annotation_is_noticed_without_reading_all_tasks(
    strict_client: LabelStudioClient, new_project: Callable[..., int]
) -> None:
    project = new_project([{"image": "data:,"}])
    annotate(strict_client, next(strict_client.tasks(project))["id"], "left")
    before = strict_client.latest_change(project)
    (annotation,) = next(strict_client.tasks(project))["annotations"]

    strict_client.call("PATCH", f"/api/annotations/{annotation['id']}/", json={"result": []})

    assert strict_client.latest_change(project) != before


def test_annotations_made_while_it_goes_on_are_kept_for_training(
    strict_client: LabelStudioClient, new_project: Callable[..., int], push: Callable[..., PushReport], tmp_path: Path
) -> None:
    project = new_project([{"image": "data:,"}] * 2)
    first, second = predictions_of(strict_client, project)
    passes: list[str] = []

    def say(report: str) -> None:
        passes.append(report)
        if len(passes) == 2:
            raise KeyboardInterrupt
        annotate(strict_client, first, "left")
        annotate(strict_client, second, None)

    with pytest.raises(KeyboardInterrupt):
        push(project, say, interval=0.1, state=tmp_path)

    with closing(LearningStore(tmp_path)) as store:
        assert [(each.project, each.annotations) for each in store.waiting()] == [(project, 1)]
