from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.prediction_fields import SampleField, prediction_document

CLASSES = ("cat", "dog")
LOGITS = np.array([0.5, -1.25], np.float32)
MORE = {"entropy": 0.4, "margin": 0.6, "model_version": "v1"}


@pytest.fixture
def one(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return a dataset of one sample."""
    made = dataset()
    made.add_sample(fo.Sample(filepath="/none/1.jpg"))
    return made


def written(one: fo.Dataset, kind: type[fo.Label], names: list[str], confidences: list[float]) -> dict:
    """Return the field of the sample in the database after a prediction was written, and leave it in the dataset."""
    field = SampleField(one, "prediction", kind, np.array(one.values("id"), object), CLASSES, None)
    several = kind is fo.Classifications
    document = prediction_document(names, confidences, several=several, logits=LOGITS, **MORE)
    field.write(np.array([0]), [document])
    return stored(one, "prediction")


def stored(one: fo.Dataset, field: str) -> dict:
    return one._sample_collection.find_one({}, {field: 1})[field]


def without_ids(document: dict) -> dict:
    return {
        key: [without_ids(each) for each in value] if key == "classifications" else value
        for key, value in document.items()
        if key != "_id"
    }


def test_a_prediction_lies_in_the_database_as_fiftyone_itself_would_keep_it(one: fo.Dataset) -> None:
    found = written(one, fo.Classification, ["cat"], [0.8])

    sample = one.first()
    sample["own"] = fo.Classification(label="cat", confidence=0.8, logits=LOGITS, **MORE)
    sample.save()
    assert without_ids(found) == without_ids(stored(one, "own"))


def test_predictions_of_independent_classes_lie_there_too_as_fiftyone_would_keep_them(one: fo.Dataset) -> None:
    found = written(one, fo.Classifications, ["cat", "dog"], [0.8, 0.7])

    labels = [fo.Classification(label="cat", confidence=0.8), fo.Classification(label="dog", confidence=0.7)]
    sample = one.first()
    sample["own"] = fo.Classifications(classifications=labels, logits=LOGITS, **MORE)
    sample.save()
    assert without_ids(found) == without_ids(stored(one, "own"))


def test_each_prediction_has_an_id_of_its_own(one: fo.Dataset) -> None:
    several = written(one, fo.Classifications, ["cat", "dog"], [0.8, 0.7])

    assert len({each["_id"] for each in several["classifications"]}) == 2


def test_a_written_prediction_is_read_as_a_label(one: fo.Dataset) -> None:
    written(one, fo.Classification, ["dog"], [0.7])

    one.reload()
    found = one.first().prediction
    assert isinstance(found, fo.Classification)
    assert (found.label, found.confidence, found.model_version) == ("dog", 0.7, "v1")
    np.testing.assert_array_equal(found.logits, LOGITS)
