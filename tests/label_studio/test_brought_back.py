"""Labels brought back from a real Label Studio, whose annotators skip, disagree, edit and delete."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from typer.testing import CliRunner

from tests.conftest import write_image
from tests.label_studio.server import RealLabelStudio
from winnow.__main__ import app
from winnow.plugin.datasets.labeling_batches import Batch, load_batch, mark_samples, read_plain_labels, save_batch
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.task_identity import SAMPLE, TaskIdentity
from winnow.plugin.workflows.pull import pull_from_label_studio
from winnow.plugin.workflows.pull_params import PullParams
from winnow.plugin.workflows.send import send_to_label_studio
from winnow.plugin.workflows.send_params import SendParams

CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="label" toName="image"><Choice value="Katze" alias="cat"/><Choice value="犬"/></Choices>
<Choices name="seen" toName="image" choice="multiple"><Choice value="tree"/><Choice value="road"/></Choices>
<Taxonomy name="place" toName="image" maxUsages="1"><Choice value="out"><Choice value="hill"/></Choice></Taxonomy>
</View>"""
FIELDS = {"label": "ground_truth", "seen": "seen", "place": "place"}
MORE_THAN_TWO_PAGES = 230

Make = Callable[[int], fo.Dataset]
Send = Callable[[fo.Dataset], tuple[int, dict[str, int]]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a factory of datasets of so many small images."""
    made: list[fo.Dataset] = []

    def call(count: int) -> fo.Dataset:
        paths = [write_image(tmp_path / "Bilder #1" / f"ü {number}.png", 4) for number in range(count)]
        made.append(fo.Dataset(f"brought-back-{uuid.uuid4().hex[:12]}"))
        made[-1].add_samples([fo.Sample(filepath=str(path)) for path in paths])
        return made[-1]

    yield call
    for dataset in made:
        dataset.delete()


@pytest.fixture
def send(client: LabelStudioClient, new_project: Callable[..., int]) -> Send:
    """Return what sends a dataset: `send(dataset)` gives the project and sample id -> task."""

    def call(dataset: fo.Dataset) -> tuple[int, dict[str, int]]:
        ids, paths = dataset.values(["id", "filepath"])
        hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
        marks = [TaskIdentity(key, dataset.name, sha, "one").data() for key, sha in zip(ids, hashes, strict=True)]
        project = new_project([{"image": "data:,", **each} for each in marks], CONFIG)
        tasks = {task["data"][SAMPLE]: int(task["id"]) for task in client.tasks(project)}
        before = [read_plain_labels(dataset, ids, field) for field in FIELDS.values()]
        batch = Batch(
            name="one",
            sample_ids=tuple(ids),
            hashes=tuple(hashes),
            labels_before=tuple(dict(zip(FIELDS.values(), each, strict=True)) for each in zip(*before, strict=True)),
            task_ids=tuple(tasks[key] for key in ids),
            blind=(False,) * len(ids),
            fields=FIELDS,
            url=client.base_url,
            project_id=project,
        )
        save_batch(dataset, batch)
        mark_samples(dataset, ids, "out", "one")
        return project, tasks

    return call


@pytest.fixture(scope="module")
def annotators(client: LabelStudioClient) -> list[int]:
    """Return the numbers of three users."""
    for name in ("second", "third"):
        address = f"{name}-{uuid.uuid4().hex[:8]}@example.org"
        client.call("POST", "/api/users/", json={"email": address, "username": name, "password": "of the tests"})
    return [int(user["id"]) for user in client.users()][:1] + [int(user["id"]) for user in client.users()][-2:]


def answer(client: LabelStudioClient, task: int, by: int | None = None, **choices: Any) -> int:
    """Submit answers by control, and return the annotation's number; without any, an empty answer."""
    result = []
    for name, chosen in choices.items():
        kind = "taxonomy" if name == "place" else "choices"
        result.append({"from_name": name, "to_name": "image", "type": kind, "value": {kind: chosen}})
    who = {} if by is None else {"completed_by": by}
    body = {"result": result, "lead_time": 1.5, **who}
    return int(client.call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])


def labels_of(dataset: fo.Dataset) -> list[str | None]:
    return dataset.values("ground_truth.label")


def stored(dataset: fo.Dataset) -> list[dict[str, Any]]:
    return list(dataset._sample_collection.find().sort("_id"))


def test_annotators_who_skip_disagree_and_leave_drafts(
    client: LabelStudioClient, make: Make, send: Send, annotators: list[int]
) -> None:
    dataset = make(5)
    project, tasks = send(dataset)
    agreed, split, skipped, drafted, _ = tasks.values()
    for by, choice in zip(annotators, ["cat", "cat", "犬"], strict=True):
        answer(client, agreed, by, label=[choice])
    for by, choice in zip(annotators[:2], ["cat", "犬"], strict=True):
        answer(client, split, by, label=[choice])
    client.call("POST", f"/api/tasks/{skipped}/annotations/", json={"result": [], "was_cancelled": True})
    client.call("POST", f"/api/tasks/{drafted}/drafts", json={"result": [], "lead_time": 1})

    report = pull_from_label_studio(dataset, PullParams(adjudicate="split"), client)

    assert labels_of(dataset) == ["cat", None, None, None, None]
    assert dataset.values("labeling_state") == ["back", "disagreement", "skipped", "out", "out"]
    assert dataset.load_saved_view("split").values("id") == [dataset.values("id")[1]]
    assert report.source == f"project {project} of Label Studio"


def test_edited_annotation_is_followed_and_a_deleted_one_is_told(
    client: LabelStudioClient, make: Make, send: Send
) -> None:
    dataset = make(2)
    _, tasks = send(dataset)
    edited, deleted = (answer(client, task, label=["cat"]) for task in tasks.values())
    pull_from_label_studio(dataset, PullParams(), client)
    value = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["犬"]}}
    client.call("PATCH", f"/api/annotations/{edited}/", json={"result": [value]})
    client.call("DELETE", f"/api/annotations/{deleted}/")

    report = pull_from_label_studio(dataset, PullParams(), client)

    assert labels_of(dataset) == ["犬", "cat"]
    assert (report.counts.changed, report.counts.withdrawn) == (1, 2)  # of two fields
    assert dataset.first().ground_truth.history[0]["label"] == "cat"


def test_each_control_goes_into_its_own_field_and_a_second_pull_changes_nothing(
    client: LabelStudioClient, make: Make, send: Send
) -> None:
    dataset = make(2)
    first, second = send(dataset)[1].values()
    answer(client, first, label=["cat"], seen=["tree", "road"], place=[["out", "hill"]])
    answer(client, second)
    pull_from_label_studio(dataset, PullParams(), client)
    before = stored(dataset)

    again = pull_from_label_studio(dataset, PullParams(), client)

    assert labels_of(dataset) == ["cat", None]
    assert dataset.values("seen.classifications.label") == [["road", "tree"], []]
    assert dataset.values("place.label") == ["out / hill", None]
    assert (again.action, stored(dataset)) == (None, before)


def test_labels_stay_on_their_own_samples_after_deletions_on_both_sides(
    client: LabelStudioClient, make: Make, send: Send
) -> None:
    dataset = make(6)
    _, tasks = send(dataset)
    ids = list(tasks)
    for row in (0, 2, 3, 5):
        answer(client, tasks[ids[row]], label=["cat" if row % 2 else "犬"])
    for row in (1, 3):
        client.call("DELETE", f"/api/tasks/{tasks[ids[row]]}/")
    dataset.delete_samples([ids[0]])

    report = pull_from_label_studio(dataset, PullParams(gone="remove"), client)

    assert labels_of(dataset) == [None, "犬", None, None, "cat"]
    assert dataset.values("labeling_state") == [None, "back", None, "out", "back"]
    assert (report.counts.missing_tasks, report.counts.deleted_samples) == (2, 1)


def test_disagreements_go_to_one_more_person_whose_answer_holds(
    client: LabelStudioClient, make: Make, send: Send, annotators: list[int]
) -> None:
    dataset = make(2)
    project, tasks = send(dataset)
    split = next(iter(tasks.values()))
    for by, choice in zip(annotators[:2], ["cat", "犬"], strict=True):
        answer(client, split, by, label=[choice])
    pull_from_label_studio(dataset, PullParams(adjudicate="split"), client)

    sent = send_to_label_studio(
        dataset.load_saved_view("split"),
        SendParams(batch="round_two", project=project, images="upload", fields=("label=ground_truth",)),
        client,
    )
    (again,) = client.tasks_of_batch(project, "round_two")
    answer(client, again["id"], annotators[2], label=["犬"])
    report = pull_from_label_studio(dataset, PullParams(), client)

    assert (sent.samples, labels_of(dataset)) == (1, ["犬", None])
    assert dataset.values("labeling_state") == ["back", "out"]
    assert report.counts.disagreements == 0


def test_exports_give_the_labels_that_the_server_gives(
    client: LabelStudioClient, make: Make, send: Send, tmp_path: Path
) -> None:
    dataset = make(3)
    project, tasks = send(dataset)
    first, second, third = tasks.values()
    answer(client, first, label=["cat"], seen=["tree", "road"], place=[["out", "hill"]])
    answer(client, second, label=["犬"], seen=["tree"])
    answer(client, third)
    found = []
    for kind, suffix in (("JSON", "json"), ("JSON_MIN", "json"), ("CSV", "csv")):
        copy = dataset.clone()
        save_batch(copy, load_batch(dataset, "one"))
        file = tmp_path / f"{kind}.{suffix}"
        query = {"exportType": kind, "download_all_tasks": "true"}
        file.write_bytes(client._with_login("GET", f"/api/projects/{project}/export", params=query).content)

        pull_from_label_studio(copy, PullParams(file=file))

        found.append(list(copy.values(["ground_truth.label", "seen.classifications.label", "place.label"])))
        copy.delete()

    assert found[0] == [["cat", "犬", None], [["road", "tree"], ["tree"], []], ["out / hill", None, None]]
    assert found[1] == found[2] == found[0]


def test_command_reads_all_pages_and_shows_no_secret(
    studio: RealLabelStudio, client: LabelStudioClient, make: Make, send: Send
) -> None:
    dataset = make(MORE_THAN_TWO_PAGES)
    _, tasks = send(dataset)
    keys = list(tasks)
    wanted = {keys[0]: "cat", keys[MORE_THAN_TWO_PAGES // 2]: "犬", keys[-1]: "犬"}
    for key, choice in wanted.items():
        answer(client, tasks[key], label=[choice])
    environment = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.token}

    result = CliRunner().invoke(app, ["labelstudio", "pull", dataset.name, "--json"], env=environment)

    labelled = dataset.exists("ground_truth")
    assert dict(zip(*labelled.values(["id", "ground_truth.label"]), strict=True)) == wanted
    assert sum(json.loads(result.stdout.splitlines()[-1])["by_class"].values()) == len(wanted)
    assert studio.token not in result.output
