from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest
from scipy.special import softmax

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


def store_logits(made: fo.Dataset, order: list[str] | None, logits: list[list[float]]) -> None:
    """Store logits with the predictions, as a model does whose classes come in this order."""
    made.set_values("prediction.logits", [np.array(each) for each in logits])
    if order is not None:
        made.classes["prediction"] = order
        made.save()


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


def test_logits_give_the_metrics_of_probabilities(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "cat", None), ("dog", "dog", None), ("cat", "cat", None))
    store_logits(made, ["cat", "dog"], [[2.0, 0.0], [0.4, 0.0], [0.0, 3.0], [1.0, 0.0]])

    report = evaluate_predictions(made)

    assert report.given.roc_auc == 1  # whoever is a dog is likelier one than any cat
    probabilities = softmax([[2, 0], [0.4, 0], [3, 0], [1, 0]], axis=1)[:, 0]
    assert report.given.calibration_error == pytest.approx(np.abs(probabilities - [1, 0, 1, 1]).mean())
    assert "ROC-AUC 1.000" in report.text()


def test_the_logits_are_read_in_the_models_own_order(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "dog", None), ("dog", "emu", None))
    store_logits(made, ["emu", "dog", "cat"], [[0, 0, 3.0], [0, 3.0, 0], [3.0, 0, 0]])

    report = evaluate_predictions(made)

    assert report.given.accuracy == pytest.approx(2 / 3)
    assert report.summary()["by_class"]["cat"]["roc_auc"] == 1
    assert report.summary()["by_class"]["dog"]["average_precision"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)


def test_logits_of_unknown_classes_cost_only_their_metrics(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "dog", None))
    store_logits(made, None, [[0, 0, 3.0], [0, 3.0, 0]])

    report = evaluate_predictions(made)

    assert report.given.accuracy == 1
    assert np.isnan(report.given.roc_auc)
    assert report.given.calibration_error == pytest.approx(0.1)  # of the confidences
    assert "probabilities are not judged: the logits in 'prediction' have 3 numbers" in report.text()


def test_confidences_out_of_range_are_not_judged(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "dog", None))
    made.set_values("prediction.confidence", [90.0, 0.8])

    report = evaluate_predictions(made)

    assert report.given.calibration_error == pytest.approx(0.2)
    assert "1 confidences in `prediction` are not in 0..1" in report.text()


def test_each_class_and_the_worst_confusions_are_told(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(*[("cat", "dog", None)] * 3, ("dog", "cat", None), ("dog", "dog", None), ("emu", "emu", None))

    report = evaluate_predictions(made)

    assert report.summary()["by_class"]["dog"] == {
        "support": 2, "predicted": 4, "precision": 0.25, "recall": 0.5, "f1": 0.3333, "roc_auc": None,
        "average_precision": None,
    }  # fmt: skip
    assert report.summary()["confusions"][0] == {"label": "cat", "prediction": "dog", "images": 3}
    assert "Most confused: cat taken for dog (3), dog taken for cat (1)" in report.text()
    assert "Weakest classes: cat (F1 0.0% of 3)" in report.text()


def test_slices_are_measured_and_the_worst_comes_first(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(*[("cat", "cat", None)] * 6, *[("dog", "cat", None)] * 3, ("dog", None, None))
    made.set_values("camera", ["old", "new", *["old"] * 4, "new", "new", "new", "new"])
    made.set_values("tags", [["dark"]] * 5 + [["dark", "wet"]] + [[]] * 4)

    report = evaluate_predictions(made, EvaluateParams(slices=("camera", "tags", "ground_truth")))

    found = [(each.field, each.value, each.images, each.score) for each in report.slices]
    assert found[:2] == [("ground_truth", "dog", 3, 0.0), ("tags", "(none)", 3, 0.0)]
    assert set(found[2:]) == {
        ("camera", "new", 4, 0.25),
        ("camera", "old", 5, 1.0),
        ("tags", "dark", 6, 1.0),
        ("tags", "wet", 1, 1.0),
        ("ground_truth", "cat", 6, 1.0),
    }
    assert "| camera | new | 4 | 25.0% |" in report.text()


def test_a_slice_of_a_single_wrong_image_does_not_lead(predicted: Callable[..., fo.Dataset]) -> None:
    rows = [*[("cat", "cat", None)] * 10, *[("cat", "dog", None)] * 10, ("cat", "dog", None)]
    made = predicted(*rows)
    made.set_values("camera", ["a"] * 20 + ["rare"])

    report = evaluate_predictions(made, EvaluateParams(slices=("camera",)))

    assert [each.value for each in report.slices] == ["a", "rare"]


def test_slices_leave_out_leaked_images_and_other_splits(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", "test"), ("dog", "cat", "test"), ("dog", "dog", "test"), ("cat", "cat", "train"))
    made.set_values("width", [1.5, 2.5, 3.5, 4.5])
    leak(made, 0)

    report = evaluate_predictions(made, EvaluateParams(slices=("width",)))

    assert [(each.value, each.images) for each in report.slices] == [("2.5 to 2.5", 1), ("3.5 to 3.5", 1)]


@pytest.mark.parametrize(
    ("path", "message"), [("cemara", "no field 'cemara' to slice by"), ("boxes", "holds Detections; slices need")]
)
def test_a_field_that_cannot_be_sliced_by_is_an_error(
    predicted: Callable[..., fo.Dataset], path: str, message: str
) -> None:
    made = predicted(("cat", "cat", None))
    made.set_values("boxes", [fo.Detections()])

    with pytest.raises(FieldError, match=message):
        evaluate_predictions(made, EvaluateParams(slices=(path,)))


def test_fiftyone_gets_an_evaluation_of_the_images_with_label_and_prediction(
    predicted: Callable[..., fo.Dataset],
) -> None:
    made = predicted(
        ("cat", "cat", "test"),
        ("dog", "cat", "test"),
        ("dog", None, "test"),
        (None, "cat", "test"),
        ("cat", "cat", "train"),
    )

    report = evaluate_predictions(made)

    results = made.load_evaluation_results("prediction_evaluation")
    assert report.evaluation_key == "prediction_evaluation"
    assert results.metrics()["accuracy"] == 0.5
    assert results.confusion_matrix(classes=["cat", "dog"]).tolist() == [[1, 0], [1, 0]]
    assert made.values("prediction_evaluation") == [True, False, None, None, None]


def test_measuring_again_replaces_the_evaluation(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "cat", None))
    evaluate_predictions(made)
    made.set_values("prediction.label", ["dog", "dog"])

    evaluate_predictions(made)

    assert made.list_evaluations() == ["prediction_evaluation"]
    assert made.values("prediction_evaluation") == [False, True]


def test_an_evaluation_of_somebody_else_is_left_alone(predicted: Callable[..., fo.Dataset]) -> None:
    made = predicted(("cat", "cat", None), ("dog", "cat", None))
    made.limit(1).evaluate_classifications("prediction", gt_field="ground_truth", eval_key="prediction_evaluation")

    report = evaluate_predictions(made)

    assert made.values("prediction_evaluation") == [True, None]
    assert report.evaluation_key is None
    assert "was not made by Winnow" in report.text()
