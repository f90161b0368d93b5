"""Wrong class labels of detections are found, box by box, and written beside these labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.patch_samples import samples_of_patches
from winnow.plugin.datasets.patches import read_patches
from winnow.plugin.datasets.runs import delete_run, load_run, save_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.findings import DUPLICATES_RUN, PATCH_ISSUES_RUN
from winnow.plugin.workflows.label_issue_report import LabelIssueReport
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.patch_groups import patch_groups
from winnow.plugin.workflows.review_labels import find_and_accept

from .conftest import CLASSES, PER_SPLIT, TILE, MakeDataset, tile

BESIDE = 3  # garments an image, in a row
PARAMS = LabelIssueParams(patches_field="garments")
ISSUE = fo.ViewField("label_issue") == True  # noqa: E712 - builds a query
ATTRIBUTES = {
    "label_quality",
    "label_issue",
    "suggested_label",
    "suggested_label_confidence",
    "suggested_label_given",
    "label_verdict",
    "outlier_score",
    "outlier",
}


@pytest.fixture(scope="module")
def rows_of_garments(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[str]]]:
    """Return images of three garments beside each other, and what these are."""
    folder = tmp_path_factory.mktemp("rows of garments")
    shown = [(split, name, number) for split, count in PER_SPLIT.items() for name in CLASSES for number in range(count)]
    np.random.default_rng(0).shuffle(shown)
    made = []
    for start in range(0, len(shown) - BESIDE + 1, BESIDE):
        image = Image.new("L", (TILE * BESIDE, TILE))
        for place, which in enumerate(shown[start : start + BESIDE]):
            image.paste(tile(*which), (TILE * place, 0))
        image.save(folder / f"{start:03d}.png")
        made.append((folder / f"{start:03d}.png", [name for _, name, _ in shown[start : start + BESIDE]]))
    return made


def add_images(made: fo.Dataset, images: list[tuple[Path, list[str]]]) -> fo.Dataset:
    """Add images with a detection for each of their garments, in the field `garments`."""
    samples = []
    for path, names in images:
        boxes = [[place / BESIDE, 0, 1 / BESIDE, 1] for place in range(BESIDE)]
        found = [fo.Detection(label=name, bounding_box=box) for name, box in zip(names, boxes, strict=True)]
        samples.append(fo.Sample(filepath=str(path), garments=fo.Detections(detections=found)))
    made.add_samples(samples, progress=False)
    return made


def flip(made: fo.Dataset) -> dict[str, str]:
    """Give every 16th detection the label of the next class; return the true labels by label id."""
    ids, labels = made.values(["garments.detections.id", "garments.detections.label"], unwind=True)
    true = dict(zip(ids[::16], labels[::16], strict=True))
    wrong = {key: CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)] for key, label in true.items()}
    made.set_label_values("garments.detections.label", wrong)
    return true


def held(made: fo.Dataset, attribute: str) -> dict[str, object]:
    """Return an attribute of the detections by label id."""
    paths = ["garments.detections.id", f"garments.detections.{attribute}"]
    return dict(zip(*made.values(paths, unwind=True), strict=True))


def groups_of(made: fo.Dataset) -> tuple[list[int], list[str]]:
    """Return the groups of the patches, image by image, and the notes."""
    patches = read_patches(made, "garments")
    groups, notes = patch_groups(made, patches, samples_of_patches(made, patches))
    return groups.tolist(), notes


@pytest.fixture(scope="module")
def rows(rows_of_garments: list[tuple[Path, list[str]]]) -> Iterator[fo.Dataset]:
    made = add_images(fo.Dataset(), rows_of_garments)
    yield made
    made.delete()


@pytest.fixture(scope="module")
def true_labels(rows: fo.Dataset) -> dict[str, str]:
    return flip(rows)


@pytest.fixture(scope="module")
def report(rows: fo.Dataset, true_labels: dict[str, str]) -> LabelIssueReport:
    found = find_label_issues(rows, PARAMS)
    assert isinstance(found, LabelIssueReport)
    return found


@pytest.fixture
def few(dataset: MakeDataset, rows_of_garments: list[tuple[Path, list[str]]]) -> fo.Dataset:
    """Return 20 of the images, for a test to change."""
    return add_images(dataset(), rows_of_garments[:20])


def test_most_wrong_labels_are_flagged_and_hardly_a_right_one(
    report: LabelIssueReport, rows: fo.Dataset, true_labels: dict[str, str]
) -> None:
    flagged = {key for key, flag in held(rows, "label_issue").items() if flag}

    assert len(flagged & set(true_labels)) >= 0.8 * len(true_labels)
    assert len(flagged - set(true_labels)) <= 8


def test_suggestions_are_the_true_classes_and_only_flagged_labels_have_one(
    report: LabelIssueReport, rows: fo.Dataset, true_labels: dict[str, str]
) -> None:
    flags, suggested, confidence = (
        held(rows, name) for name in ("label_issue", "suggested_label", "suggested_label_confidence")
    )

    has_one = {key for key, name in suggested.items() if name is not None}
    assert has_one == {key for key, flag in flags.items() if flag}
    assert has_one == {key for key, value in confidence.items() if value is not None}
    assert np.mean([suggested[key] == label for key, label in true_labels.items() if key in has_one]) >= 0.9


def test_the_report_counts_patches(report: LabelIssueReport, rows: fo.Dataset) -> None:
    found, labels = report.summary(), rows.count("garments.detections")

    assert (found["unit"], found["images"], found["labelled"]) == ("patch", labels, labels)
    assert found["label_field"] == "garments"
    assert f"of {labels} labels in `garments`" in report.text()
    assert "saved view `winnow patch label issues`" in report.text()


def test_flagged_patches_are_saved_as_a_view_with_the_worst_first(report: LabelIssueReport, rows: fo.Dataset) -> None:
    shown = rows.load_saved_view("winnow patch label issues")

    quality = shown.values("garments.label_quality")
    assert len(shown) == report.summary()["flagged"] > 0
    assert quality == sorted(quality)
    assert shown.distinct("garments.label_issue") == [True]


def test_nothing_is_written_about_the_images_themselves(report: LabelIssueReport, rows: fo.Dataset) -> None:
    assert not ATTRIBUTES & set(rows.get_field_schema())
    assert set(rows.get_field_schema(flat=True)) >= {f"garments.detections.{name}" for name in ATTRIBUTES}


def test_the_run_holds_its_attributes_and_its_field(report: LabelIssueReport, rows: fo.Dataset) -> None:
    run = load_run(rows, PATCH_ISSUES_RUN)

    assert set(run.fields) == {f"garments.detections.{name}" for name in ATTRIBUTES}
    assert run.params["patches_field"] == "garments"


def test_a_view_of_patches_is_judged_like_the_field(
    report: LabelIssueReport, rows: fo.Dataset, true_labels: dict[str, str]
) -> None:
    again = find_label_issues(rows.to_patches("garments"))

    assert isinstance(again, LabelIssueReport)
    assert np.array_equal(again.samples.ids, report.samples.ids)
    assert np.array_equal(again.issues.quality, report.issues.quality)


def test_a_second_run_replaces_the_first_within_what_it_looks_at(few: fo.Dataset) -> None:
    true = flip(few)
    find_label_issues(few, PARAMS)
    first = held(few, "suggested_label")
    few.set_label_values("garments.detections.label", true)
    looked_at = few.to_patches("garments").skip(3)
    left_alone = few.to_patches("garments").limit(3).values("id")

    find_label_issues(looked_at)

    flags, suggested = held(few, "label_issue"), held(few, "suggested_label")
    mended = set(true).difference(left_alone)
    assert any(first[key] for key in mended)
    assert not any(flags[key] or suggested[key] for key in mended)
    assert {key: suggested[key] for key in left_alone} == {key: first[key] for key in left_alone}


def test_deleting_the_run_deletes_its_attributes_and_no_label(few: fo.Dataset) -> None:
    find_label_issues(few, PARAMS)

    delete_run(few, PATCH_ISSUES_RUN)

    assert not any(few.has_field(f"garments.detections.{name}") for name in ATTRIBUTES)
    assert few.count("garments.detections.label") == 20 * BESIDE


def test_what_a_person_decided_is_not_asked_again(few: fo.Dataset) -> None:
    flip(few)
    found = find_and_accept(few, PARAMS, above=0)
    again = find_label_issues(few, PARAMS)

    accepted = [key for key, decision in held(few, "decision").items() if decision == "accepted"]
    assert len(accepted) == found.summary()["flagged"] == again.summary()["confirmed"] > 0
    assert not any(held(few, "label_issue")[key] for key in accepted)


def test_a_box_that_shows_nothing_is_reported_and_the_others_are_judged(few: fo.Dataset) -> None:
    flat = few.values("garments.detections.id", unwind=True)[4]
    few.set_label_values("garments.detections.bounding_box", {flat: [0.2, 0.2, 0.3, 0]})

    report = find_label_issues(few, PARAMS)

    quality = held(few, "label_quality")
    assert [failure.id for failure in report.failures] == [flat]
    assert "the box has no area" in report.text()
    assert [key for key, value in quality.items() if value is None] == [flat]


def test_detections_without_a_label_are_left_alone_and_counted(few: fo.Dataset) -> None:
    nameless = few.values("garments.detections.id", unwind=True)[4]
    few.set_label_values("garments.detections.label", {nameless: None})

    report = find_label_issues(few, PARAMS)

    assert held(few, "label_issue")[nameless] is None
    assert report.summary()["labelled"] == 20 * BESIDE - 1
    assert "1 of 60 patches have no label in 'garments'" in report.summary()["notes"]


def test_one_detection_an_image_is_judged_too(few: fo.Dataset) -> None:
    few.set_values("one", [found.detections[0].copy() for found in few.values("garments")])

    report = find_label_issues(few, LabelIssueParams(patches_field="one"))

    assert report.summary()["labelled"] == few.count("one.outlier_score") == 20


def test_patches_of_an_image_and_of_its_duplicates_do_not_vouch_for_each_other(few: fo.Dataset) -> None:
    write_values(few, "duplicate_group", few.values("id")[:2], [0, 0], kind="int")
    save_run(few, DUPLICATES_RUN, method="find_duplicates", params={}, fields=["duplicate_group"], summary={})

    groups, notes = groups_of(few)

    assert len(set(groups[: 2 * BESIDE])) == 1
    assert len(set(groups)) == 19
    assert notes == []


def test_patches_of_a_class_that_hardly_any_image_shows_stand_alone_and_it_is_told(few: fo.Dataset) -> None:
    labels = few.values("garments.detections.id", unwind=True)
    few.set_label_values("garments.detections.label", dict.fromkeys(labels[: 4 * BESIDE : 2], "hat"))

    groups, notes = groups_of(few)

    assert [number == -1 for number in groups[: 4 * BESIDE]] == [True, False] * 2 * BESIDE
    assert min(groups[4 * BESIDE :]) >= 0
    assert "fewer than 5 images show hat: these labels were judged" in notes[0]


def test_the_split_of_a_patch_is_that_of_its_image(few: fo.Dataset) -> None:
    few.set_values("split", ["train"] * 15 + ["test"] * 5)

    of_images = samples_of_patches(few, read_patches(few, "garments"))
    view = few.to_patches("garments").skip(30)
    of_patches = samples_of_patches(view, read_patches(view, "garments"))

    assert of_images.splits.tolist() == ["train"] * 15 * BESIDE + ["test"] * 5 * BESIDE
    assert of_patches.splits.tolist() == ["train"] * 5 * BESIDE + ["test"] * 5 * BESIDE
    assert [of_images.classes[number] for number in of_images.labels] == few.values(
        "garments.detections.label", unwind=True
    )


def test_a_field_whose_detections_have_no_label_is_refused(few: fo.Dataset) -> None:
    few.set_label_values("garments.detections.label", dict.fromkeys(held(few, "id").values()))

    with pytest.raises(DataError, match="no patch has a label in field 'garments'"):
        find_label_issues(few, PARAMS)


def test_a_field_without_boxes_is_refused(few: fo.Dataset) -> None:
    with pytest.raises(FieldError, match="holds StringField, so it has no boxes"):
        find_label_issues(few, LabelIssueParams(patches_field="filepath"))


def test_an_attribute_that_is_not_ours_is_refused_before_long_work(few: fo.Dataset) -> None:
    steps: list[str] = []
    few.set_values("garments.detections.label_verdict", [["mine"] * BESIDE] * 20)

    with pytest.raises(FieldError, match=r"garments.detections.label_verdict.*not made by Winnow"):
        find_label_issues(few, PARAMS, lambda step, done, total: steps.append(step))

    assert steps == []


def test_evidence_that_only_whole_images_can_have_is_refused(few: fo.Dataset) -> None:
    with pytest.raises(DataError, match="judged by its patches alone"):
        find_label_issues(few, LabelIssueParams(patches_field="garments", fine_tune=True))
