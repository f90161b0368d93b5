"""One real Label Studio for all tests of this folder, and a real backend beside it.

Label Studio keeps its protections; it spares the backend's one address by the narrow exception that `doctor` proposes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from tests.conftest import write_image
from tests.label_studio.server import RealLabelStudio, free_port, running_label_studio
from tests.small_classifier import CLASSES, small_classifier
from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.label_studio import Announcer
from winnow.backend.learning import Learning
from winnow.backend.learning_plan import LearningPlan
from winnow.backend.loading import load_warm
from winnow.backend.remembering import Memory, RememberPlan
from winnow.backend.settings import Settings
from winnow.plugin.labeling.attached_backend import Backend
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.reserved_addresses import narrow_exception

if TYPE_CHECKING:
    from winnow.plugin.training.classifier import Classifier

CHECKOUT = Path(__file__).parents[2]
LOGIN = ("winnow", "a password")
CHOICES = "".join(f'<Choice value="{name}"/>' for name in CLASSES)
CONFIG = f'<View><Image name="image" value="$image"/><Choices name="label" toName="image">{CHOICES}</Choices></View>'


@pytest.fixture(scope="session")
def executable() -> Path:
    """Return the command `label-studio`; CI has to have it."""
    default = CHECKOUT / ".label-studio" / "bin" / "label-studio"
    found = Path(os.environ.get("WINNOW_TEST_LABEL_STUDIO") or default)
    if not found.is_file():
        message = f"Label Studio is not installed at {found}; `make label-studio` runs these tests too"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def studio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of Label Studio's database, uploads and local files."""
    return tmp_path_factory.mktemp("label-studio")


@pytest.fixture(scope="session")
def studio(executable: Path, studio_folder: Path) -> Iterator[RealLabelStudio]:
    """Run a Label Studio that may call 127.0.0.1 and no other private address."""
    with running_label_studio(executable, studio_folder, **narrow_exception("127.0.0.1")) as running:
        yield running


@pytest.fixture(scope="session")
def client(studio: RealLabelStudio) -> Iterator[LabelStudioClient]:
    """Return a client of the Label Studio."""
    with LabelStudioClient(studio.url, studio.token) as made:
        yield made


@dataclass(frozen=True)
class RunningBackend:
    """A backend that serves a classifier of three classes.

    Attributes:
        backend: Its address and login, for Label Studio.
        folder: The classifier's.
        state: Of what is learnt.
        host: Of the classifier.
        learning: What its webhook feeds; too few annotations come for a job to start by itself.
    """

    backend: Backend
    folder: Path
    state: Path
    host: ModelHost
    learning: Learning

    @property
    def version(self) -> str:
        """The version that is served."""
        return self.host.served.version


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Return the classifier that is served."""
    return small_classifier(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def backend(
    studio: RealLabelStudio, classifier: Classifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningBackend]:
    """Run the backend, with a login, beside the Label Studio."""
    from winnow.plugin.training.classifier import save_classifier

    folder = save_classifier(classifier, tmp_path_factory.mktemp("classifier") / "small")
    settings = Settings(
        basic_auth=LOGIN,
        label_studio_url=studio.url,
        label_studio_token=studio.token,
        document_root=studio.images.parent,
        image_cache_bytes=0,
    )
    load = partial(load_warm, vectors=True)
    host = ModelHost(lambda: load(folder))
    plan = LearningPlan(least_annotations=1_000_000, preset="probe", held_out_share=0.3, held_out_least=10)
    state = tmp_path_factory.mktemp("state")
    memory = Memory(state, RememberPlan(days=30))
    learning = Learning(folder, state, host, load, plan, Announcer(settings), memory)
    host.start()
    host.wait()
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, host, learning, memory=memory), port=port, log_config=None, access_log=False
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield RunningBackend(Backend(f"http://127.0.0.1:{port}", LOGIN), folder, state, host, learning)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def memories(tmp_path: Path) -> AttachmentMemories:
    """Return an empty memory of attachments."""
    return AttachmentMemories(tmp_path / "attachments")


@pytest.fixture(scope="session")
def new_project(client: LabelStudioClient) -> Callable[..., int]:
    """Return a factory of projects, `new_project(tasks=(), config=CONFIG)`, which returns the project's number."""

    def make(tasks: list[dict[str, Any]] | None = None, config: str = CONFIG) -> int:
        project = client.call("POST", "/api/projects/", json={"title": "garments", "label_config": config})
        if tasks:
            client.call("POST", f"/api/projects/{project['id']}/import", json=tasks)
        return int(project["id"])

    return make


@pytest.fixture(scope="session")
def local_images(studio: RealLabelStudio) -> Callable[[int], list[dict[str, Any]]]:
    """Return a factory of tasks, `local_images(count)`, over different images below Label Studio's document root."""

    def make(count: int) -> list[dict[str, Any]]:
        paths = [write_image(studio.images / f"image {number}.png") for number in range(count)]
        return [{"image": f"/data/local-files/?d=images/{path.name.replace(' ', '%20')}"} for path in paths]

    return make


def add_storage(client: LabelStudioClient, project: int, folder: Path) -> None:
    """Have Label Studio serve a folder's files to a project."""
    client.call(
        "POST", "/api/storages/localfiles/", json={"project": project, "path": str(folder), "use_blob_urls": True}
    )


def retrieve_predictions(client: LabelStudioClient, project: int) -> None:
    """Press Retrieve Predictions for all tasks of a project."""
    query = {"id": "retrieve_tasks_predictions", "project": project}
    body = {"project": project, "selectedItems": {"all": True, "excluded": []}}
    client.call("POST", "/api/dm/actions/", params=query, json=body)


def predictions_of(client: LabelStudioClient, project: int) -> dict[int, list[dict[str, Any]]]:
    """Return the predictions of each task."""
    return {task["id"]: task["predictions"] for task in client.tasks(project)}


def annotate(client: LabelStudioClient, task: int, choice: str | None) -> None:
    """Submit a choice for a task; None = skip it."""
    value = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
    body = {"result": [] if choice is None else [value], "was_cancelled": choice is None}
    client.call("POST", f"/api/tasks/{task}/annotations/", json=body)
