"""Predictions of several labels an image are compared class by class, and images without an answer not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import fiftyone as fo
import numpy as np
import pytest
from scipy.special import expit

from tests.label_sets import labels_of, make_dataset
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions
from winnow.plugin.workflows.evaluate_multi_label import MultiLabelEvaluateReport

Names = set[str] | None
Make = Callable[..., fo.Dataset]


@pytest.fixture
def predicted() -> Iterator[Make]:
    """Return a factory of datasets of (labels, prediction) rows; no image is needed to compare the two."""
    made: list[fo.Dataset] = []

    def make(*rows: tuple[Names, Names]) -> fo.Dataset:
        dataset = make_dataset({f"/images/{number:03d}.png": labels for number, (labels, _) in enumerate(rows)})
        made.append(dataset)
        dataset.add_sample_field("model", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
        dataset.set_values("model", [None if names is None else labels_of(names) for _, names in rows])
        return dataset

    yield make
    for dataset in made:
        dataset.delete()


def measure(made: fo.Dataset, **params: object) -> MultiLabelEvaluateReport:
    report = evaluate_predictions(made, EvaluateParams("model", "things", **params))  # type: ignore[arg-type]
    assert isinstance(report, MultiLabelEvaluateReport)
    return report


def test_each_pair_of_image_and_class_counts(predicted: Make) -> None:
    report = measure(
        predicted(({"cat", "dog"}, {"cat"}), ({"cat"}, {"cat", "fox"}), (set(), set()), ({"dog"}, {"dog"}))
    )

    assert (report.given.micro_precision, report.given.micro_recall) == (0.75, 0.75)
    assert report.given.exact_match == 0.5
    assert report.summary()["by_class"]["dog"]["recall"] == 0.5
    assert report.summary()["by_class"]["fox"]["recall"] is None
    assert report.text().startswith("**Micro F1 on all labelled images: 75.0%**")


def test_an_empty_answer_is_one_and_a_missing_one_is_not(predicted: Make) -> None:
    report = measure(predicted(({"cat"}, set()), ({"cat"}, None), (None, {"cat"}), (set(), set())))

    given = report.given
    assert (given.images, given.without_label, given.without_prediction) == (2, 1, 1)
    assert given.exact_match == 0.5


def test_logits_belong_to_the_models_classes(predicted: Make) -> None:
    made = predicted(({"cat"}, {"cat"}), ({"dog"}, {"cat"}), ({"dog"}, {"dog"}), (set(), set()))
    logits = np.array([[-1.0, 2.0], [-0.5, 1.0], [3.0, -3.0], [-2.0, -2.0]])  # of dog and cat
    made.set_values("model.logits", list(logits))
    made.classes["model"] = ["dog", "cat"]
    made.save()

    report = measure(made)

    by_class = report.summary()["by_class"]
    assert (by_class["dog"]["roc_auc"], by_class["cat"]["roc_auc"]) == (1, 1)
    off = [expit(-1), expit(-0.5) - 1, expit(3) - 1, expit(-2), expit(2) - 1, expit(1), expit(-3), expit(-2)]
    assert report.given.calibration_error == pytest.approx(binned(off[:4] + off[4:], logits.T.ravel()))


def binned(off: list[float], logits: np.ndarray) -> float:
    """Return the mean size of the sums of `off` in 15 bins of probability."""
    place = np.ceil(expit(logits) * 15).astype(int)
    return float(sum(abs(np.array(off)[place == each].sum()) for each in set(place.tolist())) / len(off))


def test_logits_of_unknown_classes_cost_only_their_metrics(predicted: Make) -> None:
    made = predicted(({"cat"}, {"cat"}), ({"dog"}, {"dog"}))
    made.set_values("model.logits", [np.zeros(3)] * 2)

    report = measure(made)

    assert report.given.micro_f1 == 1
    assert np.isnan(report.given.roc_auc)
    assert "Set it to the model's classes" in report.text()


def test_slices_are_told_with_the_worst_first(predicted: Make) -> None:
    made = predicted(*[({"cat"}, {"cat"})] * 4, *[({"cat"}, {"dog"})] * 3)
    made.set_values("camera", [True] * 4 + [False] * 3)

    report = measure(made, slices=("camera",))

    assert [(each.value, each.images, each.score) for each in report.slices] == [("False", 3, 0), ("True", 4, 1)]


def test_the_test_split_is_taken_where_there_is_one(predicted: Make) -> None:
    made = predicted(({"cat"}, {"cat"}), ({"cat"}, {"dog"}))
    made.set_values("split", ["test", "train"])

    report = measure(made)

    assert (report.evaluated_on, report.given.exact_match) == ("test", 1)


def test_labels_that_are_all_empty_are_an_error(predicted: Make) -> None:
    with pytest.raises(DataError, match="no sample has a label in field 'things'"):
        measure(predicted((set(), {"cat"})))


def test_predictions_of_one_label_are_an_error_that_says_what_is_needed(predicted: Make) -> None:
    made = predicted(({"cat"}, {"cat"}))
    made.set_values("single", [fo.Classification(label="cat")])

    with pytest.raises(FieldError, match="holds Classification, not Classifications"):
        evaluate_predictions(made, EvaluateParams("single", "things"))
