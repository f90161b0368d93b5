from __future__ import annotations

import json

import numpy as np
import pytest

from winnow.plugin.curation.cleaning import CleaningWorth, gain_interval, price_cleaning
from winnow.plugin.curation.label_issues import find_label_issues
from winnow.plugin.errors import DataError

CLASSES, WIDTH = 4, 12


def clouds(count: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of four overlapping classes and their labels, a share of which is another class instead."""
    rng = np.random.default_rng(seed)
    true = np.arange(count) % CLASSES
    vectors = 2 * np.eye(CLASSES, WIDTH)[true] + 0.8 * rng.normal(size=(count, WIDTH))
    labels = np.where(rng.random(count) < noise, (true + rng.integers(1, CLASSES, count)) % CLASSES, true)
    return vectors.astype(np.float32), labels


def priced(vectors: np.ndarray, labels: np.ndarray, **more: object) -> CleaningWorth:
    return price_cleaning(vectors, labels, find_label_issues(labels, embeddings=vectors).joint, **more)


def test_clean_labels_promise_no_gain() -> None:
    found = [priced(*clouds(400, 0, seed)) for seed in range(3)]

    for each in found:
        assert each.dropped.interval[0] < 0 < each.dropped.interval[1]
        assert each.relabelled.interval[0] < 0 < each.relabelled.interval[1]
        assert max(each.dropped.gain, each.relabelled.gain) <= 0.01
        assert "no more than chance" in each.text()


def test_cleaning_many_wrong_labels_is_a_gain() -> None:
    found = priced(*clouds(600, 0.35))

    assert found.relabelled.gain > 0.01
    assert found.relabelled.interval[0] > 0
    assert found.relabelled.interval[0] <= found.relabelled.gain <= found.relabelled.interval[1]


def test_accuracy_is_that_on_the_true_classes_and_not_on_the_labels() -> None:
    clean, noisy = priced(*clouds(800, 0)), priced(*clouds(800, 0.15))

    assert noisy.accuracy_given == pytest.approx(clean.accuracy_given, abs=0.05)


def test_labels_outside_count_for_nothing() -> None:
    vectors, labels = clouds(400, 0.1)
    joint = find_label_issues(labels, embeddings=vectors).joint
    more = np.vstack([vectors, vectors[:50] * 0 + 9])

    found = price_cleaning(more, np.append(labels, np.full(50, -1)), joint)

    assert found == price_cleaning(vectors, labels, joint)
    assert found.rows == 400


def test_copies_do_not_narrow_the_interval() -> None:
    vectors, labels = clouds(300, 0.3)
    joint = find_label_issues(labels, embeddings=vectors).joint
    alone = price_cleaning(vectors, labels, joint).relabelled

    groups = np.tile(np.arange(300), 3)
    copied = price_cleaning(np.tile(vectors, (3, 1)), np.tile(labels, 3), 3 * joint, groups=groups).relabelled

    width = alone.interval[1] - alone.interval[0]
    assert copied.interval[1] - copied.interval[0] > 0.6 * width


def test_labels_that_are_mostly_wrong_are_an_error() -> None:
    vectors, labels = clouds(200, 0)

    with pytest.raises(DataError, match="most labels are probably wrong"):
        price_cleaning(vectors, labels, np.full((CLASSES, CLASSES), 10.0))


def test_summary_is_plain_json() -> None:
    found = priced(*clouds(200, 0.1)).summary()

    assert json.loads(json.dumps(found))["rows"] == 200
    assert len(found["gain_dropped_interval"]) == 2


def test_four_predictions_that_all_changed_for_the_better_claim_no_gain() -> None:
    none, four, seven = (_interval(wins, 500) for wins in (0, 4, 7))

    assert none[0] < 0 < none[1]
    assert four[0] <= 0 < four[1]
    assert seven[0] > 0


def _interval(wins: int, rows: int) -> tuple[float, float]:
    difference = np.zeros(rows)
    difference[:wins] = 1
    return gain_interval(difference, np.full(rows, -1), np.random.default_rng(0))
