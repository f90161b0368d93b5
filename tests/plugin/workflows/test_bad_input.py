"""Data as people have it: each fault gets a clear message, or is worked around and counted, and nothing is lost."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.errors import DataError, FieldError, WinnowError
from winnow.plugin.workflows.curate import CurateParams, CurateReport, curate
from winnow.plugin.workflows.duplicates import find_duplicates
from winnow.plugin.workflows.embed import compute_embeddings
from winnow.plugin.workflows.evaluate import evaluate_predictions
from winnow.plugin.workflows.label_issues import find_label_issues
from winnow.plugin.workflows.leaks import find_leaks
from winnow.plugin.workflows.predict import PredictParams, apply_classifier
from winnow.plugin.workflows.train import TrainParams, train_classifier

from .conftest import MakeDataset, tile, truncated_png

JOBS = pytest.mark.parametrize(
    "job",
    [
        compute_embeddings,
        curate,
        evaluate_predictions,
        find_duplicates,
        find_label_issues,
        find_leaks,
        train_classifier,
    ],
    ids=lambda job: job.__name__,
)


def curated(made: fo.Dataset, **params: object) -> CurateReport:
    return curate(made, CurateParams(preset="probe", **params))


@JOBS
def test_an_empty_dataset_is_an_error(dataset: MakeDataset, job: Callable) -> None:
    with pytest.raises(DataError, match=r"dataset '.*' has no samples\. Add images"):
        job(dataset())


@JOBS
def test_an_empty_view_is_an_error(some: fo.Dataset, job: Callable) -> None:
    with pytest.raises(DataError, match=r"view of dataset '.*' has no samples"):
        job(some.match_tags("nothing"))


@JOBS
def test_a_video_dataset_is_an_error_with_the_next_step(dataset: MakeDataset, job: Callable) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/videos/1.mp4"))

    with pytest.raises(DataError, match=r"holds video samples.*to_frames"):
        job(made)


@JOBS
def test_a_grouped_dataset_is_an_error_with_the_next_step(dataset: MakeDataset, job: Callable) -> None:
    made = dataset()
    made.add_group_field("group", default="left")
    group = fo.Group()
    sides = [fo.Sample(filepath=f"/images/{side}.png", group=group.element(side)) for side in ("left", "right")]
    made.add_samples(sides)

    with pytest.raises(DataError, match=r"is grouped \(slices: left, right\).*select_group_slices"):
        job(made)


def test_without_splits_there_are_no_leaks_and_a_fifth_is_held_out(some: fo.Dataset) -> None:
    some.delete_sample_field("split")

    report = curated(some)

    assert report.summary()["leaks"] is None
    assert report.summary()["classifier"]["evaluated_on"] == "held out"
    assert report.evaluation.given.images == 6


def test_without_a_label_field_duplicates_are_found_and_the_rest_is_said(some: fo.Dataset) -> None:
    some.delete_sample_field("ground_truth")

    report = curated(some)

    assert report.summary()["duplicates"]["images"] == 30
    assert report.summary()["label_issues"] is None
    assert "no field of Classification labels" in report.summary()["classifier"]["reason"]
    assert "**No classifier**" in report.text()


def test_without_any_label_in_the_field_the_rest_is_said(some: fo.Dataset) -> None:
    some.set_values("ground_truth", [None] * 30)

    report = curated(some)

    assert report.summary()["duplicates"]["images"] == 30
    assert "at least two" in report.summary()["classifier"]["reason"]


def test_several_label_fields_without_a_default_must_be_told_apart(some: fo.Dataset) -> None:
    some.clone_sample_field("ground_truth", "one")
    some.rename_sample_field("ground_truth", "two")

    report = curated(some)

    assert "several label fields" in report.summary()["classifier"]["reason"]


def test_one_class_allows_no_classifier(some: fo.Dataset) -> None:
    some.set_values("ground_truth", [fo.Classification(label="thing")] * 30)

    report = curated(some)

    assert report.summary()["duplicates"]["images"] == 30
    assert report.summary()["label_issues"] is None
    assert "same class" in report.summary()["classifier"]["reason"]


def test_a_class_with_one_image_is_learnt_but_not_judged(some: fo.Dataset) -> None:
    lonely = some.match(fo.ViewField("split") == "train").first()
    lonely.ground_truth.label = "lonely"
    lonely.save()

    report = train_classifier(some, TrainParams(preset="probe"))
    find_label_issues(some)

    assert "lonely" in report.summary()["classes"]
    assert some[lonely.id].label_quality is None
    assert some[lonely.id].label_issue is None


def test_unlabelled_samples_are_predicted_and_counted(some: fo.Dataset) -> None:
    unlabelled = some.values("id")[::10]
    some.set_values("ground_truth", dict.fromkeys(unlabelled), key_field="id")

    report = curated(some)

    assert "3 of 30 samples have no label in 'ground_truth'" in report.summary()["notes"]
    assert None not in some.select(unlabelled).values("prediction.label")


@pytest.mark.parametrize(
    ("name", "in_tags"), [("val", False), ("valid", False), ("Validation", False), ("dev", False), ("dev", True)]
)
def test_spellings_of_a_split_are_mapped_and_the_mapping_is_told(some: fo.Dataset, name: str, in_tags: bool) -> None:
    splits = [name if split == "test" else split for split in some.values("split")]
    if in_tags:
        some.set_values("tags", [[split] for split in splits])
        some.delete_sample_field("split")
    else:
        some.set_values("split", splits)

    report = curated(some)

    assert report.summary()["classifier"]["evaluated_on"] == "validation"
    assert f"validation: 6 samples from '{name}'" in report.summary()["notes"]


def test_untagged_samples_are_a_pool_that_is_neither_trained_nor_tested_on(some: fo.Dataset) -> None:
    splits = some.values("split")
    some.set_values("split", [None if row % 8 == 0 else split for row, split in enumerate(splits)])
    pool = splits[::8].count("train")

    report = train_classifier(some, TrainParams(preset="probe"))

    assert "4 samples name no split in 'split' and are treated as a pool" in report.summary()["notes"]
    assert report.summary()["training_images"] == 24 - pool
    assert report.selection.evaluation.sum() == 6 - (4 - pool)


def test_unreadable_and_missing_files_are_listed_marked_and_cost_only_themselves(
    some: fo.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "cut off.png").write_bytes(truncated_png())
    for name in ("cut off.png", "missing.png"):
        some.add_sample(
            fo.Sample(
                filepath=str(tmp_path / name),
                media_type="image",
                ground_truth=fo.Classification(label="bag"),
                split="test",
            )
        )

    report = curated(some)

    assert report.images == 32
    failed = {Path(failure["path"]).name: failure["reason"] for failure in report.summary()["failures"]}
    assert set(failed) == {"cut off.png", "missing.png"}
    assert [reason for reason in some.values("winnow_failure") if reason] == list(failed.values())
    assert report.evaluation.given.images == 6
    assert some.count("prediction") == 30
    assert "2 could not be read" in report.text()


def test_paths_and_classes_need_not_be_ascii(dataset: MakeDataset, tmp_path: Path) -> None:
    made = dataset()
    for split, count in (("train", 8), ("test", 2)):
        for name, label in (("bag", "鞄 (かばん)"), ("trouser", "Höschen №1")):
            for number in range(count):
                path = tmp_path / "衣類 ÄÖ" / label / f"写真 {split} {number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                tile(split, name, number).save(path)
                made.add_sample(fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label), split=split))

    report = curated(made, output=tmp_path / "分類器")
    predictions = apply_classifier(made, PredictParams(tmp_path / "分類器"))
    report.duplicates.write_pairs(tmp_path / "組.csv", tmp_path)
    predictions.write_csv(tmp_path / "予測.csv")

    assert report.summary()["classifier"]["classes"] == ["Höschen №1", "鞄 (かばん)"]
    assert set(made.values("prediction.label")) == {"Höschen №1", "鞄 (かばん)"}
    with (tmp_path / "組.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["path_a"].startswith("衣類 ÄÖ/")
    with (tmp_path / "予測.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["path"].startswith(str(tmp_path / "衣類 ÄÖ"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"label_field": "split"}, "'split' of .* holds StringField, not Classification"),
        ({"label_field": "nothing"}, "no field 'nothing' .* are: ground_truth"),
        ({"split_field": "ground_truth"}, "'ground_truth' of .* holds Classification, not the names of splits"),
        ({"split_field": "nothing"}, "no field 'nothing' for the splits"),
        ({"split_field": "tags"}, "no tag in .* names a split"),
    ],
)
def test_a_wrong_field_is_an_error_that_says_what_it_holds_and_what_there_is(
    some: fo.Dataset, params: dict[str, str], message: str
) -> None:
    with pytest.raises(FieldError, match=message):
        curated(some, **params)


def test_detections_are_no_labels(some: fo.Dataset) -> None:
    some.delete_sample_field("ground_truth")
    some.set_values("boxes", [fo.Detections()] * 30)

    report = curated(some)

    assert "only 'boxes' (Detections)" in report.summary()["classifier"]["reason"]


def test_a_users_own_field_of_a_results_name_is_kept(some: fo.Dataset) -> None:
    some.set_values("label_quality", [0.5] * 30)

    with pytest.raises(FieldError, match=r"'label_quality' of .* was not made by Winnow"):
        curated(some)
    assert set(some.values("label_quality")) == {0.5}


def test_a_handful_of_images_is_told_to_be_too_few(some: fo.Dataset) -> None:
    report = curated(some.limit(5))

    assert report.images == 5
    assert report.summary()["classifier"]["reason"]


def test_a_classifier_that_is_not_there_is_an_error(some: fo.Dataset, tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match="no classifier in"):
        apply_classifier(some, PredictParams(tmp_path))
