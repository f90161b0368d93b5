"""Annotations to labels: who counts, what the majority is, how far they agree."""

from __future__ import annotations

import math
from typing import Any

import pytest

from winnow.plugin.labeling.agreement import krippendorff_alpha
from winnow.plugin.labeling.annotations import read_labels
from winnow.plugin.labeling.labeling_config import Control, parse_labeling_config


def control(choice: str = "single") -> Control:
    return parse_labeling_config(
        f'<View><Image name="img" value="$image"/><Choices name="pet" toName="img" choice="{choice}">'
        '<Choice value="Cat" alias="cat"/><Choice value="Dog"/><Choice value="Eel"/></Choices></View>'
    ).controls[0]


def annotation(number: int, *choices: str, by: int | None = None, **fields: Any) -> dict[str, Any]:
    """Return an annotation as Label Studio's API gives it, by an annotator of its own unless told."""
    region = {"from_name": "pet", "to_name": "img", "type": "choices", "value": {"choices": list(choices)}}
    made = f"2026-01-01T00:00:{number:02}.000000Z"
    return {
        "id": number,
        "result": [region] if choices else [],
        "completed_by": number if by is None else by,
        "was_cancelled": False,
        "ground_truth": False,
        "parent_prediction": None,
        "created_at": made,
        "updated_at": made,
    } | fields


def task(number: int, *annotations: dict[str, Any], predicted_at: str | None = None) -> dict[str, Any]:
    predictions = [] if predicted_at is None else [{"created_at": predicted_at}]
    return {"id": number, "annotations": list(annotations), "predictions": predictions}


def present(tasks: list[dict[str, Any]], choice: str = "single") -> dict[int, set[Any]]:
    return {number: set(label.present) for number, label in read_labels(tasks, control(choice)).labels.items()}


def test_label_is_what_is_written_for_the_choice() -> None:
    assert present([task(7, annotation(1, "cat"))]) == {7: {"cat"}}


def test_skipped_annotations_are_left_out_and_counted() -> None:
    found = read_labels([task(1, annotation(1, was_cancelled=True), annotation(2, "Dog"))], control())

    assert (found.labels[1].present, found.skipped) == ({"Dog"}, 1)


def test_task_that_was_only_skipped_or_only_drafted_has_no_label() -> None:
    drafted = task(2) | {"drafts": [{"result": annotation(1, "cat")["result"]}]}

    assert present([task(1, annotation(1, was_cancelled=True)), drafted]) == {}


def test_submitting_without_a_choice_is_no_label_where_one_is_asked_for() -> None:
    found = read_labels([task(1, annotation(1))], control())

    assert (dict(found.labels), found.unanswered) == ({}, 1)


def test_submitting_without_a_choice_means_that_all_are_absent_where_several_are_allowed() -> None:
    assert present([task(1, annotation(1))], "multiple") == {1: set()}


def test_more_than_half_of_the_annotators_decide() -> None:
    assert present([task(1, annotation(1, "cat"), annotation(2, "Dog"), annotation(3, "cat"))]) == {1: {"cat"}}


def test_a_tie_is_no_label_and_is_counted() -> None:
    found = read_labels([task(1, annotation(1, "cat"), annotation(2, "Dog"))], control())

    assert (dict(found.labels), found.tied) == ({}, 1)


def test_majority_is_taken_for_each_of_several_choices_and_an_even_split_stays_open() -> None:
    votes = [annotation(1, "cat", "Dog"), annotation(2, "cat")]

    label = read_labels([task(1, *votes)], control("multiple")).labels[1]

    assert (label.present, label.undecided) == ({"cat"}, {"Dog"})


def test_last_answer_of_an_annotator_counts() -> None:
    votes = [annotation(3, "Dog", by=5), annotation(1, "cat", by=5), annotation(2, "cat", by=5)]

    assert present([task(1, *votes)]) == {1: {"Dog"}}


def test_ground_truth_outweighs_all_other_answers() -> None:
    votes = [annotation(1, "cat"), annotation(2, "cat"), annotation(3, "Dog", ground_truth=True)]

    assert present([task(1, *votes)]) == {1: {"Dog"}}


@pytest.mark.parametrize(
    ("fields", "predicted_at", "blind"),
    [
        ({}, None, True),
        ({"parent_prediction": 4}, None, False),
        ({}, "2026-01-01T00:00:00.500000Z", False),
        ({}, "2026-01-01T00:00:02.000000Z", True),
    ],
    ids=["none was made", "taken over from one", "there when it was labelled", "made afterwards"],
)
def test_label_is_blind_where_no_prediction_was_in_sight(
    fields: dict[str, Any], predicted_at: str | None, blind: bool
) -> None:
    found = read_labels([task(1, annotation(1, "cat", **fields), predicted_at=predicted_at)], control())

    assert (found.labels[1].blind, found.blind) == (blind, int(blind))


def test_agreement_is_the_share_of_equal_pairs_and_krippendorffs_alpha() -> None:
    pairs = [("cat", "cat"), ("Dog", "Dog"), ("cat", "Dog"), ("Dog", "Dog")]
    tasks = [task(n, annotation(1, a), annotation(2, b)) for n, (a, b) in enumerate(pairs)]

    found = read_labels([*tasks, task(9, annotation(1, "Eel"))], control()).agreement

    # 3 cat, 5 Dog among 8: observed disagreement 2, expected 2 * 3 * 5 / 7; alpha = 1 - 14 / 30
    assert (found.tasks, found.share) == (4, 0.75)
    assert found.alpha == pytest.approx(1 - 14 / 30)


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part C: four observers, twelve units
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = [[row[unit] for row in rows if row[unit] is not None] for unit in range(12)]

    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_undefined_where_only_one_answer_was_given() -> None:
    assert math.isnan(krippendorff_alpha([["cat", "cat"], ["cat"]]))
