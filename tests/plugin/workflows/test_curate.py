from __future__ import annotations

import json
from pathlib import Path

import fiftyone as fo
import pytest

from tests.label_sets import make_dataset as make_sets
from tests.mosaics import planted, write_mosaics
from winnow.plugin.datasets.runs import list_runs
from winnow.plugin.errors import ClassifierError, DataError
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.workflows.curate import CurateParams, CurateReport, curate
from winnow.plugin.workflows.embed import compute_embeddings

from .conftest import CLASSES, IMAGES, MakeDataset


@pytest.fixture(scope="module")
def report(shared: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> CurateReport:
    output = tmp_path_factory.mktemp("curated") / "classifier"
    return curate(shared, CurateParams(preset="probe", output=output))


def test_every_finding_becomes_a_field(report: CurateReport, shared: fo.Dataset) -> None:
    fields = {
        "duplicate_group": 2 * len(CLASSES),
        "duplicate_score": 2 * len(CLASSES),
        "leak_score": 2 * len(CLASSES),
        "label_quality": IMAGES,
        "label_issue": IMAGES,
        "prediction": IMAGES,
    }

    assert all(shared.count(name) >= least for name, least in fields.items())
    assert shared.has_field("suggested_label")
    assert shared.count("winnow_failure") == 0


def test_images_with_several_labels_each_are_curated_as_well(tmp_path: Path) -> None:
    shown = write_mosaics(tmp_path)
    dataset = make_sets(planted(shown))

    report = curate(dataset, CurateParams(preset="probe", output=tmp_path / "classifier"))

    found = report.summary()
    dataset.delete()
    assert found["label_issues"]["missing"] and found["label_issues"]["extra"]
    assert found["classifier"]["exact_match_clean_test"] > 0.6
    assert "| micro F1, clean" in report.text()


def test_every_step_leaves_a_run(report: CurateReport, shared: fo.Dataset) -> None:
    methods = [run.method for run in list_runs(shared)]

    assert methods == [
        "compute_embeddings",
        "find_duplicates",
        "find_leaks",
        "find_label_issues",
        "train_classifier",
        "apply_classifier",
        "evaluate_predictions",
    ]


def test_summary_has_the_fixed_keys(report: CurateReport) -> None:
    found = report.summary()

    assert {"images", "failures", "duplicates", "leaks", "label_issues", "classifier", "seconds"} <= set(found)
    assert found["images"] == IMAGES
    assert 0.8 < found["classifier"]["accuracy_clean_test"] <= 1
    assert 0.8 < found["classifier"]["accuracy_given_test"] <= 1
    assert found["classifier"]["evaluated_on"] == "test"


def test_leaked_test_images_are_left_out_of_the_clean_accuracy(report: CurateReport) -> None:
    assert report.evaluation is not None
    assert report.evaluation.leaked >= len(CLASSES)
    assert report.evaluation.clean.images == report.evaluation.given.images - report.evaluation.leaked


def test_classifier_lies_in_the_output_folder(report: CurateReport) -> None:
    assert load_classifier(Path(report.summary()["classifier"]["classifier"])).classes == CLASSES


def test_text_tells_each_finding_and_the_next_step(report: CurateReport) -> None:
    text = report.text()

    for words in ("near-duplicates", "leaks", "wrong labels", "accuracy", f"Next: `winnow app {report.dataset_name}`"):
        assert words in text


def test_a_second_run_computes_no_embeddings(report: CurateReport, shared: fo.Dataset) -> None:
    assert compute_embeddings(shared).computed == 0


def test_progress_names_every_step(some: fo.Dataset) -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    curate(
        some, CurateParams(preset="probe"), lambda step, done, total: told.setdefault(step, []).append((done, total))
    )

    assert {"embeddings", "nearest embeddings", "aligning pixels", "linear probe", "predictions"} <= set(told)
    assert all(done <= total for calls in told.values() for done, total in calls)


def test_summary_is_plain_json(report: CurateReport) -> None:
    json.dumps(report.summary(), allow_nan=False)


def test_an_unknown_preset_is_refused_before_any_work(garments: MakeDataset) -> None:
    made = garments()

    with pytest.raises(DataError, match="preset must be one of probe, quick"):
        curate(made, CurateParams(preset="strange"))

    assert not made.list_runs()


def test_a_folder_that_holds_something_else_is_refused_before_any_work(garments: MakeDataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    made = garments()

    with pytest.raises(ClassifierError, match="holds other files"):
        curate(made, CurateParams(output=tmp_path))

    assert not made.list_runs()
