"""Columns of groups are read by id, from every kind of field that can tell groups."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from winnow.plugin.datasets.group_columns import group_fields, read_group_columns
from winnow.plugin.errors import FieldError

SCENE = ObjectId()


@pytest.fixture
def patients(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return three samples with groups of each kind; the third belongs to none."""
    made = dataset()
    made.add_sample_field("scene", fo.ObjectIdField)
    made.add_samples(
        [
            fo.Sample("/a.png", patient="p1", visit=7, indoor=False, scene=SCENE, age=1.5),
            fo.Sample("/b.png", patient="p2", visit=0, indoor=True, scene=SCENE, age=2.5),
            fo.Sample("/c.png", patient=""),
        ]
    )
    return made


def ids_of(made: fo.Dataset) -> np.ndarray:
    return np.array(made.values("id"), dtype=object)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("patient", ["p1", "p2", None]),
        ("visit", ["7", "0", None]),
        ("indoor", ["False", "True", None]),
        ("scene", [str(SCENE), str(SCENE), None]),
    ],
)
def test_each_kind_of_field_is_read_as_text(patients: fo.Dataset, name: str, values: list[str | None]) -> None:
    (column,) = read_group_columns(patients, ids_of(patients), [name])

    assert column.tolist() == values


def test_columns_follow_the_order_of_the_ids(patients: fo.Dataset) -> None:
    patient, visit = read_group_columns(patients, ids_of(patients)[[1, 0]], ["patient", "visit"])

    assert (patient.tolist(), visit.tolist()) == (["p2", "p1"], ["0", "7"])


def test_a_field_within_a_field_may_be_named(patients: fo.Dataset) -> None:
    patients.set_values("metadata", [fo.ImageMetadata(width=width) for width in (5, 6, None)])

    (column,) = read_group_columns(patients, ids_of(patients), ["metadata.width"])

    assert column.tolist() == ["5", "6", None]


def test_no_names_give_no_columns(patients: fo.Dataset) -> None:
    assert read_group_columns(patients, ids_of(patients), []) == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no_such", "no such field"), ("age", "it holds FloatField"), ("tags", "it holds ListField")],
)
def test_a_field_that_tells_no_groups_is_an_error_with_those_that_do(
    patients: fo.Dataset, name: str, reason: str
) -> None:
    with pytest.raises(FieldError, match=rf"'{name}' .*{reason}.*there are: indoor, patient, scene, visit"):
        read_group_columns(patients, ids_of(patients), [name])


def test_offered_fields_leave_out_what_differs_for_each_sample(patients: fo.Dataset) -> None:
    assert group_fields(patients) == ["indoor", "patient", "scene", "visit"]
