"""Splits of real images: nothing straddles, the user's own field stays as it is, and a repair moves little."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.runs import load_results, load_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.leaks import LeakParams, find_leaks
from winnow.plugin.workflows.split import SplitParams, SplitReport, split_dataset
from winnow.plugin.workflows.split_settings import parse_fractions

from .conftest import CLASSES, IMAGES, PER_SPLIT, MakeDataset, truncated_png, values_by_name

THREE = ("train", "validation", "test")


@pytest.fixture(scope="module")
def report(shared: fo.Dataset) -> SplitReport:
    return split_dataset(shared)


@pytest.fixture(scope="module")
def repaired(shared: fo.Dataset) -> SplitReport:
    return split_dataset(shared, SplitParams(repair=True, output_field="repaired"))


def test_every_image_gets_a_split_and_each_class_its_share(report: SplitReport, shared: fo.Dataset) -> None:
    splits = shared.values("split_clean")

    assert {name: splits.count(name) for name in THREE} == report.summary()["sizes"]
    assert sum(report.summary()["sizes"].values()) == IMAGES
    assert report.summary()["largest_deviation"] < 1
    assert "within one image of its share" in report.text()


def test_a_copy_shares_the_split_of_its_source(report: SplitReport, shared: fo.Dataset) -> None:
    splits = values_by_name(shared, "split_clean")

    for name in CLASSES:
        assert splits[f"test/{name}/copy.jpg"] == splits[f"train/{name}/000.png"]
    assert report.summary()["units_of_several"] >= len(CLASSES)


def test_no_leak_is_found_in_new_splits(report: SplitReport, shared: fo.Dataset) -> None:
    leaks = find_leaks(shared, LeakParams(split_field="split_clean", score_field="leak_after"))

    assert leaks.summary()["pairs"] == 0


def test_the_field_of_the_user_stays_as_it_is(report: SplitReport, shared: fo.Dataset) -> None:
    assert report.field == "split_clean"
    assert all(name.startswith(f"{split}/") for name, split in values_by_name(shared, "split").items())
    assert "Next: train a classifier with the split field `split_clean`" in report.text()


def test_run_is_saved_with_its_field(report: SplitReport, shared: fo.Dataset) -> None:
    run = load_run(shared, "winnow_split")

    assert "split_clean" in run.fields
    assert run.method == "split_dataset"


def test_a_repair_moves_few_images_and_tells_which(repaired: SplitReport, shared: fo.Dataset) -> None:
    before, after = shared.values(["split", "repaired"])
    ids = np.array(shared.values("id"))[[first != second for first, second in zip(before, after, strict=True)]]

    results = load_results(shared, "winnow_split")
    assert results["moved"] == sorted(ids)
    assert len(CLASSES) <= len(ids) <= 2 * len(CLASSES)
    assert sum(repaired.summary()["moved"].values()) == len(ids)
    assert f"{len(ids)} images moved" in repaired.text()


def test_no_leak_is_left_after_a_repair(repaired: SplitReport, shared: fo.Dataset) -> None:
    splits = repaired.split

    assert all(len(set(splits[repaired.units == unit])) == 1 for unit in np.unique(repaired.units))
    assert set(splits) == {"train", "test"}


def test_a_repair_keeps_each_class_near_its_number_of_images(repaired: SplitReport) -> None:
    before = np.tile([PER_SPLIT["train"], PER_SPLIT["test"] + 1], (len(CLASSES), 1))

    assert np.array_equal(repaired.ideal[: len(CLASSES)], before)
    assert np.abs(repaired.counts - repaired.ideal).max() <= 2


def test_a_frozen_split_keeps_its_images_and_gets_their_copies(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    report = split_dataset(made, SplitParams(repair=True, freeze=["test"]))

    splits = values_by_name(made, "split_clean")
    assert splits["test/bag/copy.jpg"] == splits["train/bag/000.png"] == "test"
    assert set(report.summary()["moved"]) == {"train to test"}


def test_the_rest_is_dealt_by_the_fractions_where_the_test_split_is_frozen(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    report = split_dataset(made, SplitParams(freeze=["test"]))

    splits = values_by_name(made, "split_clean")
    frozen = [name for name, split in splits.items() if split == "test"]
    assert "train/bag/000.png" in frozen
    assert sum(name.startswith("test/") for name in frozen) == PER_SPLIT["test"] + 1
    assert report.summary()["sizes"]["train"] >= 8 * report.summary()["sizes"]["validation"] - 8


def test_groups_of_the_user_do_not_straddle(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    patients = [f"p{row % 12}" for row in range(len(made))]
    made.set_values("patient", patients)

    report = split_dataset(made, SplitParams(group_by=["patient"]))

    held = {patient: set() for patient in patients}
    for patient, split in zip(patients, made.values("split_clean"), strict=True):
        held[patient].add(split)
    assert all(len(splits) == 1 for splits in held.values())
    assert report.summary()["largest_unit"] >= 3


def test_new_splits_do_not_depend_on_old_ones(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    every_pair = SplitParams(threshold=0)
    first = split_dataset(made, every_pair)
    made.delete_sample_field("split")

    second = split_dataset(made, every_pair)

    assert first.pairs == second.pairs
    assert np.array_equal(first.split, second.split)


def test_without_a_split_of_the_user_the_result_goes_to_split_again_and_again(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.delete_sample_field("split")

    fields = [split_dataset(made, SplitParams(seed=seed)).field for seed in (0, 1)]

    assert fields == ["split", "split"]


def test_same_seed_gives_the_same_splits_and_another_seed_others(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    first, again, other = (split_dataset(made, SplitParams(seed=seed)).split for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unreadable_images_get_a_split_too(garments: MakeDataset, tmp_path: Path) -> None:
    made = garments("*/bag/*")
    for number in range(10):
        broken = tmp_path / f"broken {number}.png"
        broken.write_bytes(truncated_png())
        made.add_sample(fo.Sample(str(broken), ground_truth=fo.Classification(label="bag"), split="train"))

    report = split_dataset(made)

    assert len(report.failures) == 10
    assert None not in made.values("split_clean")
    assert report.counts[0].sum() == len(made)


def test_several_labels_an_image_are_each_spread(garments: MakeDataset) -> None:
    made = garments("*/[bs]*/*")
    seen = [
        fo.Classifications(classifications=[fo.Classification(label=name) for name in (label, "odd")[: 1 + row % 2]])
        for row, label in enumerate(made.values("ground_truth.label"))
    ]
    made.set_values("seen", seen)
    made.delete_sample_field("ground_truth")

    report = split_dataset(made)

    assert report.classes[:4] == ("bag", "odd", "sandal", "sneaker")
    assert report.summary()["largest_deviation"] < 1


def test_images_without_labels_are_split_too(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.delete_sample_field("ground_truth")

    assert split_dataset(made).summary()["sizes"] == {"train": 33, "validation": 4, "test": 4}


def test_a_view_is_split_and_the_rest_is_left_alone(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    view = made.match(fo.ViewField("split") == "train")

    split_dataset(view)

    assert made.count("split_clean") == PER_SPLIT["train"]
    assert view.count("split_clean") == PER_SPLIT["train"]


def test_the_pool_stays_the_pool_after_a_repair(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.match(fo.ViewField("filepath").ends_with("copy.jpg")).set_values("split", [None])

    report = split_dataset(made, SplitParams(repair=True))

    assert values_by_name(made, "split_clean")["test/bag/copy.jpg"] is None
    assert report.summary()["sizes"][""] == 1
    assert "in no split 1" in report.text()


def test_a_field_of_the_user_is_not_overwritten(garments: MakeDataset) -> None:
    with pytest.raises(FieldError, match=r"'split' of .* was not made by Winnow"):
        split_dataset(garments("*/bag/*"), SplitParams(output_field="split"))


def test_an_unknown_group_field_is_an_error_with_those_there_are(garments: MakeDataset) -> None:
    with pytest.raises(FieldError, match=r"'patient' .* no such field.*there are: split"):
        split_dataset(garments("*/bag/*"), SplitParams(group_by=["patient"]))


def test_a_repair_without_splits_is_an_error_with_the_next_step(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.delete_sample_field("split")

    with pytest.raises(DataError, match=r"no splits to repair.*text field `split`"):
        split_dataset(made, SplitParams(repair=True))


def test_freezing_a_split_that_does_not_occur_is_an_error(garments: MakeDataset) -> None:
    with pytest.raises(DataError, match="no split validation to freeze; there are: test, train"):
        split_dataset(garments("*/bag/*"), SplitParams(freeze=["val"]))


def test_a_text_instead_of_a_list_is_an_error() -> None:
    with pytest.raises(DataError, match="group_by must be a list of names, got the text 'patient'"):
        SplitParams(group_by="patient")


def test_fractions_are_read_under_standard_names() -> None:
    assert parse_fractions("train=.7, val=0.2,test = 0.1") == pytest.approx(
        {"train": 0.7, "validation": 0.2, "test": 0.1}
    )


def test_fractions_of_frozen_splits_are_shared_out_among_the_others() -> None:
    assert parse_fractions("train=0.6,val=0.2,test=0.2", ["test"]) == pytest.approx({"train": 0.75, "validation": 0.25})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train", "can't be read at 'train'"),
        ("train=most", "can't be read at 'train=most'"),
        ("train=0.5,training=0.5", "can't be read at 'training=0.5'"),
        ("", "can't be read at ''"),
        ("train=0.8,test=0.1", "must be positive and sum to 1, got train=0.8, test=0.1"),
        ("train=nan,test=0.1", "must be positive"),
        ("test=1", "every split of 'test=1' is frozen"),
    ],
)
def test_fractions_that_are_none_are_an_error(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_fractions(text, ["test"])
