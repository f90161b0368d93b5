from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from scipy.special import softmax

from tests.small_classifier import CLASSES as DIRECTIONS
from tests.small_classifier import small_classifier
from winnow.plugin.datasets.predictions import read_predictions
from winnow.plugin.datasets.runs import delete_run, load_run
from winnow.plugin.datasets.samples import read_samples
from winnow.plugin.errors import ClassifierError, DataError, FieldError, JobCancelled
from winnow.plugin.training.classifier import save_classifier
from winnow.plugin.workflows import predict
from winnow.plugin.workflows.predict import RUN, PredictParams, PredictReport, apply_classifier
from winnow.plugin.workflows.train import TrainParams, train_classifier

from .conftest import CLASSES, IMAGES, MakeDataset, truncated_png


@pytest.fixture(scope="module")
def classifier(shared: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("classifier")
    return train_classifier(shared, TrainParams(preset="probe", output=output)).classifier_dir


@pytest.fixture(scope="module")
def report(shared: fo.Dataset, classifier: Path) -> PredictReport:
    return apply_classifier(shared, PredictParams(classifier))


def test_every_image_gets_a_label_and_a_confidence(report: PredictReport, shared: fo.Dataset) -> None:
    predictions = shared.values("prediction")

    assert len(predictions) == IMAGES
    assert {found.label for found in predictions} == set(CLASSES)
    assert all(1 / len(CLASSES) <= found.confidence <= 1 for found in predictions)


def test_most_predictions_are_right(report: PredictReport, shared: fo.Dataset) -> None:
    pairs = list(zip(*shared.values(["prediction.label", "ground_truth.label"]), strict=True))

    assert sum(found == true for found, true in pairs) > 0.9 * IMAGES


def test_run_names_the_version_of_the_classifier(report: PredictReport, shared: fo.Dataset) -> None:
    run = load_run(shared, "winnow_predictions")

    assert run.params["version"] == report.version
    assert run.fields == ("prediction",)


def test_csv_has_a_row_an_image(report: PredictReport, tmp_path: Path) -> None:
    report.write_csv(tmp_path / "predictions.csv")

    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "confidence"]
    assert [row["path"] for row in rows] == report.paths.tolist()
    assert {row["label"] for row in rows} == set(CLASSES)
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)


def test_an_image_that_cannot_be_read_costs_only_its_own_prediction(
    garments: MakeDataset, classifier: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut off.png").write_bytes(truncated_png())
    made = garments("test/bag/*")
    broken = fo.Sample(filepath=str(tmp_path / "cut off.png"))
    made.add_sample(broken)

    report = apply_classifier(made, PredictParams(classifier, batch_size=4))

    assert made.count("prediction") == len(made) - 1
    assert made[broken.id].winnow_failure
    assert [failure.id for failure in report.failures] == [broken.id]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a factory of classifier folders of a small network, `small(multilabel=False, thresholds=None)`."""

    def make(**settings: Any) -> Path:
        made = small_classifier(tmp_path_factory.mktemp("weights"), **settings)
        return save_classifier(made, tmp_path_factory.mktemp("small"))

    return make


def test_predictions_tell_how_unsure_they_are_and_whose(report: PredictReport, shared: fo.Dataset) -> None:
    entropy, margin, confidence, version = shared.values(
        [f"prediction.{name}" for name in ("entropy", "margin", "confidence", "model_version")]
    )

    assert set(version) == {report.version}
    assert all(0 <= value <= 1 for value in entropy)
    assert all(0 <= value <= sure for value, sure in zip(margin, confidence, strict=True))
    assert np.corrcoef(entropy, margin)[0, 1] < -0.8
    assert shared.exists("prediction.logits").count() == 0


def test_logits_are_stored_where_they_are_asked_for_and_label_issues_can_read_them(
    garments: MakeDataset, classifier: Path
) -> None:
    made = garments("test/*/00*")

    apply_classifier(made, PredictParams(classifier, logits=True))

    found = [prediction.logits for prediction in made.values("prediction")]
    np.testing.assert_allclose(softmax(found, axis=1).max(axis=1), made.values("prediction.confidence"), atol=1e-6)
    assert made.classes["prediction"] == list(CLASSES)
    probabilities, notes = read_predictions(made, "prediction", read_samples(made))
    np.testing.assert_allclose(probabilities, softmax(found, axis=1), atol=1e-6)
    assert notes == ()


def test_running_again_replaces_its_own_field_alone(garments: MakeDataset, small: Callable[..., Path]) -> None:
    made = garments("test/bag/00*")
    folder = small()
    for field in ("prediction", "second"):
        apply_classifier(made, PredictParams(folder, prediction_field=field, logits=True))
    before = {field: made.values(f"{field}.id") for field in ("ground_truth", "prediction", "second")}
    some = made.limit(4)

    apply_classifier(some, PredictParams(folder))

    after = {field: made.values(f"{field}.id") for field in before}
    assert (after["ground_truth"], after["second"]) == (before["ground_truth"], before["second"])
    changed = [old != new for old, new in zip(before["prediction"], after["prediction"], strict=True)]
    assert changed == [True] * 4 + [False] * (len(made) - 4)
    assert made.exists("prediction.logits").count() == len(made) - 4


def test_an_image_that_cannot_be_read_any_more_loses_its_prediction(
    garments: MakeDataset, small: Callable[..., Path], tmp_path: Path
) -> None:
    made, folder = garments("test/bag/00*"), small()
    apply_classifier(made, PredictParams(folder))
    sample = made.first()
    sample.filepath = str(tmp_path / "gone.png")
    sample.save()

    apply_classifier(made, PredictParams(folder))

    assert [found is None for found in made.values("prediction")] == [True] + [False] * (len(made) - 1)
    assert "no such file" in made.values("winnow_failure")[0]


def test_images_in_which_no_class_reaches_its_threshold_get_no_label_and_are_counted(
    garments: MakeDataset, small: Callable[..., Path], tmp_path: Path
) -> None:
    made = garments("test/*/00*")

    report = apply_classifier(made, PredictParams(small(thresholds=(0.9, 0.9, 2.0))))

    report.write_csv(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["path"]: row["label"] for row in csv.DictReader(file)}
    found = dict(zip(*made.values(["filepath", "prediction.label"]), strict=True))
    assert 0 < report.unlabelled < len(made)
    assert sum(label is None for label in found.values()) == report.summary()["unlabelled"] == report.unlabelled
    assert rows == {path: label or "" for path, label in found.items()}
    assert "no class reaches its threshold" in report.text()


def test_independent_classes_become_several_labels(
    garments: MakeDataset, small: Callable[..., Path], tmp_path: Path
) -> None:
    made = garments("test/*/00*")

    report = apply_classifier(made, PredictParams(small(multilabel=True), logits=True))

    for found in made.values("prediction"):
        probabilities = 1 / (1 + np.exp(-found.logits))
        expected = {name: p for name, p in zip(DIRECTIONS, probabilities, strict=True) if p >= 0.5}
        assert {each.label: each.confidence for each in found.classifications} == pytest.approx(expected, abs=1e-6)
        assert found.margin == pytest.approx(np.abs(2 * probabilities - 1).min(), abs=1e-6)
        assert found.model_version == report.version
    assert len({len(found.classifications) for found in made.values("prediction")}) > 1
    report.write_csv(tmp_path / "predictions.csv")
    lines = (tmp_path / "predictions.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + made.count("prediction.classifications") + report.unlabelled


def test_a_cancelled_job_leaves_whole_chunks_that_can_be_deleted_with_its_run(
    garments: MakeDataset, small: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = garments("test/bag/00*"), small()
    monkeypatch.setattr(predict, "predict_in_chunks", partial(predict.predict_in_chunks, chunk=4))

    def cancel(step: str, done: int, total: int) -> None:
        if done > 4:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        apply_classifier(made, PredictParams(folder, batch_size=2), cancel)

    assert [found is not None for found in made.values("prediction")] == [True] * 4 + [False] * (len(made) - 4)
    delete_run(made, RUN)
    assert not made.has_field("prediction")


def test_a_field_of_the_user_is_refused_before_the_work(garments: MakeDataset, small: Callable[..., Path]) -> None:
    made = garments("test/bag/00*")
    made.add_sample_field("mine", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    steps: list[str] = []

    with pytest.raises(FieldError, match=r"'mine'.*was not made by Winnow"):
        apply_classifier(
            made, PredictParams(small(), prediction_field="mine"), lambda step, done, total: steps.append(step)
        )

    assert steps == []


def test_a_batch_of_no_images_is_refused() -> None:
    with pytest.raises(DataError, match="batch_size must be at least 1, got 0"):
        PredictParams("classifier", batch_size=0)


def test_unlabelled_images_are_predicted_too(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/*")
    made.delete_sample_fields(["ground_truth", "split"])

    apply_classifier(made, PredictParams(classifier))

    assert made.count("prediction") == len(made)


def test_predictions_go_to_the_field_that_was_asked_for(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/00*")

    apply_classifier(made, PredictParams(classifier, prediction_field="second_model"))

    assert made.count("second_model") == len(made)
    assert not made.has_field("prediction")


def test_labels_are_never_overwritten_by_predictions(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/00*")

    with pytest.raises(FieldError, match="holds the labels that were read"):
        apply_classifier(made, PredictParams(classifier, prediction_field="ground_truth"))
    assert made.distinct("ground_truth.label") == ["bag"]


@pytest.mark.parametrize("existing", [True, False])
def test_a_folder_without_a_classifier_is_an_error_that_names_it(
    shared: fo.Dataset, tmp_path: Path, existing: bool
) -> None:
    folder = tmp_path if existing else tmp_path / "nowhere"

    with pytest.raises(ClassifierError, match=f"no classifier in '{folder}'.*`winnow train` makes one"):
        apply_classifier(shared, PredictParams(folder))
