from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from scipy.special import softmax

from winnow.plugin.datasets import stored_predictions
from winnow.plugin.datasets.fields import write_labels
from winnow.plugin.datasets.predictions import prediction_fields, read_predictions
from winnow.plugin.datasets.samples import read_samples
from winnow.plugin.errors import FieldError

Labelled = Callable[..., fo.Dataset]
CLASSES = ["cat", "dog", "owl"]


@pytest.fixture
def labelled(dataset: Callable[..., fo.Dataset]) -> Labelled:
    """Return a factory of datasets: a label and a prediction in the field `model` a sample, both may be None."""

    def make(labels: Sequence[str | None], predictions: Sequence[fo.Classification | None]) -> fo.Dataset:
        made = dataset()
        for field in ("ground_truth", "model"):
            made.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
        made.add_samples(
            [
                fo.Sample(
                    filepath=f"/images/{row}.png",
                    ground_truth=None if label is None else fo.Classification(label=label),
                    model=prediction,
                )
                for row, (label, prediction) in enumerate(zip(labels, predictions, strict=True))
            ]
        )
        return made

    return make


def by_logits(logits: Sequence[Sequence[float]] | np.ndarray, classes: Sequence[str]) -> list[fo.Classification]:
    """Return predictions of the class of the largest number each."""
    return [fo.Classification(label=classes[int(np.argmax(row))], logits=np.array(row)) for row in logits]


def read(
    made: fo.Dataset | fo.DatasetView, field: str = "model", **settings: Any
) -> tuple[np.ndarray, tuple[str, ...]]:
    return read_predictions(made, field, read_samples(made, "ground_truth"), **settings)


def some_logits(count: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (count, width))


def test_logits_become_probabilities_by_softmax(labelled: Labelled) -> None:
    logits = some_logits(6)

    found, notes = read(labelled(CLASSES * 2, by_logits(logits, CLASSES)))

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(logits, axis=1), atol=1e-6)
    assert notes == ()


def test_logits_that_are_probabilities_already_are_taken_as_they_are(labelled: Labelled) -> None:
    probabilities = softmax(some_logits(6), axis=1).astype(np.float16)

    found, _ = read(labelled(CLASSES * 2, by_logits(probabilities, CLASSES)))

    np.testing.assert_allclose(found, probabilities, atol=1e-3)


def test_one_row_that_is_no_distribution_makes_all_of_them_logits(labelled: Labelled) -> None:
    logits = [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 3.0]]

    found, _ = read(labelled(CLASSES, by_logits(logits, CLASSES)))

    np.testing.assert_allclose(found, softmax(np.array(logits), axis=1), atol=1e-6)


@pytest.mark.parametrize("place", ["model", "ground_truth", "default"])
def test_the_order_of_the_classes_is_the_datasets(labelled: Labelled, place: str) -> None:
    order, logits = ["owl", "cat", "dog"], some_logits(6)
    made = labelled(CLASSES * 2, by_logits(logits, order))
    if place == "default":
        made.default_classes = order
    else:
        made.classes = {place: order}

    found, _ = read(made)

    np.testing.assert_allclose(found[:, [2, 0, 1]], softmax(logits, axis=1), atol=1e-6)


def test_the_next_order_is_taken_where_one_does_not_explain_the_stored_labels(labelled: Labelled) -> None:
    logits = some_logits(6)
    made = labelled(CLASSES * 2, by_logits(logits, CLASSES))
    made.default_classes = ["owl", "cat", "dog"]

    found, _ = read(made)

    np.testing.assert_allclose(found, softmax(logits, axis=1), atol=1e-6)


def test_an_order_set_for_the_field_that_does_not_explain_the_stored_labels_is_an_error(labelled: Labelled) -> None:
    made = labelled(CLASSES * 2, by_logits(some_logits(6), CLASSES))
    made.classes = {"model": ["owl", "cat", "dog"]}

    with pytest.raises(FieldError, match=r"by dataset.classes\['model'\], .* in only 0 of 6 predictions \(it is '"):
        read(made)


def test_logits_of_unknown_classes_are_an_error_that_says_how_to_name_them(labelled: Labelled) -> None:
    made = labelled(CLASSES * 2, by_logits(some_logits(6, 4), [*CLASSES, "yak"]))

    with pytest.raises(FieldError, match=r"have 4 numbers.* 3 in the labels of 'ground_truth'. Set dataset.classes"):
        read(made)


def test_without_logits_the_label_has_the_confidence_and_the_others_share_the_rest(labelled: Labelled) -> None:
    predictions = [fo.Classification(label=name, confidence=c) for name, c in zip(CLASSES, (0.9, 0.5, 1), strict=True)]

    found, notes = read(labelled(CLASSES, predictions))

    expected = [[0.9, 0.05, 0.05], [0.25, 0.5, 0.25], [0, 0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert notes == ()


def test_samples_without_a_prediction_get_all_classes_alike_and_are_counted(labelled: Labelled) -> None:
    sure = fo.Classification(label="cat", confidence=0.8)
    silent = [None, fo.Classification(label="cat"), fo.Classification(confidence=0.8)]

    found, notes = read(labelled([*CLASSES, "cat"], [sure, *silent]))

    np.testing.assert_allclose(found[0], [0.8, 0.1, 0.1], atol=1e-6)
    np.testing.assert_allclose(found[1:], 1 / 3, atol=1e-6)
    assert notes == ("3 of 4 samples have no prediction in 'model'",)


def test_logits_speak_neither_for_nor_against_a_class_that_they_do_not_know(labelled: Labelled) -> None:
    logits, known = some_logits(6, 2), ["cat", "owl"]
    made = labelled(CLASSES * 2, by_logits(logits, known))
    made.classes = {"model": known}

    found, notes = read(made)

    np.testing.assert_allclose(found[:, 1], found[:, [0, 2]].max(axis=1))
    np.testing.assert_allclose(np.log(found[:, 0] / found[:, 2]), logits[:, 0] - logits[:, 1], atol=1e-4)
    assert notes == ("the logits in 'model' do not know dog (2 labels): they speak neither for nor against these",)


def test_probabilities_do_not_depend_on_the_labels_that_they_are_to_judge(labelled: Labelled) -> None:
    known = ["cat", "owl"]
    made = labelled(CLASSES * 2, by_logits(some_logits(6, 2), known))
    made.classes = {"model": known}
    before, _ = read(made)
    made.set_values("ground_truth.label", ["dog", "owl", "cat", "owl", "cat", "dog"])

    after, _ = read(made)

    assert np.array_equal(after, before)


def test_classes_that_no_label_has_are_left_out(labelled: Labelled) -> None:
    order = ["ant", "cat", "dog", "owl"]
    probabilities = [[0.5, 0.3, 0.1, 0.1], [0.0, 0.1, 0.9, 0.0], [1.0, 0.0, 0.0, 0.0]]
    made = labelled(CLASSES, by_logits(probabilities, order))
    made.classes = {"model": order}

    found, notes = read(made)

    np.testing.assert_allclose(found, [[0.6, 0.2, 0.2], [0.1, 0.9, 0], [1 / 3] * 3], atol=1e-6)
    assert notes == ("the logits in 'model' know classes that no label has (ant): they are left out",)


def test_a_confidence_in_a_class_that_no_label_has_says_nothing(labelled: Labelled) -> None:
    predictions = [fo.Classification(label=name, confidence=0.9) for name in ("cat", "yak", "owl")]

    found, notes = read(labelled(CLASSES, predictions))

    np.testing.assert_allclose(found[1], 1 / 3, atol=1e-6)
    assert notes == ("1 predictions in 'model' are of classes that no label has (yak): they are left out",)


def test_logits_and_confidences_may_be_mixed(labelled: Labelled) -> None:
    logits = some_logits(2)
    predictions = [*by_logits(logits, CLASSES), fo.Classification(label="owl", confidence=0.9)]

    found, _ = read(labelled(CLASSES, predictions))

    np.testing.assert_allclose(found, [*softmax(logits, axis=1), [0.05, 0.05, 0.9]], atol=1e-6)


def test_classes_that_are_one_are_added_up(labelled: Labelled) -> None:
    classes, logits = ["Cat", "cat", "owl"], some_logits(6)

    found, _ = read(labelled(classes * 2, by_logits(logits, classes)), merged=np.array([0, 0, 1]))

    expected = softmax(logits, axis=1)
    np.testing.assert_allclose(found, np.stack([expected[:, :2].sum(axis=1), expected[:, 2]], axis=1), atol=1e-6)


def test_another_spelling_of_a_known_class_is_not_unknown(labelled: Labelled) -> None:
    known, logits = ["cat", "owl"], some_logits(6, 2)
    made = labelled(["Cat", "cat", "owl"] * 2, by_logits(logits, known))
    made.classes = {"model": known}

    found, notes = read(made, merged=np.array([0, 0, 1]))

    np.testing.assert_allclose(found, softmax(logits, axis=1), atol=1e-6)
    assert notes == ()


@pytest.mark.parametrize("order", ["shuffled", "chunked"])
def test_rows_are_those_of_the_samples_whatever_the_order_and_the_chunks(
    labelled: Labelled, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = [*by_logits(some_logits(6), CLASSES), fo.Classification(label="owl", confidence=0.9), None]
    made = labelled([*CLASSES * 2, "cat", "cat"], predictions)
    expected, _ = read(made)
    if order == "chunked":
        monkeypatch.setattr(stored_predictions, "_CHUNK", 3)

    found, _ = read(made.shuffle(seed=1) if order == "shuffled" else made)

    assert np.array_equal(found, expected)


def test_only_the_predictions_of_the_view_are_read(labelled: Labelled) -> None:
    predictions = [fo.Classification(label=name, confidence=0.9) for name in ("cat", "dog", "yak")]

    found, notes = read(labelled(CLASSES, predictions).limit(2))

    np.testing.assert_allclose(found, [[0.9, 0.1], [0.1, 0.9]], atol=1e-6)
    assert notes == ()


@pytest.mark.parametrize(("wrong", "is_told"), [(5, False), (4, True)])
def test_predictions_that_agree_with_nearly_all_labels_are_suspicious(
    labelled: Labelled, wrong: int, is_told: bool
) -> None:
    labels = ["cat", "dog"] * 500
    predicted = ["owl"] * wrong + labels[wrong:]

    _, notes = read(labelled(labels, [fo.Classification(label=name, confidence=0.9) for name in predicted]))

    told = [note for note in notes if "agree with nearly all labels (996 of 1,000)" in note]
    assert len(told) == is_told


def test_few_labels_are_not_suspicious(labelled: Labelled) -> None:
    labels = ["cat", "dog"] * 499

    _, notes = read(labelled(labels, [fo.Classification(label=name, confidence=0.9) for name in labels]))

    assert notes == ()


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (fo.Classification(label="cat", logits=[1.0, 2.0]), "different lengths: 3 for sample .*, 2 for sample"),
        (fo.Classification(label="cat", logits=[1.0, np.nan, 0.0]), "logits of sample .* are not a list of finite"),
        (fo.Classification(label="cat", confidence=1.2), "has a confidence of 1.2 in 'model', which is not in 0..1"),
        (fo.Classification(label="cat", confidence=float("nan")), "has a confidence of nan"),
    ],
    ids=["other length", "NaN", "no probability", "NaN as confidence"],
)
def test_predictions_that_make_no_sense_are_an_error(
    labelled: Labelled, prediction: fo.Classification, message: str
) -> None:
    made = labelled(CLASSES, [*by_logits(some_logits(2), CLASSES), prediction])

    with pytest.raises(FieldError, match=message) as caught:
        read(made)
    assert made.last().id in str(caught.value)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("nothing", "there is no field 'nothing' in '.*' to read predictions from. Fields of predictions are: model"),
        ("filepath", "holds StringField, but one Classification a sample is needed"),
        ("ground_truth", "holds the labels themselves"),
        ("empty", "no sample has a prediction with logits or a confidence in 'empty'"),
    ],
)
def test_a_field_without_predictions_is_an_error(labelled: Labelled, field: str, message: str) -> None:
    made = labelled(CLASSES, by_logits(some_logits(3), CLASSES))
    made.add_sample_field("empty", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)

    with pytest.raises(FieldError, match=message):
        read(made, field)


def test_fields_with_logits_or_confidences_are_offered_but_for_labels_and_own_ones(labelled: Labelled) -> None:
    made = labelled(CLASSES, by_logits(some_logits(3), CLASSES))
    ids = made.values("id")
    made.set_values("sure", [fo.Classification(label="cat", confidence=0.9), None, None])
    made.set_values("second_opinion", [fo.Classification(label="cat")] * 3)
    made.set_values("ground_truth", [fo.Classification(label=name, confidence=1.0) for name in CLASSES])
    write_labels(made, "suggested_label", ids, CLASSES, [0.9] * 3)

    assert prediction_fields(made, "ground_truth") == ["model", "sure"]
