from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest
from bson import json_util

from winnow.plugin.datasets.group_views import (
    DUPLICATES_VIEW,
    LABEL_ISSUES_VIEW,
    save_group_view,
    save_issue_view,
)

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def found(dataset: MakeDataset) -> fo.Dataset:
    """Return seven samples: three groups, of which a person keeps the second, and one sample without a group."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png") for row in range(7)])
    made.set_values("group", [0, 0, 1, 1, 2, 2, None])
    made.set_values("score", [0.5, 0.6, 0.99, 0.99, 0.8, 0.9, None])
    made.set_values("role", ["keeper", "copy", "kept", "kept", "copy", "keeper", None])
    return made


def save(made: fo.Dataset | fo.DatasetView) -> str | None:
    return save_group_view(
        made,
        DUPLICATES_VIEW,
        score_field="score",
        group_field="group",
        role_field="role",
        roles=("keeper", "copy"),
    )


def test_the_saved_view_has_one_tile_a_group_the_best_score_first(found: fo.Dataset) -> None:
    save(found)

    view = found.load_saved_view(DUPLICATES_VIEW)
    assert view.values("group") == [2, 0]
    assert [group.values("score") for group in view.iter_dynamic_groups()] == [[0.9, 0.8], [0.6, 0.5]]


def test_the_saved_view_follows_the_fields(found: fo.Dataset) -> None:
    save(found)

    found.set_values("role", ["kept"] * 7)

    assert found.load_saved_view(DUPLICATES_VIEW).count() == 0


def test_a_view_without_groups_shows_images_by_score(found: fo.Dataset) -> None:
    save_group_view(found, "best", score_field="score")

    assert found.load_saved_view("best").values("score") == [0.99, 0.99, 0.9, 0.8, 0.6, 0.5]


def test_the_whole_dataset_is_shown_also_after_a_job_on_a_view(found: fo.Dataset) -> None:
    save(found.limit(2))

    assert found.load_saved_view(DUPLICATES_VIEW).values("group") == [2, 0]


def test_saving_again_replaces_the_view(found: fo.Dataset) -> None:
    save(found)

    assert save(found) is None
    assert found.list_saved_views() == [DUPLICATES_VIEW]


@pytest.mark.parametrize("name", [DUPLICATES_VIEW, "Winnow Duplicates"])
def test_a_persons_view_of_that_name_stays(found: fo.Dataset, name: str) -> None:
    found.save_view(name, found.limit(1), description="mine")

    note = save(found)

    assert note is not None
    assert f"'{name}' is your own" in note
    assert len(found.load_saved_view(name)) == 1


def test_where_nothing_is_left_to_review_the_view_goes(found: fo.Dataset) -> None:
    save(found)
    found.set_values("role", ["kept"] * 7)

    save(found)

    assert found.list_saved_views() == []


def test_no_ids_are_stored(found: fo.Dataset) -> None:
    save(found)

    stored = json_util.dumps(found.load_saved_view(DUPLICATES_VIEW)._serialize())
    assert not any(sample_id in stored for sample_id in found.values("id"))


def test_images_of_a_grouped_dataset_are_shown_from_all_slices(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_group_field("side", default="left")
    for row in range(2):
        side = fo.Group()
        made.add_samples(
            [
                fo.Sample(filepath=f"/{name}{row}.png", side=side.element(name), group=row, score=0.5 + row / 10)
                for name in ("left", "right")
            ]
        )

    save_group_view(made, "best", score_field="score", group_field="group")

    groups = list(made.load_saved_view("best").iter_dynamic_groups())
    assert [group.count() for group in groups] == [2, 2]


@pytest.fixture
def judged(dataset: MakeDataset) -> fo.Dataset:
    """Return four samples, of which the first three labels are flagged."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png") for row in range(4)])
    made.set_values("flag", [True, True, True, False])
    made.set_values("quality", [0.3, 0.1, 0.2, 0.9])
    return made


def save_issues(made: fo.Dataset) -> str | None:
    return save_issue_view(made, LABEL_ISSUES_VIEW, flag_field="flag", score_field="quality")


def test_label_issues_are_shown_the_worst_quality_first(judged: fo.Dataset) -> None:
    note = save_issues(judged)

    assert note is None
    assert judged.load_saved_view("winnow label issues").values("quality") == [0.1, 0.2, 0.3]


def test_reviewed_labels_leave_the_view_of_label_issues(judged: fo.Dataset) -> None:
    save_issues(judged)

    judged.set_values("flag", [True, False, True, False])

    assert judged.load_saved_view(LABEL_ISSUES_VIEW).values("quality") == [0.2, 0.3]


def test_a_view_of_label_issues_is_not_saved_over_a_persons_own(judged: fo.Dataset) -> None:
    judged.save_view("Winnow label issues", judged.limit(1))

    note = save_issues(judged)

    assert note is not None and "'Winnow label issues' is your own" in note
    assert judged.load_saved_view("Winnow label issues").count() == 1


def test_where_no_label_is_flagged_any_more_the_view_goes(judged: fo.Dataset) -> None:
    save_issues(judged)
    judged.set_values("flag", [False] * 4)

    save_issues(judged)

    assert judged.list_saved_views() == []
