from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from winnow.plugin.datasets.samples import read_samples, split_sources
from winnow.plugin.datasets.split_names import read_splits
from winnow.plugin.errors import FieldError

MakeDataset = Callable[..., fo.Dataset]


def tagged(made: fo.Dataset, *tags: list[str]) -> fo.Dataset:
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png", tags=each) for row, each in enumerate(tags)])
    return made


def with_field(made: fo.Dataset, *names: str | None, field: str = "split") -> fo.Dataset:
    made.add_sample_field(field, fo.StringField)
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png", **{field: name}) for row, name in enumerate(names)])
    return made


def of_files(made: fo.Dataset, *paths: str) -> fo.Dataset:
    made.add_samples([fo.Sample(filepath=path) for path in paths])
    return made


def test_the_text_field_split_is_found(dataset: MakeDataset) -> None:
    samples = read_samples(with_field(dataset(), "train", "test"))

    assert (samples.splits.tolist(), samples.split_source, samples.notes) == (["train", "test"], "split", ())


def test_tags_that_name_splits_are_found(dataset: MakeDataset) -> None:
    samples = read_samples(tagged(dataset(), ["train", "blurry"], ["test"]))

    assert (samples.splits.tolist(), samples.split_source, samples.notes) == (["train", "test"], "tags", ())


def test_the_field_goes_before_tags(dataset: MakeDataset) -> None:
    made = with_field(dataset(), "train", "test")
    made.tag_samples("val")

    samples = read_samples(made)

    assert samples.splits.tolist() == ["train", "test"]


def test_an_empty_field_split_leaves_the_word_to_the_tags(dataset: MakeDataset) -> None:
    made = with_field(dataset(), None, None)
    made.tag_samples("val")

    samples = read_samples(made)

    assert samples.split_source == "tags"


def test_names_are_mapped_to_the_standard_ones_and_the_mapping_is_told(dataset: MakeDataset) -> None:
    samples = read_samples(with_field(dataset(), "Train", "val", "dev", "Validation", "validation", "train"))

    assert samples.splits.tolist() == ["train", "validation", "validation", "validation", "validation", "train"]
    assert samples.notes == (
        "validation: 4 samples from 'Validation', 'dev', 'val', 'validation'",
        "train: 2 samples from 'Train', 'train'",
    )


def test_a_users_own_split_names_in_a_field_are_kept(dataset: MakeDataset) -> None:
    samples = read_samples(with_field(dataset(), "fold1", "holdout", field="part"), split_field="part")

    assert samples.splits.tolist() == ["fold1", "holdout"]


def test_untagged_samples_are_a_pool_and_counted(dataset: MakeDataset) -> None:
    samples = read_samples(tagged(dataset(), ["train"], [], ["blurry"]))

    assert samples.splits.tolist() == ["train", "", ""]
    assert samples.notes == ("2 samples name no split in 'tags' and are treated as a pool",)


def test_of_two_split_tags_test_goes_first_and_the_sample_is_counted(dataset: MakeDataset) -> None:
    samples = read_samples(tagged(dataset(), ["train", "test"], ["val", "train"], ["train"], ["validation", "val"]))

    assert samples.splits.tolist() == ["test", "validation", "train", "validation"]
    assert any(note.startswith("2 samples name more than one split in 'tags'") for note in samples.notes)


def test_a_dataset_without_splits_has_none(dataset: MakeDataset) -> None:
    samples = read_samples(tagged(dataset(), ["blurry"], []))

    assert (samples.splits.tolist(), samples.split_source, samples.notes) == (["", ""], None, ())


def test_splits_follow_their_samples_in_a_shuffled_view(dataset: MakeDataset) -> None:
    made = with_field(dataset(), "train", "test", "validation", "train")

    samples = read_samples(made.shuffle(seed=1))

    assert samples.splits.tolist() == ["train", "test", "validation", "train"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("none", "no field 'none' for the splits.*found in: split"),
        ("score", "holds FloatField, not the names of splits.*found in: split"),
        ("filepath", "not the names of splits"),
        ("empty", "'empty' of .* is empty.*found in: split"),
        ("tags", "no tag in .* names a split .*'blurry'"),
    ],
)
def test_a_source_without_splits_is_an_error_that_says_where_they_are(
    dataset: MakeDataset, asked: str, message: str
) -> None:
    made = with_field(dataset(), "train", "test")
    made.add_sample_field("score", fo.FloatField)
    made.add_sample_field("empty", fo.StringField)
    made.tag_samples("blurry")

    with pytest.raises(FieldError, match=message):
        read_samples(made, split_field=asked)


def test_split_sources_lists_fields_with_split_names_and_tags(dataset: MakeDataset) -> None:
    made = with_field(dataset(), "train", "test")
    made.set_values("a_part", ["dev", None])
    made.set_values("colour", ["red", "blue"])
    made.tag_samples("train")

    assert split_sources(made) == ["split", "tags", "a_part"]
    assert split_sources(made.exclude_fields("split")) == ["tags", "a_part"]


def test_splits_may_be_folders_and_the_nearest_one_counts(dataset: MakeDataset) -> None:
    made = of_files(
        dataset(), "/data/test/train/cat/1.png", "/data/test/val/cat/2.png", "/data/test/3.png", "/data/4.png"
    )

    splits, source, _ = read_splits(made, "folders")

    assert splits.tolist() == ["train", "validation", "test", ""]
    assert source == "folders"


def test_splits_may_be_saved_views_and_a_sample_in_two_is_counted(dataset: MakeDataset) -> None:
    made = of_files(dataset(), "/data/1.png", "/data/2.png", "/data/3.png", "/data/4.png")
    made.save_view("train set", made.limit(2))
    made.save_view("test", made.skip(1).limit(2))

    splits, _, notes = read_splits(made, "saved views")

    assert splits.tolist() == ["train", "test", "test", ""]
    assert any("1 samples name more than one split" in note for note in notes)


def test_a_folder_above_everything_is_no_source_of_splits(dataset: MakeDataset) -> None:
    assert split_sources(of_files(dataset(), "/home/me/dev/cat/1.png", "/home/me/dev/dog/2.png")) == []
    assert split_sources(of_files(dataset(), "/home/me/dev/train/1.png", "/home/me/dev/test/2.png")) == ["folders"]


@pytest.mark.parametrize("source", ["folders", "saved views"])
def test_a_source_without_splits_is_an_error_that_lists_the_others(dataset: MakeDataset, source: str) -> None:
    made = of_files(dataset(), "/data/1.png")

    with pytest.raises(FieldError, match="is named like a split"):
        read_splits(made, source)
