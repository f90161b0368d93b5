from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.datasets.runs import load_run
from winnow.plugin.datasets.targets import open_target
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.leaks import LeakParams, LeakReport, find_leaks

from .conftest import CLASSES, MakeDataset, values_by_name


@pytest.fixture(scope="module")
def report(shared: fo.Dataset) -> LeakReport:
    return find_leaks(shared)


def test_both_images_of_a_leak_get_its_score(report: LeakReport, shared: fo.Dataset) -> None:
    scores = values_by_name(shared, "leak_score")

    for name in CLASSES:
        assert scores[f"test/{name}/copy.jpg"] >= report.pairs.threshold
        assert scores[f"train/{name}/000.png"] >= report.pairs.threshold


def test_images_without_a_counterpart_get_no_score(report: LeakReport, shared: fo.Dataset) -> None:
    assert 2 * len(CLASSES) <= shared.count("leak_score") <= 4 * len(CLASSES)


def test_every_pair_joins_two_splits_with_the_evaluation_side_first(report: LeakReport) -> None:
    splits = report.samples.splits

    assert {(splits[a], splits[b]) for a, b in report.pairs.rows} == {("test", "train")}


def test_summary_counts_images_of_the_evaluation_side(report: LeakReport) -> None:
    flagged = report.pairs.rows[report.pairs.flagged]

    assert report.summary()["by_splits"] == {"test in train": len(set(flagged[:, 0]))}
    assert f"{len(set(flagged[:, 0]))} images of test" in report.text()


def test_run_is_saved_with_its_field(report: LeakReport, shared: fo.Dataset) -> None:
    assert load_run(shared, "winnow_leaks").fields == ("leak_score", "leak_kind", "leak_group")


def test_splits_may_be_tags(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    for split in ("train", "test"):
        made.match(fo.ViewField("split") == split).tag_samples("val" if split == "test" else split)
    made.delete_sample_field("split")

    report = find_leaks(made, LeakParams(split_field="tags"))

    assert "validation in train" in report.summary()["by_splits"]
    assert any("'val'" in note for note in report.summary()["notes"])


def test_splits_may_be_in_any_field(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.rename_sample_field("split", "part")

    report = find_leaks(made, LeakParams(split_field="part"))

    assert "test in train" in report.summary()["by_splits"]


def test_images_outside_every_split_do_not_leak(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.match(fo.ViewField("filepath").ends_with("copy.jpg")).set_values("split", [None])

    report = find_leaks(made)

    assert values_by_name(made, "leak_score")["test/bag/copy.jpg"] is None
    assert any("1 samples name no split" in note for note in report.summary()["notes"])


def test_a_file_that_was_added_to_a_folder_is_compared_in_the_same_dataset(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "growing"
    for split in ("train", "test"):
        shutil.copytree(folder / split / "bag", root / split / "bag")
    (root / "test" / "bag" / "copy.jpg").unlink()
    first = open_target(str(root)).dataset
    find_leaks(first)
    shutil.copy(folder / "test" / "bag" / "copy.jpg", root / "test" / "bag" / "later.jpg")

    second = open_target(str(root)).dataset
    report = find_leaks(second)

    name, scores = second.name, values_by_name(second, "leak_score")
    second.delete()
    assert name == first.name
    assert len(report.samples) == 41
    assert scores["test/bag/later.jpg"] is not None


@pytest.mark.parametrize(("pattern", "message"), [("train/bag/*", r"has 1 \(train\)"), ("*/bag/*", "has 0")])
def test_fewer_than_two_splits_are_an_error_with_the_next_step(
    garments: MakeDataset, pattern: str, message: str
) -> None:
    made = garments(pattern)
    if pattern.startswith("*"):
        made.delete_sample_field("split")

    with pytest.raises(DataError, match=rf"{message}.*string field `split`"):
        find_leaks(made)


def test_a_split_field_of_the_wrong_type_is_an_error(garments: MakeDataset) -> None:
    with pytest.raises(FieldError, match=r"'ground_truth' of .* holds Classification, not the names of splits"):
        find_leaks(garments("*/bag/*"), LeakParams(split_field="ground_truth"))
