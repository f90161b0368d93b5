"""What an action works on, and what is spared."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from winnow.plugin.datasets import runs
from winnow.plugin.datasets.decisions import read_decisions
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.actions import delete_samples
from winnow.plugin.workflows.choosing import choose
from winnow.plugin.workflows.decide import APART, FORGET, KEEP_ALL, decide_duplicates
from winnow.plugin.workflows.findings import DUPLICATES_RUN, LEAKS_RUN

MakeDataset = Callable[..., fo.Dataset]

GROUPS = [0, 0, 0, 1, 1, None]
ROLES = ["copy", "keeper", "copy", "keeper", "copy", None]


@pytest.fixture
def found(dataset: MakeDataset) -> fo.Dataset:
    """Return six samples with two duplicate groups, leaks and a label issue, as the jobs write them."""
    made = dataset()
    splits = ["train", "train", "test", "train", "test", "train"]
    labels = ["a", "b", "a", "b", "a", "b"]
    made.add_samples(
        fo.Sample(filepath=f"/images/{row}.png", split=split, ground_truth=fo.Classification(label=label))
        for row, (split, label) in enumerate(zip(splits, labels, strict=True))
    )
    ids = made.values("id")
    write_values(made, "duplicate_group", ids, GROUPS, kind="int")
    write_values(made, "duplicate_score", ids, [0.9, 0.9, 0.8, 0.7, 0.7, None], kind="float")
    write_values(made, "duplicate_role", ids, ROLES, kind="str")
    write_values(made, "leak_score", ids, [0.9, None, 0.8, 0.7, 0.7, None], kind="float")
    write_values(made, "label_issue", ids, [False, False, True, False, False, False], kind="bool")
    write_values(made, "label_conflict", ids[:5], [True, True, True, False, False], kind="bool")
    fields = ["duplicate_group", "duplicate_score", "duplicate_role", "label_conflict"]
    runs.save_run(made, DUPLICATES_RUN, method="find_duplicates", params={}, fields=fields, summary={})
    return made


def rows(made: fo.Dataset, ids: tuple[str, ...]) -> list[str]:
    """Return the number in each sample's file name."""
    return sorted(path[-5] for path in made.select(list(ids)).values("filepath"))


def test_copies_are_the_images_of_groups_that_are_not_the_one_to_keep(found: fo.Dataset) -> None:
    chosen = choose(found, "copies")

    assert rows(found, chosen.ids) == ["0", "2", "4"]
    assert (chosen.groups, chosen.notes) == (2, ())


def test_of_a_group_whose_keeper_is_gone_one_copy_is_spared(found: fo.Dataset) -> None:
    found.delete_samples(found.values("id")[1:2])

    chosen = choose(found, "copies")

    assert rows(found, chosen.ids) == ["2", "4"]
    assert "1 copy spared, as the image to keep of its group is gone" in chosen.notes
    assert "near-duplicates are older than the dataset" in chosen.notes[1]


def test_two_views_spare_the_same_copy(found: fo.Dataset) -> None:
    found.delete_samples(found.values("id")[1:2])

    spared = [choose(found.select(sample_id), "copies").ids == () for sample_id in found.values("id")[:2]]

    assert spared == [True, False]


def test_no_group_loses_its_last_copy_however_often_copies_are_deleted(found: fo.Dataset) -> None:
    found.delete_samples(found.values("id")[1:2])
    for _ in range(3):
        delete_samples(found, choose(found, "copies"))

    assert set(found.distinct("duplicate_group")) == {0, 1}


def test_groups_that_a_person_keeps_have_no_copies(found: fo.Dataset) -> None:
    decide_duplicates(found, found.values("id")[:1], KEEP_ALL)

    assert rows(found, choose(found, "copies").ids) == ["4"]


def test_only_the_images_of_the_view_are_chosen(found: fo.Dataset) -> None:
    assert rows(found, choose(found.skip(3), "copies").ids) == ["4"]


def test_of_a_view_of_groups_every_image_counts(found: fo.Dataset) -> None:
    grouped = found.match(fo.ViewField("duplicate_group") == 0).group_by("duplicate_group")

    assert rows(found, choose(grouped, "copies").ids) == ["0", "2"]


def test_leaked_training_images_are_those_with_a_counterpart_in_another_split(found: fo.Dataset) -> None:
    assert rows(found, choose(found, "leaked training images").ids) == ["0", "3"]


def test_splits_are_those_that_the_search_for_leaks_read(found: fo.Dataset) -> None:
    found.set_values("other", ["test", "test", "train", "test", "train", "test"])
    params = {"split_field": "other", "score_field": "leak_score"}
    runs.save_run(found, LEAKS_RUN, method="find_leaks", params=params, fields=["leak_score"], summary={})

    assert rows(found, choose(found, "leaked training images").ids) == ["2", "4"]


def test_label_issues_are_the_flagged_ones(found: fo.Dataset) -> None:
    assert rows(found, choose(found, "label issues").ids) == ["2"]


def test_selected_samples_that_are_gone_are_counted(found: fo.Dataset) -> None:
    ids = found.values("id")
    found.delete_samples(ids[:1])

    chosen = choose(found, "selected", selected=ids[:2])

    assert chosen.ids == (ids[1],)
    assert chosen.notes == ("1 selected sample is gone",)


@pytest.mark.parametrize("what", ["copies", "leaked training images", "label issues"])
def test_what_was_not_looked_for_can_not_be_chosen(dataset: MakeDataset, what: str) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/images/0.png"))

    with pytest.raises(DataError, match="were not looked for"):
        choose(made, what)


def test_an_unknown_choice_is_refused(found: fo.Dataset) -> None:
    with pytest.raises(DataError, match="Choose from: copies, leaked training images"):
        choose(found, "everything")


# Decisions


def test_images_called_apart_leave_their_group_and_are_remembered(found: fo.Dataset) -> None:
    ids = found.values("id")

    report = decide_duplicates(found, ids[3:5], APART)

    assert (report.samples, report.groups, report.pairs) == (2, 1, 1)
    assert found.values("duplicate_group") == [0, 0, 0, None, None, None]
    assert found.values("duplicate_role")[3:] == [None] * 3
    assert found.values("duplicate_score")[3:] == [None] * 3
    assert found.values("label_conflict") == [True] * 3 + [None] * 3
    assert read_decisions(found).apart([ids[3]], [ids[4]]).all()


def test_images_called_apart_that_count_as_leaks_are_told(found: fo.Dataset) -> None:
    report = decide_duplicates(found, found.values("id")[:2], APART)

    assert report.leaked == 1
    assert "Find leaks again" in report.text()


def test_whole_groups_are_called_apart_each_for_itself(found: fo.Dataset) -> None:
    ids = found.values("id")

    report = decide_duplicates(found, [ids[0], ids[3]], APART, whole_groups=True)

    assert report.pairs == 3 + 1
    assert found.exists("duplicate_group").count() == 0
    assert not read_decisions(found).apart([ids[0]], [ids[3]]).any()


def test_who_is_left_alone_leaves_the_group_too(found: fo.Dataset) -> None:
    decide_duplicates(found, found.values("id")[:2], APART)

    assert found.values("duplicate_group")[:3] == [None] * 3


def test_a_group_whose_keeper_leaves_keeps_the_first_of_the_others(found: fo.Dataset) -> None:
    found.add_sample(fo.Sample(filepath="/images/6.png"))
    ids = found.values("id")
    write_values(found.select(ids[6]), "duplicate_group", ids[6:], [0], kind="int")
    write_values(found.select(ids[6]), "duplicate_role", ids[6:], ["copy"], kind="str")

    decide_duplicates(found, ids[:2], APART)

    assert [found[ids[row]].duplicate_role for row in (2, 6)] == ["keeper", "copy"]
    assert found.values("duplicate_group")[:3] == [None, None, 0]


def test_images_of_different_groups_stay_in_them(found: fo.Dataset) -> None:
    ids = found.values("id")

    decide_duplicates(found, [ids[0], ids[3]], APART)

    assert found.values("duplicate_group") == GROUPS
    assert read_decisions(found).apart([ids[0]], [ids[3]]).all()


def test_keeping_all_takes_the_whole_group(found: fo.Dataset) -> None:
    ids = found.values("id")

    decide_duplicates(found, ids[2:3], KEEP_ALL)

    assert found.values("duplicate_role") == ["kept"] * 3 + ["keeper", "copy", None]
    assert read_decisions(found).kept == (frozenset(ids[:3]),)


def test_forgetting_whole_groups_forgets_all_about_them(found: fo.Dataset) -> None:
    ids = found.values("id")
    decide_duplicates(found, ids[:1], KEEP_ALL)
    decide_duplicates(found, ids[3:4], KEEP_ALL)

    report = decide_duplicates(found, ids[:1], FORGET, whole_groups=True)

    assert report.samples == 3
    assert read_decisions(found).kept == (frozenset(ids[3:5]),)


def test_keeping_images_of_no_group_is_refused(found: fo.Dataset) -> None:
    with pytest.raises(DataError, match="none of the chosen samples"):
        decide_duplicates(found, found.values("id")[5:], KEEP_ALL)


def test_an_unknown_decision_is_refused(found: fo.Dataset) -> None:
    with pytest.raises(DataError, match="Choose from: not duplicates of each other, keep all"):
        decide_duplicates(found, found.values("id"), "whatever")
