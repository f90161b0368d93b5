from __future__ import annotations

from typing import Any

import fiftyone as fo
import numpy as np
import pytest
import torch

from winnow.plugin.datasets.runs import list_runs, load_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.progress import silent
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.predicted_classes import predicted_classes
from winnow.plugin.workflows.vectors import VectorParams, embed_collection

from .conftest import CLASSES, MakeDataset

TINY = VectorParams(image_size=32)


def flip(made: fo.Dataset, chosen: list[str]) -> None:
    """Give these samples the label of the next class."""
    true = dict(zip(*made.select(chosen).values(["id", "ground_truth.label"]), strict=True))
    wrong = {key: CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)] for key, label in true.items()}
    made.set_values("ground_truth", {key: fo.Classification(label=label) for key, label in wrong.items()}, "id")


def predict_the_labels(made: fo.Dataset, confidence: float = 0.95) -> None:
    """Fill the field `model` with predictions of the present labels."""
    labels = made.values("ground_truth.label")
    made.set_values("model", [fo.Classification(label=label, confidence=confidence) for label in labels])


@pytest.fixture
def predicted(garments: MakeDataset) -> tuple[fo.Dataset, list[str]]:
    """Return 50 images, of which a model knows the true classes, and the ids of five whose labels are wrong."""
    made = garments("train/*/00*")
    predict_the_labels(made)
    wrong = made.values("id")[::10]
    flip(made, wrong)
    return made, wrong


def test_predictions_that_are_right_find_the_wrong_labels(predicted: tuple[fo.Dataset, list[str]]) -> None:
    made, wrong = predicted

    report = find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))

    assert set(report.samples.ids[report.issues.is_issue]) == set(wrong)
    assert made.select(wrong).values("suggested_label.label") == made.select(wrong).values("model.label")


def test_predictions_add_to_what_the_images_say(predicted: tuple[fo.Dataset, list[str]]) -> None:
    made, wrong = predicted
    alone = find_label_issues(made, LabelIssueParams(vectors=TINY))

    both = find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))

    is_wrong = np.isin(alone.samples.ids, wrong)
    margins = [found.issues.quality[~is_wrong].min() - found.issues.quality[is_wrong].max() for found in (alone, both)]
    assert margins[1] > max(0, margins[0])


def test_what_is_missing_of_the_predictions_is_told(predicted: tuple[fo.Dataset, list[str]]) -> None:
    made, _ = predicted
    made.set_values("model", {made.first().id: None}, "id")

    report = find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))

    assert "1 of 50 samples have no prediction in 'model'" in report.summary()["notes"]
    assert "1 of 50 samples have no prediction in 'model'" in report.text()


def test_the_run_knows_what_it_judged_by(predicted: tuple[fo.Dataset, list[str]]) -> None:
    made, _ = predicted

    find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))

    params = load_run(made, "winnow_label_issues").params
    assert (params["predictions_field"], params["fine_tune"]) == ("model", False)


def test_predictions_of_classes_that_are_one_are_judged_as_one(predicted: tuple[fo.Dataset, list[str]]) -> None:
    made, wrong = predicted
    bags = made.match(fo.ViewField("ground_truth.label") == "bag").values("id")
    made.set_values("ground_truth.label", dict.fromkeys(bags[::3], "BAG"), key_field="id")

    report = find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))

    assert set(report.samples.ids[report.issues.is_issue]) == set(wrong)


def test_a_field_that_does_not_exist_is_an_error_before_any_work(garments: MakeDataset) -> None:
    made = garments("test/*/00*")

    with pytest.raises(FieldError, match="no field 'nothing'"):
        find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="nothing"))
    assert list_runs(made) == []


def test_one_class_is_an_error_with_predictions_too(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    predict_the_labels(made)

    with pytest.raises(DataError, match="same class"):
        find_label_issues(made, LabelIssueParams(vectors=TINY, predictions_field="model"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds in no fixed order")
def test_predictions_and_fine_tuning_are_pooled_by_their_geometric_mean(some: fo.Dataset) -> None:
    predict_the_labels(some, confidence=0.8)
    embedded = embed_collection(some, TINY)
    groups = np.full(len(embedded.samples), -1)

    def made_of(field: str | None, *, fine_tune: bool) -> tuple[Any, tuple[str, ...]]:
        return predicted_classes(
            some,
            embedded,
            groups,
            predictions_field=field,
            fine_tune=fine_tune,
            backbone="lite0",
            seed=0,
            progress=silent,
        )

    own, _ = made_of("model", fine_tune=False)
    tuned, notes = made_of(None, fine_tune=True)

    both, _ = made_of("model", fine_tune=True)

    expected = np.sqrt(np.maximum(own, 1e-6) * np.maximum(tuned, 1e-6))
    np.testing.assert_allclose(both, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert len(notes) == 1
    assert "fine-tuned out of fold: 3 networks" in notes[0]


def test_labels_are_judged_by_fine_tuned_networks_where_that_is_asked_for(garments: MakeDataset) -> None:
    made = garments("train/*/00*")
    wrong = made.values("id")[::10]
    flip(made, wrong)
    made.set_values("ground_truth", {made.last().id: None}, "id")
    steps = set()

    def progress(step: str, done: int, total: int) -> None:
        steps.add(step)

    report = find_label_issues(made, LabelIssueParams(vectors=TINY, fine_tune=True), progress)

    assert "fold 3 of 3: fine-tuning" in steps
    assert any("fine-tuned out of fold" in note for note in report.summary()["notes"])
    assert made.count("label_quality") == 49
    is_wrong = np.isin(report.samples.ids, wrong)
    assert np.nanmean(report.issues.quality[is_wrong]) < np.nanmean(report.issues.quality[~is_wrong])
