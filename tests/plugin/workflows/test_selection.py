"""Which samples are trained and evaluated on, and what is said of their classes; see `training_rows`."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.datasets.label_changes import ADD, REMOVE, LabelChange, SampleChanges
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.findings import Findings
from winnow.plugin.workflows.training_rows import Labels, Selection, audit_classes, select_rows, without_flagged

N = 100
IDS = np.arange(N).astype(str)


def select(
    splits: list[str], findings: Findings | None = None, labels: np.ndarray | None = None, **settings: object
) -> Selection:
    """Select among 100 samples of two classes, alternating where no labels are given."""
    values = np.arange(N) % 2 if labels is None else labels
    given = {"seed": 0, "label_issues": "exclude", "leaks": False} | settings
    return select_rows(labelled(values), np.array(splits, object), findings or nothing_found(), **given)


def labelled(values: np.ndarray, classes: tuple[str, ...] = ("cat", "dog")) -> Labels:
    return Labels(values, classes, "ground_truth")


def nothing_found(**changed: np.ndarray) -> Findings:
    """Return findings about 100 samples, with some of the arrays replaced."""
    arrays = {
        "groups": np.full(N, -1),
        "leaked": np.zeros(N, bool),
        "is_issue": np.zeros(N, bool),
        "quality": np.where(changed.get("is_issue", np.zeros(N, bool)), 0.1, 1).astype(np.float32),
    }
    return Findings(**arrays | changed, notes=())


def rows(*chosen: int) -> np.ndarray:
    """Return (100,) bool, true at these rows."""
    return np.isin(np.arange(N), chosen)


def test_train_split_is_trained_on_and_test_split_evaluated() -> None:
    found = select(["train"] * 60 + ["validation"] * 20 + ["test"] * 20)

    assert np.flatnonzero(found.train).tolist() == list(range(60))
    assert np.flatnonzero(found.validation).tolist() == list(range(60, 80))
    assert np.flatnonzero(found.evaluation).tolist() == list(range(80, 100))
    assert found.evaluated_on == "test"


def test_without_a_test_split_the_validation_split_is_evaluated_and_nothing_else() -> None:
    found = select(["train"] * 60 + ["validation"] * 40)

    assert found.evaluated_on == "validation"
    assert found.evaluation.sum() == 40
    assert not found.validation.any()


@pytest.mark.parametrize("splits", [[""] * N, ["train"] * N], ids=["no splits", "only train"])
def test_without_an_evaluation_split_a_fifth_is_held_out(splits: list[str]) -> None:
    found = select(splits)

    assert found.evaluated_on == "held out"
    assert found.evaluation.sum() == 20
    assert not (found.train & found.evaluation).any()
    assert (found.train | found.evaluation).all()


def test_duplicates_are_never_on_both_sides_of_what_is_held_out() -> None:
    groups = np.where(np.arange(N) < 60, np.arange(N) // 4, -1)

    found = select([""] * N, nothing_found(groups=groups))

    assert all(len(set(found.evaluation[groups == group])) == 1 for group in range(15))


def test_what_is_held_out_depends_on_the_seed_alone() -> None:
    held_out = [select([""] * N, seed=seed).evaluation.tolist() for seed in (1, 1, 2)]

    assert held_out[0] == held_out[1] != held_out[2]


def test_the_pool_is_not_trained_on_where_there_is_a_train_split() -> None:
    found = select(["train"] * 60 + [""] * 20 + ["test"] * 20)

    assert found.train.sum() == 60


def test_all_but_the_test_split_is_trained_on_where_no_split_is_named_train() -> None:
    found = select([""] * 80 + ["test"] * 20)

    assert np.flatnonzero(found.train).tolist() == list(range(80))
    assert found.evaluated_on == "test"


def test_unlabelled_samples_are_neither_trained_nor_evaluated_on() -> None:
    labels = np.where(np.arange(N) % 5 == 0, -1, np.arange(N) % 2)

    found = select(["train"] * 80 + ["test"] * 20, labels=labels)

    assert not ((found.train | found.evaluation) & (labels < 0)).any()


def test_training_images_that_an_evaluation_split_repeats_are_left_out() -> None:
    found = select(["train"] * 80 + ["test"] * 20, nothing_found(leaked=rows(0, 1, 80, 81)))

    assert np.flatnonzero(~found.train).tolist() == [0, 1, *range(80, 100)]
    assert found.evaluation.sum() == 20
    assert found.leaked == 2


def test_flagged_labels_are_left_out_and_counted_by_class() -> None:
    findings = nothing_found(is_issue=rows(0, 2, 3, 80))

    found = select(["train"] * 80 + ["test"] * 20, findings)

    assert not found.train[[0, 2, 3]].any()
    assert found.evaluation[80]
    assert found.excluded == {"cat": (2, 40), "dog": (1, 40)}


def test_at_most_a_quarter_of_a_class_is_left_out_the_worst_first() -> None:
    flagged = np.arange(0, 40, 2)  # twenty of forty cats
    quality = np.ones(N, np.float32)
    quality[flagged] = np.linspace(0.01, 0.2, 20)

    found = select(["train"] * 80 + ["test"] * 20, nothing_found(is_issue=rows(*flagged), quality=quality))

    assert np.flatnonzero(~found.train[:80]).tolist() == flagged[:10].tolist()
    assert found.excluded == {"cat": (10, 40)}


def test_nothing_of_a_class_below_twenty_images_is_left_out() -> None:
    labels = np.where(np.arange(N) < 19, 0, 1)

    found = select(["train"] * 80 + ["test"] * 20, nothing_found(is_issue=rows(*range(10))), labels)

    assert found.train[:80].all()
    assert found.excluded == {}


def test_flagged_labels_stay_where_that_is_asked_for() -> None:
    found = select(["train"] * 80 + ["test"] * 20, nothing_found(is_issue=rows(0)), label_issues="keep")

    assert found.train[0]


def test_flagged_labels_can_count_for_less_instead() -> None:
    flagged = rows(0, 2, 4)

    found = select(["train"] * 80 + ["test"] * 20, nothing_found(is_issue=flagged), label_issues="down-weight")

    assert found.train.sum() == 80
    assert found.weights[flagged].tolist() == pytest.approx([0.1] * 3)
    assert set(found.weights[~flagged]) == {1.0}
    assert found.excluded == {"cat": (3, 40)}


def test_an_unknown_way_with_flagged_labels_is_refused() -> None:
    with pytest.raises(DataError, match="label_issues must be one of exclude, down-weight, keep, got 'drop'"):
        select(["train"] * N, label_issues="drop")


def test_leaks_are_trained_on_only_when_somebody_says_so() -> None:
    splits, leaked = ["train"] * 80 + ["test"] * 20, nothing_found(leaked=rows(3, 99))

    assert select(splits, leaked).leaked == 1
    assert not select(splits, leaked).train[3]
    assert select(splits, leaked, leaks=True).train[3]


def test_a_duplicate_group_never_straddles_training_and_validation() -> None:
    groups = np.full(N, -1)
    groups[[0, 1, 70]] = 5  # 70 is validated on
    groups[[2, 3]] = 6

    found = select(["train"] * 60 + ["validation"] * 20 + ["test"] * 20, nothing_found(groups=groups))

    assert not found.train[[0, 1]].any()
    assert found.train[[2, 3]].all()
    assert found.leaked == 2


def test_with_several_labels_only_images_that_nobody_annotated_are_left_out() -> None:
    values = np.zeros((N, 2), np.float32)
    values[::2, 0], values[:10] = 1, np.nan

    found = select(["train"] * 80 + ["test"] * 20, labels=values)

    assert found.train.sum() == 70
    assert found.evaluation.sum() == 20


def test_with_several_labels_rare_ones_are_held_out_too() -> None:
    values = np.zeros((N, 2), np.float32)
    values[:, 0], values[:10, 1] = 1, 1

    found = select([""] * N, labels=values)

    assert values[found.evaluation, 1].sum() == 2


def test_with_several_labels_only_the_flagged_answers_of_training_images_are_left_out() -> None:
    values = np.zeros((N, 2), np.float32)
    values[:40, 0] = 1
    flagged = {str(row): SampleChanges((LabelChange("cat", REMOVE, 0.9),)) for row in (0, 1, 90)}
    flagged["50"] = SampleChanges((LabelChange("dog", ADD, 0.8), LabelChange("cow", ADD, 0.8)))

    found, excluded = without_flagged(labelled(values), flagged, IDS, rows(*range(80)))

    assert np.argwhere(np.isnan(found.values)).tolist() == [[0, 0], [1, 0], [50, 1]]
    assert excluded == {"cat": (2, 80), "dog": (1, 80)}


def test_with_several_labels_at_most_a_quarter_of_a_classs_answers_is_left_out_and_none_of_a_small_class() -> None:
    values = np.zeros((N, 2), np.float32)
    values[:40, 0], values[:10, 1] = 1, 1
    cat, dog = LabelChange("cat", REMOVE, 0.9), LabelChange("dog", REMOVE, 0.9)
    flagged = {str(row): SampleChanges((cat, dog) if row < 10 else (cat,)) for row in range(30)}

    found, excluded = without_flagged(labelled(values), flagged, IDS, rows(*range(N)))

    assert excluded == {"cat": (10, 100)}
    assert np.isnan(found.values).sum(axis=0).tolist() == [10, 0]


def test_what_is_odd_about_the_classes_is_said() -> None:
    values = np.array([0] * 60 + [1] * 3 + [2] + [3] * 36)
    labels = labelled(values, ("left hand", "Hand", "hand ", "foot"))
    splits = np.array(["train"] * 64 + ["test"] * 36, object)
    selection = select_rows(labels, splits, nothing_found(), seed=0, label_issues="keep", leaks=False)

    notes = audit_classes(labels, selection, flips=True)

    assert notes == [
        "probably one class: 'hand ' (1), 'Hand' (3)",
        "classes with a single training image: hand ",
        "classes without an image to measure on (test): left hand, Hand, hand ",
        "classes are of very different sizes: left hand 60, hand  1; look at macro F1, and at logit_adjustment in the "
        "recipe",
        "training shows mirror images, but names of classes tell sides (left hand); set flip to 0 in the recipe",
    ]


@pytest.mark.parametrize("name", ["leftover", "bright", "copyright"])
def test_a_name_that_only_contains_a_side_is_no_reason_to_warn(name: str) -> None:
    labels = labelled(np.arange(N) % 2, (name, "dog"))

    assert audit_classes(labels, select([""] * N), flips=True) == []
