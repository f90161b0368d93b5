from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.outliers import find_outliers

CLASSES, WIDTH = 5, 32


def images(count: int, odd: int = 0, seed: int = 0) -> np.ndarray:
    """Return unit vectors around five centres; the last `odd` point anywhere."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(CLASSES, WIDTH))
    rows = centres[rng.integers(CLASSES, size=count)] + rng.normal(size=(count, WIDTH))
    rows[count - odd :] = 3 * rng.normal(size=(odd, WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_images_that_lie_alone_are_flagged() -> None:
    found = find_outliers(images(1000, odd=10))

    assert found.is_outlier[-10:].all()
    assert found.is_outlier[:-10].mean() <= 0.01
    assert found.score[-10:].min() > found.score[:-10].max()


def test_without_odd_images_hardly_any_is_flagged() -> None:
    shares = [find_outliers(images(1000, seed=seed)).is_outlier.mean() for seed in range(5)]

    assert np.mean(shares) <= 0.005


def test_distance_is_the_one_to_the_20th_neighbour() -> None:
    rows = images(300)

    found = find_outliers(rows)

    for row in range(0, 300, 20):
        similarity = np.sort(np.delete(rows @ rows[row], row))[::-1]
        assert found.distance[row] == pytest.approx(1 - similarity[19], abs=1e-4)


def test_cut_is_a_normal_tail_through_median_and_ninth_decile() -> None:
    found = find_outliers(images(500, odd=5))

    middle, high = np.quantile(found.distance, [0.5, 0.9])
    assert found.cut == pytest.approx(middle + 3.0902 * (high - middle) / 1.2816, rel=1e-4)
    assert np.array_equal(found.is_outlier, found.distance > found.cut)


def test_score_is_the_share_of_images_that_are_less_odd() -> None:
    found = find_outliers(images(300))

    expected = [(found.distance < own).mean() for own in found.distance]
    assert found.score == pytest.approx(expected, abs=1e-4)


def test_copies_of_an_odd_image_do_not_make_it_look_normal() -> None:
    rows = images(1000, odd=1)
    groups = np.full(1030, -1)
    groups[999:] = 7
    copied = np.vstack([rows, np.repeat(rows[-1:], 30, axis=0)])

    assert find_outliers(copied, groups).is_outlier[999:].all()
    assert not find_outliers(copied).is_outlier[999:].any()


def test_copies_of_ordinary_images_change_nothing() -> None:
    rows = images(500, odd=5)
    groups = np.full(600, -1)
    groups[:100] = groups[500:] = np.arange(100)

    found, alone = find_outliers(np.vstack([rows, rows[:100]]), groups), find_outliers(rows)

    assert found.distance[:500] == pytest.approx(alone.distance, abs=1e-6)
    assert found.cut == pytest.approx(alone.cut, rel=1e-4)


def test_result_does_not_depend_on_the_order() -> None:
    rows = images(400, odd=4)
    order = np.random.default_rng(1).permutation(400)

    straight, shuffled = find_outliers(rows), find_outliers(rows[order])

    assert np.array_equal(shuffled.score, straight.score[order])
    assert np.array_equal(shuffled.is_outlier, straight.is_outlier[order])


@pytest.mark.parametrize("count", [0, 1, 2, 49])
def test_among_few_images_nothing_is_flagged(count: int) -> None:
    found = find_outliers(images(count))

    assert found.score.shape == found.is_outlier.shape == (count,)
    assert not found.is_outlier.any()
    assert found.cut == float("inf")


def test_equal_images_are_not_odd() -> None:
    found = find_outliers(np.ones((100, 8), np.float32))

    assert not found.is_outlier.any()
    assert (found.score == 0).all()


def test_nan_is_an_error() -> None:
    rows = images(60)
    rows[3, 0] = np.nan

    with pytest.raises(ValueError, match="row 3"):
        find_outliers(rows)


def test_groups_of_another_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="groups must have shape"):
        find_outliers(images(60), np.full(59, -1))
