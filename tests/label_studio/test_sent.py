"""Samples sent to a real Label Studio: each once, shown, with their predictions."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from typer.testing import CliRunner

from tests.conftest import save_label_issues, write_image
from tests.label_sets import make_judged
from tests.label_studio.conftest import annotate
from tests.label_studio.labeling_page import labeling_page, needs_chromium, open_task
from tests.label_studio.server import RealLabelStudio
from winnow.__main__ import app
from winnow.backend.contract import Task
from winnow.backend.learning_plan import LearningPlan
from winnow.plugin.datasets.labeling_batches import list_batches, load_batch
from winnow.plugin.errors import DataError
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.image_delivery import DeliveryError
from winnow.plugin.labeling.labeling_config import LabelingConfigError
from winnow.plugin.labeling.task_identity import SAMPLE
from winnow.plugin.workflows.review_labels import review_labels
from winnow.plugin.workflows.send import send_to_label_studio
from winnow.plugin.workflows.send_params import SendParams
from winnow.plugin.workflows.send_report import SendReport

ODD_NAMES = ("plain.png", "名前 mit # und 100%.jpg", "sub dir/ü&x=1?+.webp")
MANY = 2_000

MakeSamples = Callable[..., fo.Dataset]
Send = Callable[..., SendReport]


@pytest.fixture
def samples(studio: RealLabelStudio, dataset: Callable[..., fo.Dataset], tmp_path: Path) -> MakeSamples:
    """Return a factory of datasets, `samples(*names, served=True)`: one image a name, below the document root or not.

    Each is predicted to be a cat or a dog, the surer the earlier.
    """

    def make(*names: str, served: bool = True) -> fo.Dataset:
        folder = (studio.images if served else tmp_path) / f"set {len(list(studio.images.iterdir()))}"
        folder.mkdir()
        made = dataset()
        made.add_samples([fo.Sample(filepath=str(write_image(folder / name))) for name in names])
        guesses = [
            fo.Classification(label="犬 & dog" if row % 2 else "cat", confidence=0.9 / (row + 1), model_version="v1")
            for row in range(len(names))
        ]
        made.set_values("prediction", guesses)
        return made

    return make


@pytest.fixture
def send(client: LabelStudioClient, studio: RealLabelStudio) -> Send:
    """Return a sender, `send(view, **params)`, that knows the document root, into a new project where none is named."""

    def call(view: fo.Dataset | fo.DatasetView, **params: Any) -> SendReport:
        given = {"document_root": studio.images.parent, "prediction_field": "prediction"} | params
        return send_to_label_studio(view, SendParams(**given), client)

    return call


def test_only_what_somebody_is_unsure_about_goes_out(
    samples: MakeSamples, send: Send, client: LabelStudioClient
) -> None:
    made = samples(*(f"{number}.png" for number in range(5)))
    made.set_values("ground_truth", [fo.Classification(label="cat")] * 5)
    with pytest.raises(DataError, match="nobody is unsure about a label in 'ground_truth'"):
        send(made, unsure=True)
    ids = made.values("id")
    save_label_issues(made, ids, [0.1] * 5, ["dog"] * 5, [0.9] * 5)
    review_labels(made, "unsure", ids=ids[1:3])

    report = send(made, unsure=True)

    assert {task["data"][SAMPLE] for task in tasks_of(client, report)} == set(ids[1:3])


def test_images_one_of_whose_labels_somebody_is_unsure_about_go_out(
    studio: RealLabelStudio, send: Send, client: LabelStudioClient
) -> None:
    made = make_judged(studio.images / "several labels")
    ids = made.values("id")
    review_labels(made, "accept", ids=ids[:1])
    review_labels(made, "unsure", ids=ids[1:2])

    report = send(made, unsure=True, prediction_field=None)

    assert {task["data"][SAMPLE] for task in tasks_of(client, report)} == set(ids[1:2])
    made.delete()


def tasks_of(client: LabelStudioClient, report: SendReport) -> list[dict[str, Any]]:
    """Return the project's tasks in the order in which the label stream shows them."""
    return list(client.tasks(report.project_id))


@pytest.fixture
def many(studio: RealLabelStudio, dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return 2,000 samples in ten folders, all different, ranked from the last to the first."""
    rng = np.random.default_rng(0)
    made, samples = dataset("many # samples"), []
    for number in range(MANY):
        path = studio.images / "many" / f"Ordner {number % 10} ü#" / f"{number:04d} 猫.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        guess = fo.Classification(label="ab"[number % 2], confidence=0.5, model_version="v1")
        samples.append(fo.Sample(filepath=str(path), selection_rank=MANY - number, prediction=guess))
    made.add_samples(samples)
    return made


def killed_sender(
    studio: RealLabelStudio, client: LabelStudioClient, target: fo.Dataset, *, after: int
) -> subprocess.Popen[bytes]:
    """Run `winnow labelstudio send` in a process of its own, and kill it once so many tasks have arrived."""
    arguments = ["labelstudio", "send", target.name, "--prediction-field", "prediction", "--title", "killed half-way"]
    environment = os.environ | {
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(studio.images.parent),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "winnow", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None:
        listed = client.call("GET", "/api/projects/", params={"page_size": 1000})["results"]
        arrived = [each["task_number"] or 0 for each in listed if each["title"] == "killed half-way"]
        if arrived and arrived[0] >= after:
            process.kill()
        time.sleep(0.05)
    return process


def test_a_sender_that_was_killed_goes_on_and_each_sample_arrives_once(
    studio: RealLabelStudio, client: LabelStudioClient, many: fo.Dataset, send: Send
) -> None:
    process = killed_sender(studio, client, many, after=MANY // 4)
    assert process.returncode == -9, process.stderr.read() if process.stderr else ""

    report = send(many)

    tasks = tasks_of(client, report)
    paths = dict(zip(*many.values(["id", "filepath"]), strict=True))
    shown = [paths[task["data"]["winnow_sample"]] for task in tasks]
    assert (len(tasks), report.sent + report.present) == (MANY, MANY) and report.present >= MANY // 4
    assert shown == sorted(paths.values(), key=os.path.basename, reverse=True)  # by rank
    assert Counter(len(task["predictions"]) for task in tasks) == {1: MANY}
    assert {client.file_status(task["data"]["image"]) for task in tasks[::100]} == {206}
    batch = load_batch(many, report.batch)
    assert batch.is_complete and dict(zip(batch.sample_ids, batch.task_ids, strict=True)) == {
        task["data"]["winnow_sample"]: task["id"] for task in tasks
    }
    assert many.count_values("labeling_state") == {"out": MANY}


@pytest.mark.parametrize("images", ["local-files", "upload"])
def test_images_of_any_name_are_shown(client: LabelStudioClient, samples: MakeSamples, send: Send, images: str) -> None:
    report = send(samples(*ODD_NAMES), images=images)

    tasks = tasks_of(client, report)
    assert [client.file_status(task["data"]["image"]) for task in tasks] == [206, 206, 206]
    assert [task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks] == [
        ["cat"],
        ["犬 & dog"],
        ["cat"],
    ]
    assert [task["predictions"][0]["score"] for task in tasks] == pytest.approx([0.9, 0.45, 0.3])


@needs_chromium
def test_annotators_see_image_choices_and_prediction(
    studio: RealLabelStudio, client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    classes = ("cat", "犬 & dog", *(f"$class {number}" for number in range(20)))
    report = send(samples("#1 猫.png", "b.png"), classes=classes, images="local-files")

    with labeling_page(studio) as page:
        open_task(page, studio, report.project_id)
        expect(page.locator(".lsf-choices input:checked")).to_have_count(1)
        checked = page.locator(".lsf-choices input:checked").get_attribute("name")
        page.wait_for_function("[...document.images].some(each => each.naturalWidth == 16)")
        page.get_by_placeholder("Find").fill("class 7")
        expect(page.locator(".lsf-choices input:visible")).to_have_count(1)

    assert checked == "cat"


def test_images_outside_of_the_document_root_are_uploaded(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    report = send(samples("a.png", "b.png", served=False))

    assert report.ways == {"uploaded": 2}
    assert {client.file_status(task["data"]["image"]) for task in tasks_of(client, report)} == {206}


def test_local_files_that_cannot_be_served_are_an_error_that_names_the_folder(samples: MakeSamples, send: Send) -> None:
    outside = samples("a.png", served=False)

    with pytest.raises(DeliveryError, match="below the document root"):
        send(outside, images="local-files")


def test_a_document_root_that_label_studio_does_not_have_is_told_and_images_are_uploaded(
    samples: MakeSamples, send: Send, tmp_path: Path
) -> None:
    report = send(samples("a.png", served=False), document_root=tmp_path)

    assert report.ways == {"uploaded": 1}
    assert any("must be a subdirectory of LOCAL_FILES_DOCUMENT_ROOT" in note for note in report.notes)


def test_what_cannot_be_shown_is_told_and_nothing_else_is_lost(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    made = samples("good.png", "damaged.png", "gone.png", "deep.png")
    paths = [Path(path) for path in made.values("filepath")]
    paths[1].write_bytes(b"no image")
    paths[2].unlink()
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16)).save(paths[3])

    report = send(made)

    good, deep = tasks_of(client, report)
    assert [Path(failure.path).name for failure in report.failures] == ["damaged.png", "gone.png"]
    assert made.values("labeling_state") == ["out", None, None, "out"]
    assert deep["data"]["winnow_original_image"].endswith("deep.png") and "winnow-copies" in deep["data"]["image"]
    assert client.file_status(deep["data"]["image"]) == 206 and "winnow-copies" not in good["data"]["image"]


def test_a_second_run_sends_nothing(client: LabelStudioClient, samples: MakeSamples, send: Send) -> None:
    made = samples("a.png", "b.png")
    first = send(made)

    second = send(made)

    assert (second.samples, second.elsewhere, len(tasks_of(client, first))) == (0, {first.batch: 2}, 2)
    assert [entry.name for entry in list_batches(made)] == [first.batch]


def test_a_dry_run_tells_and_changes_nothing(client: LabelStudioClient, samples: MakeSamples, send: Send) -> None:
    made = samples("a.png", "b.png")
    before = client.call("GET", "/api/projects/")["count"]

    report = send(made, dry_run=True)

    assert "2 tasks would be sent" in report.text()
    assert (client.call("GET", "/api/projects/")["count"], list_batches(made)) == (before, [])
    assert not made.has_field("labeling_state")


def test_the_next_batch_goes_into_the_same_project_with_its_new_classes(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    made = samples("a.png", "b.png", "c.png")
    first = send(made.limit(1))
    made.set_values("prediction.label", ["cat", "dog", "Löwe"])

    second = send(made.skip(1))

    config = client.project(second.project_id)["label_config"]
    assert (second.project_id, second.batch, len(tasks_of(client, second))) == (first.project_id, "2", 3)
    assert all(f'value="{name}"' in config for name in ("cat", "犬 & dog".replace("&", "&amp;"), "dog", "Löwe"))


def test_blind_tasks_have_no_prediction_and_get_none_from_a_backend(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    report = send(samples(*(f"{number}.png" for number in range(30))), blind_share=0.4)

    tasks = tasks_of(client, report)
    blind = {task["id"] for task in tasks if task["data"].get("winnow_blind")}
    withheld = {task["id"] for task in tasks if LearningPlan().withholds(Task(id=task["id"], data=task["data"]))}
    assert 0 < report.blind == len(blind) < 30
    assert {task["id"] for task in tasks if not task["predictions"]} == blind == withheld
    assert report.predictions == 30 - len(blind)


def test_an_evaluation_set_is_labelled_blind_by_as_many_as_asked(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    made = samples("a.png", "b.png")

    report = send(made, purpose="evaluation", annotators=3)

    assert (report.blind, report.predictions, load_batch(made, report.batch).purpose) == (2, 0, "evaluation")
    assert {task["overlap"] for task in tasks_of(client, report)} == {3}


def test_a_project_of_ones_own_is_taken_with_its_names_and_its_order(
    client: LabelStudioClient, samples: MakeSamples, send: Send, new_project: Callable[..., int]
) -> None:
    taxonomy = '<Taxonomy name="kind" toName="photo"><Choice value="pets"><Choice value="cat"/></Choice></Taxonomy>'
    project = new_project(config=f'<View><Image name="photo" value="$url"/>{taxonomy}</View>')
    client.update_project(project, sampling="Uniform sampling")
    client.call("POST", f"/api/projects/{project}/import", json=[{"url": "/other.png"}])
    annotate(client, next(client.tasks(project))["id"], None)

    report = send(samples("a.png", "b.png"), project=project)

    task = tasks_of(client, report)[1]
    assert report.fields == {"kind": "ground_truth"} and "images/" in task["data"]["url"]
    assert task["predictions"][0]["result"][0]["value"] == {"taxonomy": [["pets", "cat"]]}
    assert (report.predictions, report.unwritable) == (1, 1)
    assert client.project(project)["sampling"] == "Uniform sampling"
    assert any("sampling stays" in note for note in report.notes)


def test_a_project_that_asks_for_other_classes_is_refused_before_anything_is_sent(
    client: LabelStudioClient, samples: MakeSamples, send: Send, new_project: Callable[..., int]
) -> None:
    project, made = new_project(), samples("a.png")

    with pytest.raises(LabelingConfigError, match="no choice of 'label' matches a class"):
        send(made, project=project)

    assert (list(client.tasks(project)), list_batches(made)) == ([], [])


def test_a_batch_whose_project_was_deleted_can_be_sent_again(
    client: LabelStudioClient, samples: MakeSamples, send: Send
) -> None:
    made = samples("a.png", "b.png")
    client.call("DELETE", f"/api/projects/{send(made).project_id}/")

    report = send(made, again=True)

    assert (report.sent, report.batch) == (2, "2") and any("is gone" in note for note in report.notes)


def test_a_batch_that_was_not_finished_is_given_up_when_its_samples_are_sent_again(
    samples: MakeSamples, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = samples("a.png", "b.png")
    with monkeypatch.context() as patched:
        patched.setattr(LabelStudioClient, "import_tasks", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            send(made)

    report = send(made, again=True, new_project=True)

    assert (report.sent, [entry.name for entry in list_batches(made)]) == (2, [report.batch])


def test_a_name_of_a_batch_is_used_once(samples: MakeSamples, send: Send) -> None:
    made = samples("a.png", "b.png")
    send(made.limit(1), batch="first")

    with pytest.raises(DataError, match="has a batch 'first' already"):
        send(made, batch="first")


def test_samples_that_were_deleted_meanwhile_are_passed_over(
    client: LabelStudioClient, samples: MakeSamples, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = samples("a.png", "b.png", "c.png")
    with monkeypatch.context() as patched:
        patched.setattr(LabelStudioClient, "import_tasks", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            send(made)
    made.delete_samples(made.values("id")[1:2])

    report = send(made)

    assert (report.batch, report.sent, len(tasks_of(client, report))) == ("1", 2, 2)
    assert len(load_batch(made, "1")) == 2


def _interrupted(*arguments: Any) -> Any:
    raise KeyboardInterrupt


@pytest.fixture
def secrets(studio: RealLabelStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put Label Studio's address and token where the command line and the App look for them."""
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    return


def test_the_command_sends_and_shows_no_token(
    studio: RealLabelStudio, client: LabelStudioClient, samples: MakeSamples, secrets: None
) -> None:
    made = samples("a.png", served=False)

    sent = CliRunner().invoke(app, ["labelstudio", "send", made.name, "--prediction-field", "prediction", "--json"])

    assert sent.exit_code == 0 and '"sent": 1' in sent.stdout
    assert studio.token not in sent.output


def test_the_operator_sends_and_keeps_no_token(
    studio: RealLabelStudio, client: LabelStudioClient, samples: MakeSamples, secrets: None
) -> None:
    import fiftyone.operators as foo

    from winnow.plugin.workflows.install import install

    install()
    made = samples("a.png", served=False)

    params = {"classes": ["cat", "dog"], "label_field": "ground_truth"}
    done = foo.execute_operator("@winnow/curation/send_to_label_studio", params=params, dataset=made)

    assert done.result["summary"]["sent"] == 1
    assert studio.token not in str(done.result) and studio.token not in str(made.get_run_info("winnow_batch_1"))
