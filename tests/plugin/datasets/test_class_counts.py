"""Counts by class and split, against a plain loop, and the conditions for what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.class_counts import ClassCounts, LabelPath, count_classes, read_split_names
from winnow.plugin.errors import FieldError

SINGLE, SEVERAL = LabelPath("ground_truth", False), LabelPath("ground_truth", True)


def add(made: fo.Dataset, labels: Sequence[str | None], **fields: Sequence) -> fo.Dataset:
    """Add a sample a label, with these fields."""
    for number, name in enumerate(labels):
        label = None if name is None else fo.Classification(label=name)
        more = {field: values[number] for field, values in fields.items()}
        made.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, **more))
    return made


def test_counts_are_those_of_a_plain_loop(dataset: Callable[..., fo.Dataset]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(["cat", "dog", "", None], 200).tolist()
    splits = rng.choice(["train", "Test", "val", "holdout", "", None], 200).tolist()
    made = add(dataset(), labels, split=splits)

    counts = count_classes(made, SINGLE, read_split_names(made, "split"))

    standard = {"train": "train", "Test": "test", "val": "validation", "holdout": "holdout", "": "", None: ""}
    wanted = Counter((label, standard[split]) for label, split in zip(labels, splits, strict=True))
    assert counts.classes == ("cat", "dog")
    assert counts.splits == ("train", "validation", "test", "holdout", "")
    assert counts.images.tolist() == [[wanted[name, split] for split in counts.splits] for name in counts.classes]
    assert counts.unlabelled.tolist() == [wanted["", split] + wanted[None, split] for split in counts.splits]
    assert counts.totals.sum() == 200


def test_tag_counts_where_it_names_a_split_and_test_goes_first(dataset: Callable[..., fo.Dataset]) -> None:
    tags = [["train"], ["train", "blurred"], ["train", "testing"], ["blurred"], []]
    made = add(dataset(), ["cat"] * 5, tags=tags)
    splits = read_split_names(made, "tags")

    counts = count_classes(made, SINGLE, splits)

    assert splits is not None
    assert dict(zip(counts.splits, counts.totals.tolist(), strict=True)) == {"train": 2, "test": 1, "": 2}
    assert {split: made.match(splits.inside(split)).count() for split in counts.splits} == {
        "train": 2,
        "test": 1,
        "": 2,
    }


def test_image_of_several_classes_counts_for_each_and_once_in_all(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    sets = (["cat", "dog"], ["dog", "dog"], [], None)
    for number, names in enumerate(sets):
        label = None
        if names is not None:
            label = fo.Classifications(classifications=[fo.Classification(label=name) for name in names])
        made.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, split="train"))

    counts = count_classes(made, SEVERAL, read_split_names(made, "split"))

    assert dict(zip(counts.classes, counts.by_class.tolist(), strict=True)) == {"cat": 1, "dog": 2}
    assert counts.totals.tolist() == [4]
    assert counts.unlabelled.tolist() == [1]  # an empty list is an answer
    assert made.match(SEVERAL.missing()).count() == 1
    assert made.match(SEVERAL.of_class("dog")).count() == 2


def test_conditions_find_what_was_counted(dataset: Callable[..., fo.Dataset]) -> None:
    made = add(dataset(), ["cat", "cat", None, ""], split=["Train", "train", "test", None])
    splits = read_split_names(made, "split")

    assert splits is not None
    assert [made.match(splits.inside(split)).count() for split in ("train", "test", "", "validation")] == [2, 1, 1, 0]
    assert made.match(SINGLE.missing()).count() == 2


def test_without_labels_and_splits_images_are_counted_all_the_same(dataset: Callable[..., fo.Dataset]) -> None:
    made = add(dataset(), [None, None])

    counts = count_classes(made, None, None)

    assert (counts.classes, counts.splits, counts.totals.tolist()) == ((), ("",), [2])


def test_empty_dataset_has_no_counts(dataset: Callable[..., fo.Dataset]) -> None:
    counts = count_classes(dataset(), None, None)

    assert counts.images.shape == (0, 0)


def test_field_that_names_no_splits_is_told(dataset: Callable[..., fo.Dataset]) -> None:
    made = add(dataset(), ["cat"], fold=[3])

    with pytest.raises(FieldError, match="by 'fold': it holds IntField"):
        read_split_names(made, "fold")
    with pytest.raises(FieldError, match="there is no such field"):
        read_split_names(made, "nothing")


def test_counts_of_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must have shape \(1, 1\)"):
        ClassCounts(("cat",), ("train",), np.zeros((2, 1), np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))
