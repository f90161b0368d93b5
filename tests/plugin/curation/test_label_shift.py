from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.label_shift import estimate_label_shift

CONFUSION = np.array([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.0, 0.1, 0.9]])


def predicted(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (CONFUSION[labels].cumsum(axis=1) > rng.random((len(labels), 1))).argmax(axis=1)


def test_shares_are_found_through_a_classifiers_mistakes() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.choice(3, 3_000, p=[0.4, 0.4, 0.2]), rng.choice(3, 3_000, p=[0.2, 0.3, 0.5])

    found = estimate_label_shift(before, predicted(before, rng), predicted(now, rng), 3, 0.01, rng)

    assert found.reference_share == pytest.approx([0.4, 0.4, 0.2], abs=0.03)
    assert found.current_share == pytest.approx([0.2, 0.3, 0.5], abs=0.04)
    assert found.current_share.sum() == pytest.approx(1)
    assert found.total_variation == pytest.approx(0.3, abs=0.05)


def test_interval_holds_the_true_share_about_as_often_as_it_says() -> None:
    inside = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        before, now = rng.choice(3, 500, p=[0.4, 0.4, 0.2]), rng.choice(3, 500, p=[0.2, 0.3, 0.5])
        found = estimate_label_shift(before, predicted(before, rng), predicted(now, rng), 3, 0.01, rng)
        share = np.bincount(now, minlength=3) / 500
        inside.append((found.interval[:, 0] <= share) & (share <= found.interval[:, 1]))

    assert np.mean(inside) >= 0.9


def test_class_without_labels_keeps_a_share_where_it_is_predicted() -> None:
    rng = np.random.default_rng(0)
    before, now = np.repeat([0, 1], 50), np.repeat([0, 1, 2], 30)

    found = estimate_label_shift(before, before, now, 4, 1.0, rng)

    assert np.isfinite(found.interval).all()
    assert found.current_share[:2] == pytest.approx([1 / 3, 1 / 3], abs=0.05)
    assert found.current_share[2:].sum() == pytest.approx(1 / 3, abs=0.05)
