"""How a dataset stands: each figure against what is known of the dataset, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fiftyone as fo
import pytest

from tests import label_reports
from tests.dataset_healths import fill, save_duplicates, save_leaks, save_vectors
from winnow.plugin.datasets import runs
from winnow.plugin.datasets.fields import write_label_lists, write_labels, write_values
from winnow.plugin.datasets.labeling_batches import Batch, LabelingState, mark_samples, save_batch
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.actions import move_samples
from winnow.plugin.workflows.classifiers import PROMOTED
from winnow.plugin.workflows.dataset_health import DatasetHealthParams, class_samples, dataset_health, samples_behind
from winnow.plugin.workflows.dataset_health_figures import Level, percent
from winnow.plugin.workflows.predict import RUN as PREDICT_RUN
from winnow.plugin.workflows.review_labels import review_labels


@pytest.fixture
def pets(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return 40 cats and 24 dogs, a quarter of them test images; nothing was looked for."""
    made = dataset()
    fill(made)
    return made


def test_what_was_never_looked_for_names_what_to_run(pets: fo.Dataset) -> None:
    health = dataset_health(pets)

    unknown = {figure.key: [each.operator for each in figure.remedies] for figure in health.figures
               if figure.level is Level.UNKNOWN}  # fmt: skip
    assert unknown == {
        "leaks": ["find_leaks"],
        "label_issues": ["find_label_issues"],
        "duplicates": ["find_duplicates"],
        "unreadable": ["compute_embeddings"],
        "predictions": ["apply_classifier"],
        "classifiers": ["train_classifier"],
        "embeddings": ["compute_embeddings"],
    }
    assert health.verdict() == "Nothing that is known needs attention."
    assert health.headline() == "64 images, 2 classes in `ground_truth`; train 48, test 16 (from `split`)."


def test_copies_are_told_as_a_share_and_shown_group_by_group(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_duplicates(pets, [(ids[1], ids[2]), (ids[5], ids[50])], conflicts=1)

    figure = dataset_health(pets).figure("duplicates")

    assert figure.level is Level.ACT
    assert figure.sentence == "2 images are copies of others: 3.1 %."
    assert {each.key: each.count for each in figure.behind} == {"groups": 4, "copies": 2, "conflicts": 1}
    assert sorted(samples_behind(pets, "duplicates", "copies").values("id")) == sorted([ids[2], ids[50]])
    assert samples_behind(pets, "duplicates", "groups").count() == 2
    assert samples_behind(pets, "duplicates", "conflicts").values("duplicate_group") == [0]
    assert [(each.operator, dict(each.params)) for each in figure.remedies] == [("delete_samples", {"what": "copies"})]


def test_leaks_are_a_share_of_the_test_images_and_have_a_price(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_leaks(pets, {ids[0]: "same file", ids[1]: "same file", ids[4]: "near-duplicate", ids[6]: "near-duplicate"})

    figure = dataset_health(pets).figure("leaks")

    assert figure.sentence == "Repeated in another split: 2 of test (12.5 % of it)."
    assert (
        "90.0 % on test as given and 85.0 % without the leaked images, +5.0 points (+1.0 to +9.0)" in figure.details[1]
    )
    assert sorted(samples_behind(pets, "leaks", "test").values("id")) == sorted([ids[0], ids[4]])
    assert sorted(samples_behind(pets, "leaks", "kind same file").values("id")) == sorted(ids[:2])


def test_leaks_are_old_once_samples_changed_their_split(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_leaks(pets, {ids[0]: "same file", ids[1]: "same file"})
    move_samples(pets, ids[1:2], "")

    figure = dataset_health(pets).figure("leaks")

    assert figure.stale == "1 sample was moved between splits since"
    assert [each.operator for each in figure.remedies] == ["find_leaks"]


def test_without_two_splits_leaks_ask_for_some(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/nowhere/{number}.png", media_type="image") for number in range(3)])

    health = dataset_health(made)

    assert [each.operator for each in health.figure("leaks").remedies] == ["split_dataset"]
    assert health.headline() == "3 images; no splits."
    assert health.label_field is None


def test_label_issues_have_a_rate_with_an_interval_and_the_worst_pairs(
    dataset: Callable[..., fo.Dataset], tmp_path: Path
) -> None:
    made = dataset()
    label_reports.fill(made, tmp_path)
    save_labelled(made, labelled=36, estimated=6.0, interval=[3.6, 9.0])

    figure = dataset_health(made).figure("label_issues")

    assert figure.sentence == "An estimated 16.7 % of the labels are wrong (10.0 to 25.0 %); 6 labels are flagged."
    assert figure.details == ("Worst pairs: 'cat' that shows 'dog' (4 expected), 'dog' that shows '犬' (2 expected).",)
    assert samples_behind(made, "label_issues", "pair cat dog").distinct("ground_truth.label") == ["cat"]
    assert samples_behind(made, "label_issues", "flagged").count() == 6
    assert figure.numbers["rate_interval"] == [0.1, 0.25]


def save_labelled(made: fo.Dataset, **more: object) -> None:
    """Add to the saved search for label issues what it knows of the rate."""
    key = "winnow_label_issues"
    runs.update_run(made, key, summary={**runs.load_run(made, key).summary, **more})


def test_label_issues_that_may_all_be_the_evidences_errors_are_called_so(
    dataset: Callable[..., fo.Dataset], tmp_path: Path
) -> None:
    made = dataset()
    label_reports.fill(made, tmp_path)
    save_labelled(made, labelled=36, estimated=1.0, interval=[0.0, 4.5], noise="none")

    figure = dataset_health(made).figure("label_issues")

    assert figure.sentence.startswith("No label is certainly wrong (at most 12.5 %); 6 labels are flagged")


def test_missing_and_extra_labels_are_told_by_class(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    ids = fill(made, several=True)
    changes = [fo.Classifications(classifications=[fo.Classification(label="dog")])] * 2
    fields = {"issue_field": "label_issue", "suggestion_field": "suggested_labels", "quality_field": "label_quality"}
    write_values(made, "label_issue", ids, [True, True, *[False] * 62], kind="bool")
    write_values(made, "label_quality", ids, [0.2] * 64, kind="float")
    write_label_lists(made, "suggested_labels", ids[:2], changes, attributes={}, of_lists={})
    counts = {
        "by_class": {"dog": {"missing": 2, "extra": 0}},
        "missing": 2,
        "flagged": 2,
        "label_field": "ground_truth",
    }
    noise = {"estimated": 3.0, "interval": [1.0, 6.0], "noise": "pairs"}
    runs.save_run(made, "winnow_label_issues", method="", params=fields, fields=[], summary={**counts, **noise})

    figure = dataset_health(made).figure("label_issues")

    assert figure.sentence == "An estimated 3 labels are missing or extra (1 to 6); 2 images are flagged."
    assert figure.details == ("Most in: 'dog' (2 missing, 0 extra).",)
    assert sorted(samples_behind(made, "label_issues", "class dog").values("id")) == sorted(ids[:2])


def test_findings_older_than_the_dataset_say_so(pets: fo.Dataset) -> None:
    save_vectors(pets, pets.values("id")[:1])
    save_duplicates(pets, [])
    pets.add_sample(fo.Sample(filepath="/nowhere/new.png", media_type="image", split="train"))

    health = dataset_health(pets)

    duplicates = health.figure("duplicates")
    assert duplicates.level is Level.STALE
    assert duplicates.stale.startswith("1 samples were added since")
    assert [each.operator for each in duplicates.remedies] == ["find_duplicates"]
    assert health.figure("unreadable").level is Level.ACT
    assert samples_behind(pets, "embeddings", "added").values("filepath") == ["/nowhere/new.png"]
    assert "Older than the dataset" in health.text()


def test_what_needs_attention_comes_first(pets: fo.Dataset) -> None:
    save_duplicates(pets, [])
    save_vectors(pets, pets.values("id")[:2])

    levels = [figure.level for figure in dataset_health(pets).figures]

    assert levels == sorted(levels, key=list(Level).index)
    assert dataset_health(pets).figures[0].key == "unreadable"


def test_near_empty_and_missing_classes_are_named(pets: fo.Dataset) -> None:
    pets.add_samples(
        fo.Sample(filepath=f"/nowhere/bird-{number}.png", media_type="image", split="train",
                  ground_truth=fo.Classification(label="bird"))
        for number in range(3)
    )  # fmt: skip

    health = dataset_health(pets)

    classes, balance = health.figure("classes"), health.figure("balance")
    assert classes.sentence == "1 of 3 classes have fewer than 20 images: bird (3)."
    assert classes.details == ("1 class has no image in test: bird.",)
    assert samples_behind(pets, "classes", "missing test").count() == 3
    assert balance.level is Level.ACT
    assert "'cat', has 13.3 times the images of the smallest, 'bird' (40 and 3)" in balance.sentence


def test_class_that_a_split_has_too_much_of_is_named_and_chance_is_not(dataset: Callable[..., fo.Dataset]) -> None:
    even, uneven = dataset(), dataset()
    fill(even, cats=41, dogs=39)
    fill(uneven, cats=120, dogs=120)
    dogs = uneven.match({"ground_truth.label": "dog", "split": "train"}).values("id")
    uneven.set_values("split", dict.fromkeys(dogs[:80], "test"), key_field="id")

    figures = [dataset_health(made).figure("balance") for made in (even, uneven)]

    assert [figure.level for figure in figures] == [Level.GOOD, Level.ACT]
    assert figures[1].numbers["most_uneven"]["class"] in ("cat", "dog")
    assert "chance would not do that" in figures[1].details[0]


def test_class_names_that_differ_only_in_writing_are_told(pets: fo.Dataset) -> None:
    pets.set_values("ground_truth.label", dict.fromkeys(pets.values("id")[:1], "Cat"), key_field="id")

    figure = dataset_health(pets).figure("classes")

    assert "Probably one class: 'Cat' (1), 'cat' (39)." in figure.details
    assert samples_behind(pets, "classes", "clash 0").count() == 40


def test_coverage_of_predictions_leaves_unreadable_images_out(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_vectors(pets, ids[:1])
    write_labels(pets, "prediction", ids[1:60], ["cat"] * 59, [0.9] * 59)
    save_predictions(pets)
    pets.info[PROMOTED] = {"folder": "/nowhere", "version": "v2"}

    figure = dataset_health(pets).figure("predictions")

    assert figure.sentence == "59 images have a prediction in `prediction`: 92.2 %."
    assert samples_behind(pets, "predictions", "missing").values("id") == ids[60:]
    assert [each.operator for each in figure.remedies] == ["apply_classifier", "evaluate_predictions"]


def test_evaluation_that_is_older_than_the_predictions_says_so(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    write_labels(pets, "prediction", ids, ["cat"] * 64, [0.9] * 64)
    clean = {"accuracy": 0.8, "interval": [0.7, 0.9]}
    summary = {"evaluated_on": "test", "clean": clean}
    params = {"prediction_field": "prediction"}
    runs.save_run(pets, "winnow_evaluation", method="evaluate", params=params, fields=[], summary=summary)
    before = dataset_health(pets).figure("predictions")
    save_predictions(pets)

    after = dataset_health(pets).figure("predictions")

    assert before.details == ("Accuracy on test, without leaked images: 80.0 % (70.0 to 90.0 %).",)
    assert before.level is Level.GOOD
    assert after.details == (
        "Accuracy on test, without leaked images: 80.0 % (70.0 to 90.0 %), measured before the last prediction.",
    )


def save_predictions(made: fo.Dataset) -> None:
    params = {"prediction_field": "prediction", "version": "v1"}
    runs.save_run(made, PREDICT_RUN, method="apply_classifier", params=params, fields=["prediction"], summary={})


def test_batches_that_are_out_are_counted_and_shown(pets: fo.Dataset) -> None:
    ids = pets.values("id")[:10]
    lists = {"hashes": ("",) * 10, "labels_before": ({},) * 10, "task_ids": (0,) * 10, "blind": (False,) * 10}
    save_batch(pets, Batch(name="first", sample_ids=tuple(ids), fields={"label": "ground_truth"}, **lists))
    mark_samples(pets, ids[:6], LabelingState.OUT, "first")
    mark_samples(pets, ids[6:9], LabelingState.BACK, "first")
    mark_samples(pets, ids[9:], LabelingState.DISAGREEMENT, "first")

    figure = dataset_health(pets).figure("labeling")

    assert figure.sentence == "6 images are out for labelling in 1 batch."
    assert sorted(samples_behind(pets, "labeling", "out").values("id")) == sorted(ids[:6])
    assert samples_behind(pets, "labeling", "disputed").values("id") == ids[9:]


def test_decisions_are_counted_by_kind_and_person(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> None:
    made = dataset()
    label_reports.fill(made, tmp_path)
    flagged = made.match({"label_issue": True}).values("id")
    review_labels(made, "keep", flagged[:2], by="anna")
    review_labels(made, "unsure", flagged[2:3], by="ben")

    figure = dataset_health(made).figure("decisions")

    assert figure.sentence == "3 decisions about labels: kept 2, unsure 1."
    assert figure.details[0] == "By anna 2, ben 1."
    assert figure.details[1].endswith("marked 1 label as unsure.")
    assert samples_behind(made, "decisions", "unsure").values("id") == flagged[2:3]


def test_classifier_that_is_older_than_images_says_so(pets: fo.Dataset, tmp_path: Path) -> None:
    about = {
        "version": "v1",
        "classes": ["cat", "dog"],
        "trained_at": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
    }
    (tmp_path / "classifier.json").write_text(json.dumps(about), encoding="utf-8")
    pets.info[PROMOTED] = {"folder": str(tmp_path), "version": "v1"}
    pets.save()

    figure = dataset_health(pets).figure("classifiers")

    assert figure.level is Level.STALE
    assert figure.stale == "64 images were added since it was trained"
    assert figure.numbers["in_use"] == "v1"


def test_several_labels_an_image_and_tags_for_splits(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    ids = fill(made, several=True)
    made.set_values("split", dict.fromkeys(ids), key_field="id")
    made.select(ids[:16]).tag_samples("test")
    made.select(ids[16:]).tag_samples("train")
    made.set_values("ground_truth", dict.fromkeys(ids[:4]), key_field="id")

    health = dataset_health(made)

    assert health.split_source == "tags"
    assert health.summary()["splits"] == {"train": 48, "test": 16}
    assert health.figure("unlabelled").sentence == "4 images are not annotated in `ground_truth`: 6.2 %."
    assert class_samples(made, "cat", "test").count() == 12


def test_view_is_counted_by_itself(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_duplicates(pets, [(ids[0], ids[4]), (ids[1], ids[5])])

    health = dataset_health(pets.match({"split": "test"}))

    assert health.images == 16
    assert health.figure("duplicates").sentence == "1 image is a copy of another: 6.2 %."


def test_every_image_of_a_grouped_dataset_counts(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_group_field("group", default="left")
    for number in range(3):
        group = fo.Group()
        made.add_samples(
            fo.Sample(
                filepath=f"/nowhere/{side}{number}.png",
                media_type="image",
                group=group.element(side),
                split="train",
                ground_truth=fo.Classification(label="cat"),
            )
            for side in ("left", "right")
        )

    health = dataset_health(made)

    assert health.images == 6
    assert health.counts.by_class.tolist() == [6]
    assert class_samples(made, "cat", "train").count() == 6


def test_empty_dataset_has_a_health(dataset: Callable[..., fo.Dataset]) -> None:
    health = dataset_health(dataset())

    assert health.images == 0
    assert health.text()


def test_views_hold_no_ids_and_summary_is_plain_json(pets: fo.Dataset) -> None:
    ids = pets.values("id")
    save_vectors(pets, ids[:2])
    save_duplicates(pets, [(ids[1], ids[2])], conflicts=1)
    save_leaks(pets, {ids[0]: "same file", ids[1]: "same file"})

    health = dataset_health(pets)

    views = [samples_behind(pets, figure.key, each.key) for figure in health.figures for each in figure.behind]
    assert len(views) >= 5
    assert not any(key in json.dumps(view._serialize(), default=str) for view in views for key in ids)
    json.dumps(health.summary(), allow_nan=False)


def test_samples_that_are_gone_are_told(pets: fo.Dataset) -> None:
    with pytest.raises(DataError, match="no samples are behind 'duplicates' as 'copies'"):
        samples_behind(pets, "duplicates", "copies")


def test_fields_that_are_asked_for_must_exist(pets: fo.Dataset) -> None:
    with pytest.raises(FieldError, match="has no labels in 'nothing'"):
        dataset_health(pets, DatasetHealthParams(label_field="nothing"))
    with pytest.raises(FieldError, match="no field 'nothing' for the splits"):
        dataset_health(pets, DatasetHealthParams(split_field="nothing"))
    with pytest.raises(FieldError, match=r"field 'split' of .* holds no predictions"):
        dataset_health(pets, DatasetHealthParams(prediction_field="split"))


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "0.0 %"), (1, 4, "25.0 %"), (1, 100_000, "less than 0.1 %"), (99_999, 100_000, "more than 99.9 %"),
     (5, 5, "100.0 %")],
)  # fmt: skip
def test_shares_never_round_something_away(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words
