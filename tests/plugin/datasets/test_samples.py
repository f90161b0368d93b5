from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.fields import write_labels
from winnow.plugin.datasets.samples import classification_fields, label_fields, read_samples
from winnow.plugin.datasets.views import one_slice
from winnow.plugin.errors import DataError, FieldError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def labelled(dataset: MakeDataset) -> Callable[..., fo.Dataset]:
    """Return a factory of datasets with one sample a label."""

    def make(*labels: str | None, field: str = "ground_truth") -> fo.Dataset:
        made = dataset()
        made.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
        made.add_samples(
            [
                fo.Sample(
                    filepath=f"/images/{row}.png", **{field: None if label is None else fo.Classification(label=label)}
                )
                for row, label in enumerate(labels)
            ]
        )
        return made

    return make


def test_labels_are_indices_into_the_sorted_classes(labelled: Callable[..., fo.Dataset]) -> None:
    samples = read_samples(labelled("dog", "cat", "dog"))

    assert samples.classes == ("cat", "dog")
    assert samples.labels.tolist() == [1, 0, 1]
    assert samples.labels.dtype == np.int64
    assert [Path(path).name for path in samples.paths] == ["0.png", "1.png", "2.png"]
    assert (samples.label_field, samples.split_source, samples.notes) == ("ground_truth", None, ())


def test_samples_come_in_the_order_of_their_ids_whatever_the_view(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("a", "b", "c", "d")

    samples = read_samples(made.shuffle(seed=3))

    assert samples.ids.tolist() == sorted(made.values("id"))
    assert samples.labels.tolist() == [0, 1, 2, 3]
    assert [Path(path).name for path in samples.paths] == ["0.png", "1.png", "2.png", "3.png"]


def test_only_the_samples_of_a_view_are_read(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("a", "b", "c")

    samples = read_samples(made.match(fo.ViewField("ground_truth.label") != "b"))

    assert samples.classes == ("a", "c")
    assert len(samples) == 2


def test_unlabelled_samples_are_counted(labelled: Callable[..., fo.Dataset]) -> None:
    samples = read_samples(labelled("cat", None, ""), need_labels=True)

    assert samples.labels.tolist() == [0, -1, -1]
    assert samples.notes == ("2 of 3 samples have no label in 'ground_truth'",)


def test_label_names_are_kept_exactly(labelled: Callable[..., fo.Dataset]) -> None:
    samples = read_samples(labelled("Cat", "cat", " cat", "猫"))

    assert samples.classes == (" cat", "Cat", "cat", "猫")


def test_a_single_label_field_of_any_name_is_found(labelled: Callable[..., fo.Dataset]) -> None:
    samples = read_samples(labelled("cat", field="species"))

    assert samples.label_field == "species"


def test_ground_truth_is_chosen_among_several_label_fields(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat")
    made.set_values("another", [fo.Classification(label="dog")])

    samples = read_samples(made)

    assert samples.classes == ("cat",)


def test_several_label_fields_without_a_default_must_be_told_apart(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat", field="one")
    made.set_values("two", [fo.Classification(label="dog")])

    with pytest.raises(FieldError, match=r"several label fields.*one, two"):
        read_samples(made, need_labels=True)


def test_where_no_labels_are_needed_several_label_fields_are_only_a_note(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat", field="one")
    made.set_values("two", [fo.Classification(label="dog")])

    samples = read_samples(made)

    assert samples.label_field is None
    assert "one, two" in samples.notes[0]


def test_a_prediction_of_ours_is_not_taken_for_labels(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat", field="species")
    write_labels(made, "prediction", made.values("id"), ["dog"], [0.9])

    samples = read_samples(made)

    assert samples.label_field == "species"
    assert label_fields(made) == ["species"]


def test_what_has_a_confidence_is_taken_for_predictions(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat", field="species")
    made.set_values("a zoo model", [fo.Classification(label="dog", confidence=0.9)])

    assert read_samples(made).label_field == "species"
    assert classification_fields(made) == ["a zoo model", "species"]
    assert read_samples(made, "a zoo model").classes == ("dog",)  # where it is asked for


def test_predictions_alone_are_no_labels(dataset: MakeDataset) -> None:
    made = dataset()
    guess = fo.Classification(label="dog", logits=np.array([0.1, 2.0]))
    made.add_samples([fo.Sample(filepath="/images/1.png"), fo.Sample(filepath="/images/2.png", guessed=guess)])

    assert read_samples(made).label_field is None
    with pytest.raises(FieldError, match=r"no field of labels: those of guessed have a confidence"):
        read_samples(made, need_labels=True)


def test_labels_in_the_default_field_may_have_a_confidence(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat")
    made.set_values("ground_truth.confidence", [0.5])

    assert read_samples(made).label_field == "ground_truth"


def test_label_fields_lists_the_default_first(labelled: Callable[..., fo.Dataset]) -> None:
    made = labelled("cat", field="a")
    made.set_values("ground_truth", [fo.Classification(label="dog")])
    made.set_values("b", [fo.Classifications()])

    assert label_fields(made) == ["ground_truth", "a"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("boxes", "'boxes' of '.*' holds Detections, not Classification.*ground_truth"),
        ("many", "'many' of '.*' holds Classifications, not Classification.*ground_truth"),
        ("text", "'text' of '.*' holds StringField, not Classification.*ground_truth"),
        ("none", "no field 'none'.*ground_truth"),
        ("tags", "'tags' of '.*' holds ListField"),
    ],
)
def test_a_field_of_the_wrong_type_is_an_error_that_names_the_right_ones(
    labelled: Callable[..., fo.Dataset], asked: str, message: str
) -> None:
    made = labelled("cat")
    made.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    made.add_sample_field("many", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
    made.add_sample_field("text", fo.StringField)

    with pytest.raises(FieldError, match=message):
        read_samples(made, asked)


def test_no_label_field_at_all_tells_which_other_labels_there_are(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/images/1.png", objects=fo.Detections()))

    with pytest.raises(FieldError, match=r"no field of Classification labels, only 'objects' \(Detections\)"):
        read_samples(made, need_labels=True)


def test_a_label_field_without_labels_is_an_error_where_labels_are_needed(labelled: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(DataError, match="no sample has a label in field 'ground_truth'"):
        read_samples(labelled(None, None), need_labels=True)


def test_an_empty_dataset_is_an_error(dataset: MakeDataset) -> None:
    with pytest.raises(DataError, match=r"dataset '.*' has no samples"):
        read_samples(dataset())


def test_an_empty_view_is_an_error(labelled: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(DataError, match=r"view of dataset '.*' has no samples"):
        read_samples(labelled("cat").match_tags("nothing"))


def test_a_video_dataset_is_an_error_with_the_next_step(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/videos/1.mp4"))

    with pytest.raises(DataError, match=r"holds video samples.*to_frames"):
        read_samples(made)


def test_a_grouped_dataset_is_an_error_with_the_next_step(dataset: MakeDataset) -> None:
    made = grouped(dataset())

    with pytest.raises(DataError, match=r"slices: left, right.*--slice SLICE.*select_group_slices\('SLICE'\)"):
        read_samples(made)


def test_one_slice_of_a_grouped_dataset_can_be_read(dataset: MakeDataset) -> None:
    made = grouped(dataset())

    samples = read_samples(one_slice(made, "right"))

    assert samples.paths.tolist() == ["/images/right0.png", "/images/right1.png"]


@pytest.mark.parametrize("is_grouped", [True, False])
def test_a_slice_that_does_not_exist_is_an_error(dataset: MakeDataset, is_grouped: bool) -> None:
    made = grouped(dataset()) if is_grouped else dataset()

    with pytest.raises(DataError, match="left, right" if is_grouped else "is not grouped"):
        one_slice(made, "middle")


def test_a_dynamically_grouped_view_is_an_error(labelled: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(DataError, match="is grouped"):
        read_samples(labelled("cat", "cat").group_by("ground_truth.label"))


def test_a_patches_view_is_an_error(dataset: MakeDataset) -> None:
    made = dataset()
    box = fo.Detection(label="cat", bounding_box=[0, 0, 1, 1])
    made.add_sample(fo.Sample(filepath="/images/1.png", objects=fo.Detections(detections=[box])))

    with pytest.raises(DataError, match="shows patches"):
        read_samples(made.to_patches("objects"))


def grouped(empty: fo.Dataset) -> fo.Dataset:
    """Add two groups of a left and a right image."""
    empty.add_group_field("group", default="left")
    for row in range(2):
        group = fo.Group()
        empty.add_samples(
            [fo.Sample(filepath=f"/images/{side}{row}.png", group=group.element(side)) for side in ("left", "right")]
        )
    return empty
