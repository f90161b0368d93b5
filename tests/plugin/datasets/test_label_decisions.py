"""What a person decided about a label stays on the label."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets.label_decisions import (
    ACCEPTED,
    KEPT,
    UNSURE,
    Decision,
    decide,
    decided_ids,
    declare_attributes,
    read_label_decisions,
)
from winnow.plugin.datasets.label_kinds import ONE_AN_IMAGE
from winnow.plugin.datasets.relabelling import decide_labels
from winnow.plugin.errors import FieldError

MakeDataset = Callable[..., fo.Dataset]
FIELD = "ground_truth"


@pytest.fixture
def six(dataset: MakeDataset, tmp_path: Path) -> fo.Dataset:
    """Return six images; dogs and cats by turns, the last one without a label."""
    made = dataset()
    for row, label in enumerate(["dog", "cat", "dog", "cat", "dog", None]):
        path = write_image(tmp_path / f"{row}.png")
        made.add_sample(fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label) if label else None))
    return made


def decided(made: fo.Dataset | fo.DatasetView, field: str | None = FIELD) -> tuple[list[bool], list[bool]]:
    """Return what is confirmed and what is unsure, by sample."""
    found = read_label_decisions(made, np.array(made.values("id"), object), field)
    return found.confirmed.tolist(), found.unsure.tolist()


def test_labels_that_nobody_decided_about_are_neither_confirmed_nor_unsure(six: fo.Dataset) -> None:
    assert decided(six) == decided(six, None) == ([False] * 6, [False] * 6)
    assert decided_ids(six, FIELD) == []


def test_accepted_and_kept_labels_are_confirmed_and_unsure_ones_are_not(six: fo.Dataset) -> None:
    ids = six.values("id")
    for key, decision in zip(ids, (ACCEPTED, KEPT, UNSURE), strict=False):
        decide_labels(six, FIELD, [key], decision, by="ann")

    confirmed, unsure = decided(six)

    assert confirmed == [True, True, False, False, False, False]
    assert unsure == [False, False, True, False, False, False]
    assert decided_ids(six, FIELD) == ids[:3]
    assert ONE_AN_IMAGE.count_unsure(six, FIELD) == 1


def test_decisions_follow_the_order_of_the_ids(six: fo.Dataset) -> None:
    ids = six.values("id")
    decide_labels(six, FIELD, ids[:1], KEPT, by="ann")

    found = read_label_decisions(six, np.array(ids[::-1], object), FIELD)

    assert found.confirmed.tolist() == [False] * 5 + [True]


def test_a_decision_is_void_when_somebody_changes_the_label(six: fo.Dataset) -> None:
    decide_labels(six, FIELD, six.values("id")[:2], KEPT, by="ann")
    sample = six.first()
    sample.ground_truth.label = "fox"
    sample.save()

    confirmed, _ = decided(six)

    assert confirmed == [False, True, False, False, False, False]


def test_a_decision_says_who_when_and_about_which_label(six: fo.Dataset) -> None:
    before = datetime.now(UTC).replace(microsecond=0, tzinfo=None)

    decide_labels(six, FIELD, six.values("id")[:1], KEPT, by="ann")

    label = six.first().ground_truth
    assert (label.decision, label.decided_by, label.decided_label) == ("kept", "ann", "dog")
    assert before <= label.decided_at <= datetime.now(UTC).replace(tzinfo=None)


def test_replaced_labels_are_kept_in_their_order() -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    first = decide({"label": "dog"}, "cat", Decision(ACCEPTED, "ann", now, "run 1"))

    second = decide(first, "fox", Decision(ACCEPTED, "bob", now, "run 2"))

    assert second["history"] == [
        {"label": "dog", "by": "ann", "at": now, "run": "run 1"},
        {"label": "cat", "by": "bob", "at": now, "run": "run 2"},
    ]
    assert (second["label"], second["decided_label"], second["decided_by"]) == ("fox", "fox", "bob")


def test_the_confidence_of_a_replaced_label_goes_with_it_and_that_of_a_kept_one_stays() -> None:
    label = {"label": "dog", "confidence": 0.5, "logits": [1.0], "mine": 1}
    decision = Decision(ACCEPTED, "ann", datetime(2026, 1, 31, tzinfo=UTC), "run")

    replaced, kept = decide(label, "cat", decision), decide(label, "dog", decision)

    assert not {"confidence", "logits"} & set(replaced)
    assert (kept["confidence"], kept["logits"], replaced["mine"]) == (0.5, [1.0], 1)


def test_decisions_and_history_survive_clone_and_export(six: fo.Dataset, tmp_path: Path, dataset: MakeDataset) -> None:
    key = six.first().id
    decide_labels(six, FIELD, [key], ACCEPTED, by="ann", labels={key: "cat"})
    six.export(str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset, export_media=False)

    clone = six.limit(3).clone()
    imported = fo.Dataset.from_dir(str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset)

    for copy in (clone, imported):
        assert decided(copy)[0][:3] == [True, False, False]
        assert copy.first().ground_truth.history == six.first().ground_truth.history
        decide_labels(copy, FIELD, copy.values("id")[1:2], KEPT, by="bob")  # the attributes are known as Winnow's
        assert decided(copy)[0][:3] == [True, True, False]


def test_attributes_are_declared_so_that_the_app_can_filter_by_them(six: fo.Dataset) -> None:
    decide_labels(six, FIELD, six.values("id")[:1], KEPT, by="ann")

    declared = {path: type(field) for path, field in six.get_field_schema(flat=True).items() if path.startswith(FIELD)}

    assert declared[f"{FIELD}.decision"] is declared[f"{FIELD}.decided_by"] is fo.StringField
    assert declared[f"{FIELD}.decided_at"] is fo.DateTimeField
    assert six.get_dynamic_field_schema() == {}
    assert f"{FIELD}.decision" in six.list_indexes()


@pytest.mark.parametrize("declare", [True, False])
def test_an_attribute_of_the_users_is_not_overwritten(six: fo.Dataset, declare: bool) -> None:
    sample = six.first()
    sample.ground_truth["history"] = "mine"
    sample.save()
    if declare:
        six.add_dynamic_sample_fields()

    with pytest.raises(FieldError, match=r"'ground_truth\.history' of"):
        declare_attributes(six, FIELD)
    assert six.first().ground_truth.history == "mine"
    assert six.get_field("ground_truth.decision") is None  # nothing is half done


def test_decisions_about_images_of_all_slices_are_read(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_group_field("side", default="left")
    side = fo.Group()
    made.add_samples(
        fo.Sample(filepath=f"/{name}.png", side=side.element(name), ground_truth=fo.Classification(label="dog"))
        for name in ("left", "right")
    )
    right = made.select_group_slices("right")

    decide_labels(made, FIELD, right.values("id"), UNSURE, by="ann")

    assert decided(right)[1] == [True]
    assert ONE_AN_IMAGE.count_unsure(made, FIELD) == 1
    assert ONE_AN_IMAGE.unsure(made, FIELD) == right.values("id")
