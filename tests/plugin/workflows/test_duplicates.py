from __future__ import annotations

import fiftyone as fo
import pytest

from winnow.plugin.datasets.runs import load_results, load_run
from winnow.plugin.errors import FieldError
from winnow.plugin.workflows.duplicates import DuplicateParams, DuplicateReport, find_duplicates

from .conftest import CLASSES, IMAGES, MakeDataset, values_by_name


@pytest.fixture(scope="module")
def report(shared: fo.Dataset) -> DuplicateReport:
    return find_duplicates(shared)


def test_a_copy_shares_the_group_of_its_source(report: DuplicateReport, shared: fo.Dataset) -> None:
    groups = values_by_name(shared, "duplicate_group")

    copies = [groups[f"test/{name}/copy.jpg"] for name in CLASSES]
    assert None not in copies
    assert copies == [groups[f"train/{name}/000.png"] for name in CLASSES]


def test_most_images_are_in_no_group(report: DuplicateReport, shared: fo.Dataset) -> None:
    groups, scores = shared.values(["duplicate_group", "duplicate_score"])

    assert groups.count(None) > 0.9 * IMAGES
    assert [group is None for group in groups] == [score is None for score in scores]


def test_scores_of_grouped_images_reach_the_threshold(report: DuplicateReport, shared: fo.Dataset) -> None:
    scores = [score for score in shared.values("duplicate_score") if score is not None]

    assert all(report.pairs.threshold <= score <= 1 for score in scores)


def test_summary_counts_what_the_fields_hold(report: DuplicateReport, shared: fo.Dataset) -> None:
    groups = [group for group in shared.values("duplicate_group") if group is not None]

    found = report.summary()
    assert found["images"] == IMAGES
    assert found["images_in_groups"] == len(groups)
    assert found["groups"] == len(set(groups))
    assert found["largest_group"] == max(groups.count(group) for group in groups)


def test_flagged_pairs_are_kept_with_the_run(report: DuplicateReport, shared: fo.Dataset) -> None:
    run, results = load_run(shared, "winnow_duplicates"), load_results(shared, "winnow_duplicates")

    assert run.fields == ("duplicate_group", "duplicate_score", "duplicate_role", "duplicate_conflict")
    assert set(results["kinds"]) <= {"near", "same_pixels", "same_file"}
    assert len(results["groups"]) == report.summary()["groups"]
    assert len(results["pairs"]) == len(results["scores"]) == report.summary()["pairs"]
    assert {sample_id for pair in results["pairs"] for sample_id in pair} <= set(shared.values("id"))


def test_a_stricter_run_takes_back_what_no_longer_counts(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    find_duplicates(made)

    strict = find_duplicates(made, DuplicateParams(threshold=1.1))

    assert strict.summary()["groups"] == 0
    assert set(made.values("duplicate_group")) == set(made.values("duplicate_score")) == {None}
    assert "No near-duplicates" in strict.text()


def test_results_go_to_the_fields_that_were_asked_for(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    fields = {"group_field": "twins", "score_field": "twin_score", "role_field": "twin", "conflict_field": "odd"}

    find_duplicates(made, DuplicateParams(**fields))

    assert made.count("twins") == made.count("twin_score") == made.count("twin") == made.count("odd") > 0
    assert not any(made.has_field(f"duplicate_{name}") for name in ("group", "score", "role", "conflict"))


def test_only_the_samples_of_a_view_are_looked_at(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    report = find_duplicates(made.match(fo.ViewField("split") == "train"))

    assert len(report.samples) == 30
    assert values_by_name(made, "duplicate_group")["test/bag/copy.jpg"] is None


def test_the_order_of_a_view_does_not_matter(report: DuplicateReport, shared: fo.Dataset) -> None:
    shuffled = find_duplicates(shared.shuffle(seed=1))

    assert shuffled.pairs.rows.tolist() == report.pairs.rows.tolist()
    assert shuffled.groups.group.tolist() == report.groups.group.tolist()
    assert shuffled.keepers.tolist() == report.keepers.tolist()


def test_each_group_keeps_its_image_of_the_test_split(report: DuplicateReport, shared: fo.Dataset) -> None:
    roles = values_by_name(shared, "duplicate_role")

    assert [roles[f"test/{name}/copy.jpg"] for name in CLASSES] == ["keeper"] * len(CLASSES)
    assert [roles[f"train/{name}/000.png"] for name in CLASSES] == ["copy"] * len(CLASSES)
    assert list(roles.values()).count("keeper") == report.summary()["groups"]


def test_a_field_of_the_users_is_not_overwritten(garments: MakeDataset) -> None:
    made = garments("test/bag/*")
    made.set_values("duplicate_group", list(range(len(made))))

    with pytest.raises(FieldError, match=r"'duplicate_group' of .* was not made by Winnow"):
        find_duplicates(made)
    assert made.values("duplicate_group") == list(range(len(made)))


def test_a_single_image_has_no_duplicates(garments: MakeDataset) -> None:
    report = find_duplicates(garments("test/bag/copy.jpg"))

    assert report.summary()["groups"] == 0
