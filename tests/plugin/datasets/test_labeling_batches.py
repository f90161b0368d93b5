from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fiftyone as fo
import pytest

from winnow.plugin.datasets.labeling_batches import (
    Batch,
    LabelingState,
    list_batches,
    load_batch,
    mark_samples,
    new_batch_name,
    read_plain_labels,
    save_batch,
)
from winnow.plugin.errors import DataError, FieldError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def three(dataset: MakeDataset) -> fo.Dataset:
    """Return a dataset of three samples, of which the first is labelled."""
    made = dataset()
    samples = [fo.Sample(filepath=f"/images/{row}.png") for row in range(3)]
    samples[0]["ground_truth"] = fo.Classification(label="猫")
    made.add_samples(samples)
    return made


def batch_of(view: fo.Dataset, **more: object) -> Batch:
    ids = tuple(view.values("id"))
    before = tuple({"ground_truth": label} for label in ("猫", None, None))
    return Batch(
        "round_1", ids, ("a" * 64,) * 3, before, (0, 0, 0), (True, False, False), {"l": "ground_truth"}, **more
    )


def test_a_batch_is_loaded_as_it_was_saved(three: fo.Dataset) -> None:
    batch = batch_of(three, url="http://ls", project_id=7, purpose="evaluation", time="2026-01-02T03:04:05+00:00")

    save_batch(three, batch)
    loaded = load_batch(three, "round_1")
    save_batch(three, loaded)

    assert loaded == load_batch(three, "round_1") == batch


def test_a_batch_is_complete_once_every_sample_has_its_task(three: fo.Dataset) -> None:
    batch = batch_of(three, url="http://ls")

    complete = replace(batch, task_ids=(4, 5, 6))

    assert (batch.is_complete, complete.is_complete) == (False, True)


def test_batches_are_listed_in_the_order_in_which_they_were_begun(three: fo.Dataset) -> None:
    save_batch(three, replace(batch_of(three), name="z", time="2026-01-01T00:00:00+00:00"))
    save_batch(three, batch_of(three))

    listed = [(entry.name, entry.samples) for entry in list_batches(three)]

    assert listed == [("z", 3), ("round_1", 3)]


def test_an_unknown_batch_is_told_with_those_that_there_are(three: fo.Dataset) -> None:
    save_batch(three, batch_of(three))

    with pytest.raises(DataError, match="no batch 'round_2'; its batches are: round_1"):
        load_batch(three, "round_2")


def test_a_new_batch_gets_a_number_that_is_free(three: fo.Dataset) -> None:
    save_batch(three, replace(batch_of(three), name="2"))

    assert new_batch_name(three) == "3"


def test_marking_samples_leaves_the_others_as_they_are(three: fo.Dataset) -> None:
    ids = three.values("id")
    mark_samples(three, ids[:2], LabelingState.OUT, "1")

    mark_samples(three, ids[1:2], LabelingState.BACK, "1")

    assert three.values(["labeling_state", "labeling_batch"]) == (["out", "back", None], ["1", "1", None])


def test_a_users_own_field_of_that_name_is_not_written_to(three: fo.Dataset) -> None:
    three.add_sample_field("labeling_state", fo.StringField)

    with pytest.raises(FieldError, match="not made by Winnow"):
        mark_samples(three, three.values("id"), LabelingState.OUT, "1")


def test_labels_are_read_plainly_whatever_their_kind(three: fo.Dataset) -> None:
    ids = three.values("id")
    several = [fo.Classifications(classifications=[fo.Classification(label=name) for name in "ba"]), None]
    three.set_values("tags_of_it", [*several, fo.Classifications()])

    one = read_plain_labels(three, [ids[1], ids[0], "f" * 24], "ground_truth")
    many = read_plain_labels(three, ids, "tags_of_it")

    assert (one, many) == ([None, "猫", None], [["a", "b"], None, []])
