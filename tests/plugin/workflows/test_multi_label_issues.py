"""Missing and extra labels of images that have several are found, told in numbers, and written beside the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import fiftyone as fo
import numpy as np
import pytest

from tests.label_sets import labels_of, make_dataset
from tests.mosaics import planted, write_mosaics
from winnow.plugin.datasets.label_changes import ADD, REMOVE
from winnow.plugin.datasets.runs import load_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.multi_label_issues import MultiLabelIssueReport

Labels = dict[str, set[str] | None]
Cells = set[tuple[str, str]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return write_mosaics(tmp_path_factory.mktemp("mosaics"))


@pytest.fixture(scope="module")
def given(shown: dict[str, set[str]]) -> Labels:
    """Return labels with planted errors; two images are not annotated."""
    return planted(shown) | dict.fromkeys(sorted(shown)[1:3])


@pytest.fixture(scope="module")
def mosaics(given: Labels) -> Iterator[fo.Dataset]:
    made = make_dataset(given)
    yield made
    made.delete()


@pytest.fixture(scope="module")
def report(mosaics: fo.Dataset) -> MultiLabelIssueReport:
    found = find_label_issues(mosaics)
    assert isinstance(found, MultiLabelIssueReport)
    return found


@pytest.fixture
def made_of() -> Iterator[Callable[..., fo.Dataset]]:
    """Return a factory of datasets of labels, deleted after the test."""
    made: list[fo.Dataset] = []

    def make(labels: Labels) -> fo.Dataset:
        made.append(make_dataset(labels))
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


def wrong_cells(given: Labels, shown: dict[str, set[str]]) -> Cells:
    """Return path and class of every planted error."""
    return {(path, name) for path, names in given.items() if names is not None for name in names ^ shown[path]}


def few(shown: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return 24 of the images, for what does not depend on how well errors are found."""
    return dict(sorted(shown.items())[:24])


def suggested(made: fo.Dataset) -> dict[tuple[str, str], fo.Classification]:
    """Return the suggested changes by path and class."""
    held = zip(*made.values(["filepath", "suggested_labels"]), strict=True)
    return {(path, each.label): each for path, changes in held if changes for each in changes.classifications}


def test_most_planted_errors_are_found_and_hardly_a_right_label(
    report: MultiLabelIssueReport, mosaics: fo.Dataset, given: Labels, shown: dict[str, set[str]]
) -> None:
    wrong, found = wrong_cells(given, shown), set(suggested(mosaics))

    assert len(found & wrong) >= 0.8 * len(wrong)
    assert len(found - wrong) <= 4


def test_a_suggestion_says_whether_the_label_is_missing_or_extra(
    report: MultiLabelIssueReport, mosaics: fo.Dataset, given: Labels
) -> None:
    found = suggested(mosaics)

    changes = {cell: each.change for cell, each in found.items()}
    assert changes == {(path, name): REMOVE if name in (given[path] or ()) else ADD for path, name in found}
    assert set(changes.values()) == {ADD, REMOVE}


def test_the_quality_of_an_image_is_that_of_its_worst_label(report: MultiLabelIssueReport, mosaics: fo.Dataset) -> None:
    held = mosaics.match({"label_issue": True}).values(["label_quality", "suggested_labels.classifications.confidence"])

    for quality, confidences in zip(*held, strict=True):
        assert quality == pytest.approx(1 - max(confidences), abs=1e-6)


def test_only_flagged_images_have_a_suggestion(report: MultiLabelIssueReport, mosaics: fo.Dataset) -> None:
    flags, changes = mosaics.values(["label_issue", "suggested_labels"])

    assert [flag is True for flag in flags] == [each is not None for each in changes]


def test_each_flagged_image_says_why_it_is_flagged(report: MultiLabelIssueReport, mosaics: fo.Dataset) -> None:
    flags, reasons, qualities = mosaics.values(["label_issue", "label_verdict", "label_quality"])

    for flag, reason, quality in zip(flags, reasons, qualities, strict=True):
        assert reason == (("wrong" if quality < 0.5 else "ambiguous") if flag else None)
    assert report.summary()["verdicts"]["wrong"] == reasons.count("wrong") > 0


def test_images_that_are_not_annotated_are_left_alone_and_counted(
    report: MultiLabelIssueReport, mosaics: fo.Dataset, given: Labels
) -> None:
    judged = dict(zip(*mosaics.values(["filepath", "label_quality"]), strict=True))

    assert {path for path, quality in judged.items() if quality is None} == {
        path for path, names in given.items() if names is None
    }
    assert report.summary()["annotated"] == len(given) - 2
    assert "2 of 120 samples are not annotated in 'things'" in report.summary()["notes"]


def test_an_empty_list_is_an_answer_and_is_judged(
    report: MultiLabelIssueReport, mosaics: fo.Dataset, given: Labels
) -> None:
    empty = {path for path, names in given.items() if names == set()}

    flagged = {path for path, _ in suggested(mosaics)}
    assert len(empty) >= 3
    assert len(empty & flagged) >= 0.8 * len(empty)


def test_summary_counts_missing_and_extra_labels_apart(report: MultiLabelIssueReport, mosaics: fo.Dataset) -> None:
    found = report.summary()
    changes = [each.change for each in suggested(mosaics).values()]

    assert (found["missing"], found["extra"]) == (changes.count(ADD), changes.count(REMOVE))
    assert found["flagged"] == len(changes)
    assert found["flagged_images"] == mosaics.count("suggested_labels")
    assert sum(counts["missing"] for counts in found["by_class"].values()) == found["missing"]
    assert sum(counts["extra"] for counts in found["by_class"].values()) == found["extra"]


def test_text_tells_images_labels_and_the_worst_classes(report: MultiLabelIssueReport) -> None:
    found, text = report.summary(), report.text()
    worst = max(found["by_class"], key=lambda name: sum(found["by_class"][name].values()))

    assert f"{found['flagged']} labels of {found['flagged_images']} images: {found['missing']} missing" in text
    assert f"Most in: {worst} (" in text
    assert f"of {found['annotated']} images in `things`, 3 classes" in text


def test_run_is_saved_with_its_fields_and_says_where_the_suggestions_are(
    report: MultiLabelIssueReport, mosaics: fo.Dataset
) -> None:
    run = load_run(mosaics, "winnow_label_issues")

    assert run.fields[:4] == ("label_quality", "label_issue", "suggested_labels", "label_verdict")
    assert run.fields[4:] == ("outlier_score", "outlier")
    assert run.params["suggestion_field"] == "suggested_labels"


def test_the_result_does_not_depend_on_the_order_of_the_samples(
    report: MultiLabelIssueReport, mosaics: fo.Dataset
) -> None:
    again = find_label_issues(mosaics.shuffle(seed=51))

    assert isinstance(again, MultiLabelIssueReport)
    assert np.array_equal(again.audit.issues.quality, report.audit.issues.quality, equal_nan=True)


def test_a_field_of_one_label_an_image_is_preferred_and_both_kinds_of_suggestions_live_side_by_side(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    made = made_of(planted(few(shown)))
    first = {path: min(names) for path, names in shown.items()}
    made.set_values("ground_truth", [fo.Classification(label=first[path]) for path in made.values("filepath")])

    one = find_label_issues(made)
    several = find_label_issues(made, LabelIssueParams(label_field="things"))

    assert one.summary()["label_field"] == "ground_truth"
    assert several.summary()["label_field"] == "things"
    assert made.get_field("suggested_label").document_type is fo.Classification
    assert made.get_field("suggested_labels").document_type is fo.Classifications


def test_another_spelling_of_a_class_is_judged_as_the_same_class(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    spelt = {path: names - {"bag"} | {"Bag"} if "bag" in names else names for path, names in sorted(shown.items())[::3]}
    made = made_of(shown | spelt)

    report = find_label_issues(made)

    (clash,) = report.summary()["name_clashes"]
    assert clash["proposed"] == "bag"
    assert report.summary()["classes"] == 3
    assert "judged as one" in report.text()
    assert all(each.change == REMOVE for (_, name), each in suggested(made).items() if name == "Bag")


def test_the_extra_label_is_removed_as_it_is_spelt(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    given = planted(shown)
    path = next(path for path, names in sorted(given.items()) if "bag" in names - shown[path])
    made = made_of(given | {path: given[path] - {"bag"} | {"BAG"}})

    find_label_issues(made)

    assert suggested(made)[path, "BAG"].change == REMOVE


def test_a_class_of_one_image_is_never_called_extra(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    path = min(shown)
    made = made_of(shown | {path: shown[path] | {"unicorn"}})

    report = find_label_issues(made)

    assert (path, "unicorn") not in suggested(made)
    assert report.summary()["classes"] == 4
    assert report.summary()["flagged"] <= 4


def test_one_class_is_judged_where_some_images_do_not_have_it(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    labels: Labels = {path: names & {"bag"} for path, names in shown.items()}
    without = next(path for path, names in sorted(labels.items()) if not names)
    made = made_of(labels | {without: {"bag"}})

    find_label_issues(made)

    assert suggested(made)[without, "bag"].change == REMOVE


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "no sample has a label in field 'things'"),
        (set(), "no sample has a label in field 'things'"),
        ({"bag"}, r"none of the classes \(bag\) can be judged"),
    ],
)
def test_labels_that_tell_nothing_apart_are_an_error(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]], names: set[str] | None, message: str
) -> None:
    made = made_of(dict.fromkeys(sorted(shown)[:20], names))

    with pytest.raises(DataError, match=message):
        find_label_issues(made)


def test_too_few_annotated_images_are_an_error(made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]) -> None:
    made = made_of(dict.fromkeys(shown) | dict(sorted(shown.items())[:6]))

    with pytest.raises(DataError, match="ten annotated images"):
        find_label_issues(made)


def test_several_fields_of_several_labels_must_be_told_apart(
    made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]
) -> None:
    made = made_of(dict(sorted(shown.items())[:3]))
    made.clone_sample_field("things", "others")

    with pytest.raises(FieldError, match="several fields of Classifications: others, things"):
        find_label_issues(made)


def test_the_label_field_is_never_written_to(made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]) -> None:
    made = made_of(planted(few(shown)))
    before = made.values("things.classifications.label")

    with pytest.raises(FieldError, match="holds the labels that were read"):
        find_label_issues(made, LabelIssueParams(changes_field="things"))
    assert made.values("things.classifications.label") == before


def test_a_corrected_label_loses_its_suggestion(made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]) -> None:
    given = planted(shown)
    made = made_of(given)
    find_label_issues(made)
    (path, name), *_ = sorted(set(suggested(made)) & wrong_cells(given, shown))
    sample = made[path]
    sample["things"] = labels_of(shown[path])
    sample.save()

    find_label_issues(made)

    assert (path, name) not in suggested(made)


def test_cleaning_is_not_measured_and_said_so(made_of: Callable[..., fo.Dataset], shown: dict[str, set[str]]) -> None:
    report = find_label_issues(made_of(planted(few(shown))), LabelIssueParams(measure_cleaning=True))

    assert any("what cleaning would be worth" in note for note in report.summary()["notes"])
