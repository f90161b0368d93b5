from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.curation.label_report import LabelReport
from winnow.plugin.datasets.runs import load_results, load_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.duplicates import find_duplicates
from winnow.plugin.workflows.label_issues import LabelIssueParams, LabelIssueReport, find_label_issues

from .conftest import CLASSES, IMAGES, MakeDataset


def flip(made: fo.Dataset, chosen: list[str]) -> dict[str, str]:
    """Give these samples the label of the next class; return the true labels by sample id."""
    true = dict(zip(*made.select(chosen).values(["id", "ground_truth.label"]), strict=True))
    wrong = {key: CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)] for key, label in true.items()}
    made.set_values("ground_truth", {key: fo.Classification(label=label) for key, label in wrong.items()}, "id")
    return true


@pytest.fixture(scope="module")
def true_labels(shared: fo.Dataset) -> dict[str, str]:
    """Flip every 20th label; return the true ones."""
    return flip(shared, shared.values("id")[::20])


@pytest.fixture(scope="module")
def report(shared: fo.Dataset, true_labels: dict[str, str]) -> LabelIssueReport:
    return find_label_issues(shared)


def test_most_wrong_labels_are_flagged_and_hardly_a_right_one(
    report: LabelIssueReport, shared: fo.Dataset, true_labels: dict[str, str]
) -> None:
    flagged = set(shared.match(fo.ViewField("label_issue") == True).values("id"))  # noqa: E712 - builds a query

    assert len(flagged & set(true_labels)) >= 0.8 * len(true_labels)
    assert len(flagged - set(true_labels)) <= 5


def test_suggestions_are_the_true_classes(
    report: LabelIssueReport, shared: fo.Dataset, true_labels: dict[str, str]
) -> None:
    found = dict(zip(*shared.values(["id", "suggested_label.label"]), strict=True))

    suggested = {key: found[key] for key in true_labels if found[key] is not None}
    assert np.mean([suggested[key] == true_labels[key] for key in suggested]) >= 0.9


def test_only_flagged_labels_have_a_suggestion(report: LabelIssueReport, shared: fo.Dataset) -> None:
    flags, suggestions = shared.values(["label_issue", "suggested_label"])

    assert [flag is True for flag in flags] == [suggestion is not None for suggestion in suggestions]
    assert all(0 <= found.confidence <= 1 for found in suggestions if found)


def test_each_flagged_label_tells_why_it_is_flagged(report: LabelIssueReport, shared: fo.Dataset) -> None:
    flags, verdicts = shared.values(["label_issue", "label_verdict"])

    assert [flag is True for flag in flags] == [verdict is not None for verdict in verdicts]
    assert report.summary()["verdicts"]["wrong"] == verdicts.count("wrong") > 0


def test_every_label_gets_a_quality(report: LabelIssueReport, shared: fo.Dataset) -> None:
    assert shared.count("label_quality") == shared.count("label_issue") == IMAGES
    assert shared.bounds("label_quality")[0] >= 0
    assert shared.bounds("label_quality")[1] <= 1


def test_summary_counts_the_flagged_by_class(report: LabelIssueReport, shared: fo.Dataset) -> None:
    found = report.summary()

    assert found["flagged"] == sum(found["by_class"].values()) == shared.count("suggested_label")
    assert found["labelled"] == IMAGES
    assert f"{found['flagged']} of {IMAGES} labels" in report.text()


def test_run_is_saved_with_its_fields(report: LabelIssueReport, shared: fo.Dataset) -> None:
    fields = load_run(shared, "winnow_label_issues").fields

    assert fields == ("label_quality", "label_issue", "suggested_label", "label_verdict", "outlier_score", "outlier")


def test_the_same_seed_gives_the_same_result(report: LabelIssueReport, shared: fo.Dataset) -> None:
    again = find_label_issues(shared)

    assert np.array_equal(again.issues.quality, report.issues.quality)


def test_a_corrected_label_loses_its_flag(garments: MakeDataset) -> None:
    made = garments("train/*/0*")
    true = flip(made, made.values("id")[::40])
    find_label_issues(made)
    made.set_values("ground_truth", {key: fo.Classification(label=label) for key, label in true.items()}, "id")

    find_label_issues(made)

    assert not any(made.select(list(true)).values("label_issue"))
    assert set(made.select(list(true)).values("suggested_label")) == {None}


def test_unlabelled_samples_get_no_quality_and_are_counted(garments: MakeDataset) -> None:
    made = garments("test/*/0*")
    made.set_values("ground_truth", {made.first().id: None}, "id")

    report = find_label_issues(made)

    assert made.first().label_quality is None
    assert made.first().label_issue is None
    assert report.summary()["labelled"] == len(made) - 1
    assert any("1 of 50 samples have no label" in note for note in report.summary()["notes"])


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other(garments: MakeDataset) -> None:
    made = garments()
    twins = made.match(fo.ViewField("filepath").re_match(r"(train/\w+/000.png|copy.jpg)$"))
    flip(made, twins.values("id"))
    find_label_issues(made)
    alone = twins.values("label_quality")
    find_duplicates(made)

    find_label_issues(made)

    assert np.mean(twins.values("label_quality")) < np.mean(alone)
    assert np.mean(twins.values("label_issue")) >= 0.7


def test_labels_of_any_field_can_be_judged(garments: MakeDataset) -> None:
    made = garments("test/*/0*")
    made.clone_sample_field("ground_truth", "second_opinion")

    report = find_label_issues(made, LabelIssueParams(label_field="second_opinion"))

    assert report.summary()["label_field"] == "second_opinion"


def test_one_class_is_an_error(garments: MakeDataset) -> None:
    with pytest.raises(DataError, match="same class"):
        find_label_issues(garments("*/bag/*"))


def test_no_label_field_is_an_error(garments: MakeDataset) -> None:
    made = garments("test/bag/*")
    made.delete_sample_field("ground_truth")

    with pytest.raises(FieldError, match="no field of Classification labels"):
        find_label_issues(made)


def test_the_label_field_is_never_written_to(garments: MakeDataset) -> None:
    made = garments("test/*/0*")

    with pytest.raises(FieldError, match="holds the labels that were read"):
        find_label_issues(made, LabelIssueParams(suggestion_field="ground_truth"))
    assert made.distinct("ground_truth.label") == list(CLASSES)


def test_findings_whose_field_was_deleted_are_passed_over(garments: MakeDataset) -> None:
    made = garments("test/*/0*")
    find_duplicates(made)
    made.delete_sample_field("duplicate_group")

    report = find_label_issues(made)

    assert report.summary()["labelled"] == len(made)


def test_another_spelling_of_a_class_is_told_and_never_suggested(garments: MakeDataset) -> None:
    made = garments()
    bags = made.match(fo.ViewField("ground_truth.label") == "bag").values("id")
    spelt = {key: fo.Classification(label="Bag") for key in bags[::4]}
    made.set_values("ground_truth", spelt, "id")

    report = find_label_issues(made)

    assert report.summary()["name_clashes"] == [{"counts": {"Bag": 11, "bag": 30}, "proposed": "bag"}]
    assert "probably one class: 'Bag' (11), 'bag' (30)" in report.text()
    assert sum(made.select(bags).values("label_issue")) <= 2
    assert "Bag" not in made.distinct("suggested_label.label")
    assert load_results(made, "winnow_label_issues")["spellings"] == {"bag": ["Bag", "bag"]}


def test_classes_that_differ_only_in_spelling_are_one_class(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    made.set_values("ground_truth", {made.first().id: fo.Classification(label="BAG")}, "id")

    with pytest.raises(DataError, match="probably one class: 'BAG'"):
        find_label_issues(made)


def test_every_image_gets_an_outlier_score_and_hardly_any_a_flag(report: LabelIssueReport, shared: fo.Dataset) -> None:
    assert shared.count("outlier_score") == shared.count("outlier") == IMAGES
    assert 0 <= shared.bounds("outlier_score")[0] <= shared.bounds("outlier_score")[1] < 1
    assert report.summary()["outliers"] == sum(shared.values("outlier")) <= 0.03 * IMAGES


def test_report_on_classes_is_saved_with_the_run(report: LabelIssueReport, shared: fo.Dataset) -> None:
    saved = load_results(shared, "winnow_label_issues")

    again = LabelReport.from_dict(saved["class_report"])
    assert again.classes == CLASSES
    assert again.labels.sum() == pytest.approx(IMAGES)
    assert again.flagged.sum() == report.summary()["flagged"]
    assert saved["spellings"] == {}


def test_summary_names_the_pairs_of_classes_that_are_confused(report: LabelIssueReport) -> None:
    pairs = report.summary()["worst_pairs"]

    follows = {(CLASSES[(row + 1) % len(CLASSES)], name) for row, name in enumerate(CLASSES)}  # as `flip` does
    assert len(pairs) == 5
    assert (pairs[0]["given"], pairs[0]["true"]) in follows
    assert f"{pairs[0]['true']} labelled {pairs[0]['given']}" in report.text()


def test_what_cleaning_would_be_worth_is_measured_when_asked_for(garments: MakeDataset) -> None:
    made = garments("train/*/0*")
    flip(made, made.values("id")[::8])

    report = find_label_issues(made, LabelIssueParams(measure_cleaning=True))

    worth = report.summary()["cleaning"]
    assert worth["rows"] == len(made)
    assert worth["gain_dropped_interval"][0] <= worth["gain_dropped"] <= worth["gain_dropped_interval"][1]
    assert "A linear probe trained on the labels as given reaches" in report.text()
