"""Which samples go out for labelling, and what goes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import fiftyone as fo
import pytest

from winnow.plugin.datasets.labeling_batches import LabelingState, mark_samples
from winnow.plugin.datasets.outgoing import (
    count_outgoing,
    known_classes,
    outgoing_samples,
    read_task_values,
    returning_field,
)
from winnow.plugin.datasets.outgoing_predictions import OutgoingPrediction, read_outgoing_predictions
from winnow.plugin.errors import DataError, FieldError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def five(dataset: MakeDataset) -> fo.Dataset:
    """Return a dataset of the images 0 to 4, of which the first two are labelled."""
    made = dataset()
    samples = [fo.Sample(filepath=f"/images/{row}.png") for row in range(5)]
    for sample in samples[:2]:
        sample["ground_truth"] = fo.Classification(label="cat")
    made.add_samples(samples)
    return made


def rank(view: fo.Dataset, ranks: Sequence[int | None]) -> None:
    """Rank the samples as `select` does."""
    view.add_sample_field("selection_rank", fo.IntField)
    view.set_values("selection_rank", list(ranks))


def numbers(paths: Sequence[str]) -> list[int]:
    """Return the numbers of images."""
    return [int(path[len("/images/") : -len(".png")]) for path in paths]


def test_what_was_selected_goes_out_best_first(five: fo.Dataset) -> None:
    rank(five, [2, None, 3, 1, None])

    found = outgoing_samples(five, "ground_truth")

    assert numbers(found.paths) == [3, 0, 2]
    assert found.notes == ("of 5 samples the 3 that were selected go out",)


def test_without_a_selection_the_unlabelled_of_a_dataset_go_out(five: fo.Dataset) -> None:
    found = outgoing_samples(five, "ground_truth")

    assert numbers(found.paths) == [2, 3, 4] and "2 samples have a label" in found.notes[0]


def test_a_view_goes_out_as_it_was_put_together(five: fo.Dataset) -> None:
    rank(five, [None, None, None, 1, None])

    found = outgoing_samples(five.exists("ground_truth").concat(five.skip(3)), "ground_truth")

    assert numbers(found.paths) == [3, 0, 1, 4]


def test_what_is_out_already_is_left_out_and_told(five: fo.Dataset) -> None:
    mark_samples(five, five.values("id")[2:4], LabelingState.OUT, "1")
    mark_samples(five, five.values("id")[4:], LabelingState.SKIPPED, "1")

    found = outgoing_samples(five, "ground_truth")
    again = outgoing_samples(five, "ground_truth", again=True)

    assert (numbers(found.paths), found.elsewhere) == ([4], {"1": 2})
    assert numbers(again.paths) == [2, 3, 4]


def test_a_limit_takes_the_best(five: fo.Dataset) -> None:
    rank(five, [5, 4, 3, 2, 1])

    assert numbers(outgoing_samples(five, "ground_truth", limit=2).paths) == [4, 3]


def test_a_dataset_that_is_labelled_is_an_error_that_says_how_to_label_it_again(five: fo.Dataset) -> None:
    with pytest.raises(DataError, match="in a view"):
        outgoing_samples(five.limit(2).clone(), "ground_truth")


@pytest.mark.parametrize("prediction_field", [None, "prediction"])
def test_labels_come_back_to_the_field_of_labels_never_to_that_of_predictions(
    five: fo.Dataset, prediction_field: str | None
) -> None:
    five.add_sample_field("prediction", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    five.delete_sample_field("ground_truth")

    found = returning_field(five, None, prediction_field)

    assert found == (("ground_truth", None) if prediction_field else ("prediction", False))


def test_labels_do_not_come_back_to_a_field_of_something_else(five: fo.Dataset) -> None:
    with pytest.raises(FieldError, match=r"'filepath' .* holds StringField"):
        returning_field(five, "filepath")


def test_classes_are_those_that_the_dataset_lists_else_those_in_use(five: fo.Dataset) -> None:
    in_use = known_classes(five, "ground_truth")
    five.classes["ground_truth"] = ["dog", "cat"]

    assert (in_use, known_classes(five, "ground_truth")) == (("cat",), ("dog", "cat"))


def test_only_plain_values_go_into_tasks(five: fo.Dataset) -> None:
    ids = five.values("id")
    five.set_values("site", ["north", None, "south", None, None])

    found = read_task_values(five, [ids[2], ids[1]], ["site"])

    assert found == [{"site": "south"}, {}]
    with pytest.raises(FieldError, match="'ground_truth' holds Classification"):
        read_task_values(five, ids, ["ground_truth"])


def test_the_confidence_of_one_class_is_its_score(five: fo.Dataset) -> None:
    ids = five.values("id")
    labels = [fo.Classification(label="dog", confidence=0.75, model_version="v1"), fo.Classification(label="cat")]
    five.set_values("guess", [*labels, None, fo.Classification(label="cat", confidence=7.5), None])

    found = read_outgoing_predictions(five, [ids[1], ids[0], ids[2], ids[3]], "guess")

    dog, unsure = OutgoingPrediction(("dog",), 0.75, "v1"), OutgoingPrediction(("cat",), None, "")
    assert found == [unsure, dog, None, unsure]


def test_the_least_certain_of_several_decisions_is_the_score(five: fo.Dataset) -> None:
    each = [fo.Classification(label=name, confidence=confidence) for name, confidence in (("a", 0.9), ("b", 0.6))]
    lists = [
        fo.Classifications(classifications=each, margin=0.1, model_version="v1"),
        fo.Classifications(classifications=each),
        fo.Classifications(classifications=[], margin=0.5),
    ]
    five.set_values("guess", [*lists, None, None])

    found = read_outgoing_predictions(five, five.values("id"), "guess")

    assert [each and (each.names, each.score) for each in found] == [
        (("a", "b"), 0.55),
        (("a", "b"), 0.6),
        ((), 0.75),
        None,
        None,
    ]


@pytest.mark.parametrize("ranks", [None, [2, None, 3, 1, None], [None] * 5])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("is_view", [False, True])
def test_what_goes_out_is_counted_without_reading_it(
    five: fo.Dataset, ranks: list[int | None] | None, everything: bool, again: bool, limit: int | None, is_view: bool
) -> None:
    if ranks is not None:
        rank(five, ranks)
    mark_samples(five, five.values("id")[2:3], LabelingState.OUT, "1")
    view = five.skip(1) if is_view else five

    found = outgoing_samples(view, "ground_truth", everything=everything, again=again, limit=limit)

    count = count_outgoing(view, "ground_truth", everything=everything, again=again, limit=limit)
    assert count == len(found.ids)
