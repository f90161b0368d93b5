from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from winnow.plugin.datasets import runs
from winnow.plugin.datasets.fields import write_labels, write_values
from winnow.plugin.datasets.samples import read_samples
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions, evaluate_rows
from winnow.plugin.workflows.findings import LEAKS_RUN

from .conftest import MakeDataset

Row = tuple[str | None, str | None, str | None]  # label, prediction, split


@pytest.fixture
def predicted(dataset: MakeDataset) -> Callable[..., fo.Dataset]:
    """Return a factory of datasets with one sample a row; no image is needed to compare predictions with labels."""

    def make(*rows: Row) -> fo.Dataset:
        made = dataset()
        made.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
        made.add_sample_field("split", fo.StringField)
        for number, (label, _, split) in enumerate(rows):
            truth = None if label is None else fo.Classification(label=label)
            made.add_sample(fo.Sample(filepath=f"/images/{number}.png", ground_truth=truth, split=split))
        labels = [prediction for _, prediction, _ in rows]
        write_labels(made, "prediction", made.values("id"), labels, [0.9] * len(rows))
        return made

    return make


def leak(made: fo.Dataset, *rows: int) -> None:
    """Mark samples as the job that finds leaks does."""
    ids = [made.values("id")[row] for row in rows]
    write_values(made, "leak_score", ids, [0.9] * len(rows), kind="float")
    runs.save_run(made, LEAKS_RUN, method="find_leaks", params={}, fields=["leak_score"], summary={})


def test_accuracy_is_measured_on_the_test_split(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(
        ("cat", "cat", "test"), ("dog", "cat", "test"), ("dog", "dog", "validation"), ("cat", "dog", "train")
    )

    report = evaluate_predictions(made)

    assert report.evaluated_on == "test"
    assert (report.given.images, report.given.accuracy) == (2, 0.5)


def test_without_a_test_split_the_validation_split_is_taken(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "val"), ("dog", "dog", "val"), ("cat", "dog", "train"))

    report = evaluate_predictions(made)

    assert (report.evaluated_on, report.given.accuracy) == ("validation", 1)


def test_without_either_all_images_are_taken_and_the_figure_is_called_optimistic(
    predicted: Callable[..., fo.Dataset],
) -> None:
    made = predicted(("cat", "cat", None), ("dog", "dog", None))

    report = evaluate_predictions(made)

    assert (report.evaluated_on, report.given.images) == ("all labelled images", 2)
    assert "optimistic" in report.text()


def test_unpredicted_and_unlabelled_images_are_counted_apart(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", None, None), ("dog", None, None), (None, "dog", None))

    report = evaluate_predictions(made)

    assert report.given.images == 1
    assert report.given.accuracy == 1
    assert report.given.without_prediction == 2
    assert "want of a prediction: 2 labelled images" in report.text()


def test_unlabelled_images_of_the_test_split_are_counted(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "test"), (None, "dog", "test"), (None, "dog", "train"), ("dog", "dog", "train"))

    report = evaluate_predictions(made)

    assert (report.given.images, report.given.without_label) == (1, 1)


def test_leaked_images_are_left_out_of_the_clean_figure_only(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "test"), ("dog", "cat", "test"), ("dog", "dog", "test"), ("cat", "cat", "train"))
    leak(made, 0, 3)

    report = evaluate_predictions(made)

    assert report.summary()["accuracy_given_test"] == pytest.approx(2 / 3, abs=1e-4)
    assert report.summary()["accuracy_clean_test"] == 0.5
    assert report.leaked == 1


def test_samples_known_to_be_wrong_are_left_out_of_the_clean_figure_too(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "test"), ("dog", "cat", "test"), ("dog", "dog", "train"))
    samples = read_samples(made, "ground_truth")
    rows = samples.splits == "test"

    report = evaluate_rows(made, samples, rows, "test", "prediction", left_out=[samples.ids[1]])

    assert (report.given.accuracy, report.clean.accuracy) == (0.5, 1)


def test_a_test_split_that_is_leaked_altogether_has_no_clean_figure(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "test"), ("dog", "dog", "test"), ("dog", "dog", "train"))
    leak(made, 0, 1)

    report = evaluate_predictions(made)

    assert report.summary()["accuracy_clean_test"] is None
    assert report.summary()["accuracy_given_test"] == 1
    assert "nan" not in report.text()


def test_a_predicted_class_that_no_label_has_is_wrong(predicted: Callable[..., fo.Dataset]) -> None:
    report = evaluate_predictions(predicted(("cat", "zebra", None), ("dog", "dog", None)))

    assert report.given.accuracy == 0.5


def test_no_prediction_at_all_gives_no_figure(predicted: Callable[..., fo.Dataset]) -> None:
    report = evaluate_predictions(predicted(("cat", None, None), ("dog", None, None)))

    assert report.summary()["accuracy_given_test"] is None
    assert "Nothing to measure" in report.text()


def test_only_the_samples_of_a_view_count(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "cat", None))

    report = evaluate_predictions(made.limit(1))

    assert (report.given.images, report.given.accuracy) == (1, 1)


def test_predictions_of_any_field_and_origin_are_compared(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "dog", None))
    made.set_values("other_model", [fo.Classification(label="dog"), fo.Classification(label="dog")])

    params = EvaluateParams(prediction_field="other_model", label_field="ground_truth")
    report = evaluate_predictions(made, params)

    assert report.given.accuracy == 0.5


def test_a_missing_prediction_field_is_an_error_with_the_next_step(predicted: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(FieldError, match="no field `missing` with predictions; apply a classifier first"):
        evaluate_predictions(predicted(("cat", "cat", None)), EvaluateParams(prediction_field="missing"))


@pytest.mark.parametrize(
    ("field", "held"),
    [("split", "StringField"), ("number", "IntField"), ("boxes", "Detections"), ("many", "Classifications")],
)
def test_a_field_that_holds_no_predictions_is_an_error_that_says_what_it_holds(
    predicted: Callable[..., fo.Dataset], field: str, held: str
) -> None:
    made = predicted(("cat", "cat", "test"))
    made.set_values("number", [1])
    made.set_values("boxes", [fo.Detections()])
    made.set_values("many", [fo.Classifications(classifications=[fo.Classification(label="cat")])])

    with pytest.raises(FieldError, match=f"`{field}` holds {held}, not Classification"):
        evaluate_predictions(made, EvaluateParams(prediction_field=field))


def test_no_labels_are_an_error(predicted: Callable[..., fo.Dataset]) -> None:
    with pytest.raises(DataError, match="no sample has a label"):
        evaluate_predictions(predicted((None, "cat", None)))
