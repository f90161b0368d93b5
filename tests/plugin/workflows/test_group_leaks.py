"""Leaks that no pixels tell: the same patient in two splits; and what leakage adds to an accuracy."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.errors import FieldError
from winnow.plugin.workflows.leaks import LeakParams, find_leaks

from .conftest import CLASSES, MakeDataset, names_of, values_by_name


def with_patients(made: fo.Dataset) -> fo.Dataset:
    """Give two bags of each split the patient `p1`, another training bag `p2`, and a test bag outside all splits."""
    patients = {
        "train/bag/005.png": "p1",
        "train/bag/006.png": "p1",
        "test/bag/003.png": "p1",
        "train/bag/007.png": "p2",
    }
    made.set_values("patient", [patients.get(name) for name in names_of(made)])
    return made


def test_a_group_in_two_splits_is_a_leak_of_its_own_kind(garments: MakeDataset) -> None:
    made = with_patients(garments("*/bag/*"))

    report = find_leaks(made, LeakParams(group_by=("patient",)))

    kinds, scores = values_by_name(made, "leak_kind"), values_by_name(made, "leak_score")
    assert kinds["test/bag/003.png"] == kinds["train/bag/005.png"] == kinds["train/bag/006.png"] == "patient"
    assert scores["test/bag/003.png"] == 1
    assert kinds["train/bag/007.png"] is None
    assert kinds["test/bag/copy.jpg"] == "near-duplicate"
    assert report.summary()["by_kind"] == {"near-duplicate": 1, "patient": 1}
    assert report.summary()["by_splits"] == {"test in train": 2}


def test_an_image_of_two_kinds_is_counted_once_and_called_by_the_surest(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.set_values("patient", ["p1" if "copy" in name or "bag/000" in name else None for name in names_of(made)])

    report = find_leaks(made, LeakParams(group_by=("patient",)))

    assert values_by_name(made, "leak_kind")["test/bag/copy.jpg"] == "near-duplicate"
    assert report.summary()["by_kind"]["patient"] == 2  # test/bag/000.png is of that patient too
    assert report.summary()["by_splits"] == {"test in train": 2}


def test_groups_outside_every_split_do_not_leak(garments: MakeDataset) -> None:
    made = with_patients(garments("*/bag/*"))
    made.match(fo.ViewField("split") == "test").set_values("split", [None] * 11)
    made.match(fo.ViewField("filepath").ends_with("test/bag/000.png")).set_values("split", ["test"])

    report = find_leaks(made, LeakParams(group_by=("patient",)))

    assert "patient" not in report.summary()["by_kind"]


def test_a_field_that_cannot_tell_groups_is_an_error_before_any_work(garments: MakeDataset) -> None:
    with pytest.raises(FieldError, match=r"field 'ground_truth' of .* can't tell which images belong together"):
        find_leaks(garments("*/bag/*"), LeakParams(group_by=("ground_truth",)))


def test_numbered_file_names_are_proposed_as_groups_and_not_taken_for_granted(
    garments: MakeDataset, tmp_path: Path
) -> None:
    made = garments("*/bag/*")
    for row, sample in enumerate(made):
        link = tmp_path / f"patient{row // 4:03d}_{row % 4}{Path(sample.filepath).suffix}"
        link.symlink_to(sample.filepath)
        sample.filepath = str(link)
        sample.save()

    proposed = find_leaks(made)
    grouped = find_leaks(made, LeakParams(group_by=("file:prefix",)))

    assert proposed.summary()["proposed_groups"] == ["file:prefix"]
    assert "group by `file:prefix`" in proposed.text()
    assert "file:prefix" not in proposed.summary()["by_kind"]
    assert grouped.summary()["by_kind"]["file:prefix"] >= 1
    assert grouped.summary()["proposed_groups"] == []


def test_what_leakage_adds_to_the_accuracy_is_told_with_an_interval(shared: fo.Dataset) -> None:
    report = find_leaks(shared)

    price = report.summary()["price"]
    low, high = price["gain_interval"]
    assert price["evaluated_on"] == "test"
    assert price["gain"] == pytest.approx(price["accuracy_given"] - price["accuracy_clean"], abs=1e-4)
    assert low <= price["gain"] <= high
    assert low < high
    assert "A linear probe reaches" in report.text()


def test_memorised_labels_have_a_price(garments: MakeDataset) -> None:
    """Labels by chance can't be learnt, only remembered: of the leaked images the probe knows more than of others."""
    made = garments("*/*/*")
    rng = np.random.default_rng(0)
    labels = {name: str(rng.choice(["heads", "tails"])) for name in names_of(made)}
    for name in CLASSES:
        labels[f"test/{name}/copy.jpg"] = labels[f"train/{name}/000.png"]
    made.set_values("ground_truth.label", list(labels.values()))

    price = find_leaks(made).summary()["price"]

    assert price["accuracy_clean"] < 0.75
    assert price["gain"] >= 0


@pytest.mark.parametrize("pattern", ["*/bag/*", "*/*/00[1-9]*"])
def test_without_classes_or_leaks_there_is_no_price(pattern: str, garments: MakeDataset) -> None:
    report = find_leaks(garments(pattern), LeakParams(threshold=None if "bag" in pattern else 1.1))

    assert report.summary()["price"] is None
