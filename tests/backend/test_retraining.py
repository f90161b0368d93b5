"""One training from annotations, with real files, a real store and a small network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backend.annotated_project import LEARNT, Project, annotated_task, save_small_classifier, small_project
from winnow.backend.job_files import JobSpec
from winnow.backend.learning_store import LearningStore
from winnow.backend.retraining import retrain
from winnow.plugin.errors import DataError, JobCancelled
from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.image_sources import ImageSources
from winnow.plugin.progress import silent


class Run:
    """Runs `retrain` on projects, in one state folder."""

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.store = LearningStore(spec.state)
        self._downloader = Downloader()
        self._jobs = 0
        self.held_out_before: set[str] = set()

    def __call__(self, project: Project, progress: Any = silent, **changes: Any) -> dict[str, Any]:
        """Return the report."""
        self._jobs += 1
        job = self.folder / f"job {self._jobs}"
        job.mkdir()
        sources = ImageSources(self._downloader, None, 1_000_000)
        spec = replace(self.spec, **changes)
        return retrain(spec, self.store, project, sources, job, progress)[1]

    def close(self) -> None:
        self.store.close()
        self._downloader.close()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_classifier(tmp_path_factory.mktemp("serving") / "model")


@pytest.fixture
def run(serving: Path, tmp_path: Path) -> Iterator[Run]:
    """Return what runs jobs in a state folder of their own."""
    made = Run(JobSpec(1, serving, tmp_path / "state", preset="probe", held_out_least=15), tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def two_jobs(serving: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, list[dict[str, Any]]]]:
    """Return two jobs' reports: of a project, and of the same one when it has grown and the first version is served."""
    folder = tmp_path_factory.mktemp("two jobs")
    made = Run(JobSpec(1, serving, folder / "state", preset="probe", held_out_least=15), folder)
    reports = [made(small_project(60))]
    made.store.hold_out(1, [f"task {number}" for number in range(1, 11)])  # as an earlier job may have
    made.held_out_before = made.store.held_out(1)
    reports += [made(small_project(80), classifier=folder / "state" / "versions" / reports[0]["version"])]
    yield made, reports
    made.close()


def test_version_is_written_with_its_report_and_can_be_served(two_jobs: tuple[Run, list[dict[str, Any]]]) -> None:
    from winnow.plugin.training.classifier import load_classifier
    from winnow.plugin.training.reference import Reference

    run, (report, _) = two_jobs

    version = run.store.versions()[-1]
    assert version.folder == run.spec.state / "versions" / report["version"]
    assert json.loads((version.folder / "report.json").read_text()) == report == version.report
    made = load_classifier(version.folder)
    assert (made.version, set(made.classes)) == (report["version"], {*LEARNT, "up"})
    reference = Reference.load(version.folder)
    assert reference is not None and reference.classes == made.classes


def test_new_classifier_is_judged_against_the_serving_one_on_images_it_was_not_trained_on(
    two_jobs: tuple[Run, list[dict[str, Any]]],
) -> None:
    _, (report, _) = two_jobs

    found, images = report["comparison"], report["images"]
    assert found["images"] == images["held_out"] >= 15
    assert images["trained_on"] + images["held_out"] == 60
    assert found["score"]["new"] >= 0.8 > 0.6 > found["score"]["serving"]
    assert found["interval"][0] > 0
    assert found["p_value"] < 0.05


def test_choices_that_no_class_matches_become_classes_and_those_without_an_image_are_kept(
    two_jobs: tuple[Run, list[dict[str, Any]]],
) -> None:
    _, (report, _) = two_jobs

    assert (report["classes"]["new"], report["classes"]["lost"]) == (["down"], [])
    assert "classes without an annotated image, kept as the serving classifier knew them: up" in report["notes"]


def test_held_out_tasks_are_never_trained_on_later(two_jobs: tuple[Run, list[dict[str, Any]]]) -> None:
    run, (_, later) = two_jobs

    assert run.held_out_before <= run.store.held_out(1)
    assert later["images"]["held_out"] == len(run.store.held_out(1))


def test_report_says_whether_the_serving_classifier_may_know_the_held_out_images(
    two_jobs: tuple[Run, list[dict[str, Any]]],
) -> None:
    _, (first, later) = two_jobs

    assert any("not known here" in note for note in first["notes"])
    assert not any("not known here" in note for note in later["notes"])
    assert later["continued_from"] == first["version"]


def test_tasks_that_were_sent_to_judge_by_are_held_out(run: Run) -> None:
    project = small_project()
    for task in project.contents[:12]:
        task["data"]["winnow_blind"] = True

    run(project)

    assert {f"task {task['id']}" for task in project.contents[:12]} <= run.store.held_out(1)


def test_tasks_of_one_group_are_held_out_together(run: Run) -> None:
    project = small_project()
    for task in project.contents:
        task["data"]["patient_id"] = f"patient {task['id'] // 4}"

    report = run(project, group_key="patient_id")

    held = run.store.held_out(1)
    patients = [task["data"]["patient_id"] for task in project.contents]
    assert all(unit.startswith("group patient") for unit in held)
    assert report["images"]["held_out"] == sum(f"group {patient}" in held for patient in patients)


def test_unreadable_images_and_copies_of_held_out_ones_are_left_out_and_counted(run: Run) -> None:
    project = small_project()
    project.contents += [annotated_task(100, "left", data={"image": "data:image/png;base64,bm8gaW1hZ2U="})]
    project.contents += [annotated_task(101, "left", data={"image": "s3://nowhere/a.png"})]
    run.store.hold_out(1, ["task 1"])
    copies = [annotated_task(number, "left", data=project.contents[0]["data"]) for number in range(200, 210)]
    project.contents += copies

    report = run(project)

    copies_held_out = {f"task {task['id']}" for task in copies} & run.store.held_out(1)
    assert report["images"]["repeat_a_held_out_one"] == len(copies) - len(copies_held_out) > 0
    assert report["images"]["unreadable"] == 2
    assert {failure["id"] for failure in report["failures"]} == {"100", "101"}


def test_blind_labels_alone_count_where_there_are_enough(run: Run) -> None:
    project = small_project(80)
    for task in project.contents[::2]:
        task["predictions"] = [{"created_at": "2025-12-31T00:00:00.000000Z"}]

    some = run(project, held_out_least=40)
    enough = run(project, held_out_least=10)

    assert (some["comparison"]["judged_on"], enough["comparison"]["judged_on"]) == ("all labels", "blind labels")
    assert any("lean towards" in note for note in some["notes"])
    assert not any("lean towards" in note for note in enough["notes"])
    assert enough["comparison"]["images"] == enough["comparison"]["labelled_blind"] < enough["images"]["held_out"]


def test_several_labels_an_image_are_learnt_where_the_config_allows_them(run: Run) -> None:
    project = small_project()
    project.label_config = project.label_config.replace('choice="single"', 'choice="multiple"')
    for task in project.contents[::2]:
        task["annotations"][0]["result"][0]["value"]["choices"].append("everything")

    report = run(project)

    assert report["classes"]["trained_on"].keys() == {*LEARNT, "up", "everything"}
    assert report["comparison"]["measure"] == "micro F1"
    assert report["comparison"]["score"]["new"] > report["comparison"]["score"]["serving"]


def test_too_few_annotations_are_refused_before_any_image_is_fetched(run: Run) -> None:
    with pytest.raises(DataError, match="Annotate 10 more"):
        run(small_project(20), progress=lambda *step: pytest.fail("work was begun"))


def test_one_class_is_refused(run: Run) -> None:
    project = Project([annotated_task(number, "left") for number in range(1, 41)])

    with pytest.raises(DataError, match="needs two"):
        run(project)


def test_cancelling_leaves_no_version(run: Run) -> None:
    def cancel(step: str, done: int, total: int) -> None:
        if step == "predictions":
            raise JobCancelled

    with pytest.raises(JobCancelled):
        run(small_project(), progress=cancel)

    assert run.store.versions() == []
    assert not (run.spec.state / "versions").exists()


def test_same_annotations_give_the_same_version(run: Run) -> None:
    project = small_project()

    versions = {run(project)["version"] for _ in range(2)}

    assert len(versions) == 1
    assert np.size(run.store.versions()) == 1
