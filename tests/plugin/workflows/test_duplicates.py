from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.datasets.decisions import call_apart, keep_all
from winnow.plugin.datasets.group_views import DUPLICATES_VIEW
from winnow.plugin.datasets.runs import load_results, load_run
from winnow.plugin.errors import FieldError
from winnow.plugin.vision import scratch
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


def test_vectors_in_a_file_give_the_same_pairs(
    report: DuplicateReport, garments: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_MUCH", 0)
    made = garments()

    found = find_duplicates(made)

    assert scratch.belongs_on_disk((1, 1))
    assert found.pairs.rows.tolist() == report.pairs.rows.tolist()
    assert found.pairs.score.tolist() == report.pairs.score.tolist()


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


def test_images_that_a_person_called_different_are_never_flagged_again(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    find_duplicates(made)
    copy, source = (made.match(fo.ViewField("filepath").ends_with(name)) for name in ("copy.jpg", "train/bag/000.png"))

    call_apart(made, [copy.first().id, source.first().id])
    again = find_duplicates(made)

    assert copy.values("duplicate_group") == source.values("duplicate_group") == [None]
    pair = frozenset([copy.first().id, source.first().id])
    found = {frozenset(again.samples.ids[rows]): score for rows, score in zip(*_listed(again), strict=True)}
    assert found[pair] == 0


def test_a_group_that_a_person_keeps_is_told_apart_until_a_new_member_joins(
    garments: MakeDataset, tmp_path: Path
) -> None:
    made = garments("*/bag/*")
    find_duplicates(made)
    grouped = made.match(fo.ViewField("duplicate_role") != None)  # noqa: E711

    keep_all(made, grouped.values("id"))
    again = find_duplicates(made)
    roles = set(grouped.values("duplicate_role"))
    source = made.match(fo.ViewField("filepath").ends_with("train/bag/000.png")).first().filepath
    shutil.copyfile(source, tmp_path / "another.png")
    made.add_sample(fo.Sample(filepath=str(tmp_path / "another.png"), split="train"))
    with_another = find_duplicates(made)

    assert roles == {"kept"}
    assert again.summary()["kept_groups"] == 1
    assert again.summary()["copies"] == 0
    assert "1 group of which you keep every image" in again.text()
    assert with_another.summary()["kept_groups"] == 0
    assert sorted(grouped.values("duplicate_role")) == ["copy", "copy", "keeper"]


def test_groups_to_review_are_a_saved_view(garments: MakeDataset) -> None:
    made = garments("*/bag/*")

    report = find_duplicates(made)

    shown = made.load_saved_view(DUPLICATES_VIEW)
    assert len(shown) == report.summary()["groups"]


def test_a_saved_view_of_the_users_stays_and_is_told(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.save_view(DUPLICATES_VIEW, made.limit(3))

    report = find_duplicates(made)

    assert len(made.load_saved_view(DUPLICATES_VIEW)) == 3
    assert "is your own and stays as it is" in report.text()


def _listed(report: DuplicateReport) -> tuple[list, list]:
    return report.pairs.rows.tolist(), report.pairs.score.tolist()
