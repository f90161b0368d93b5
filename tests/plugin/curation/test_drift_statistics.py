from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from winnow.plugin.curation.drift_statistics import compare_statistics


def test_what_moved_furthest_comes_first_with_a_corrected_p_value() -> None:
    rng = np.random.default_rng(0)
    then, now = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    now[:, 1] += 0.3

    first, second = compare_statistics(then, now, ("width", "brightness"), 1_000, rng)

    exact = ks_2samp(then[:, 1], now[:, 1], method="asymp")
    assert (first.name, second.name) == ("brightness", "width")
    assert first.p_value == pytest.approx(2 * exact.pvalue)
    assert first.effect == pytest.approx(exact.statistic, abs=1e-4)
    assert first.current_median == pytest.approx(np.median(now[:, 1]))


def test_images_that_were_not_measured_do_not_count() -> None:
    then, now = np.arange(40.0)[:, None], np.full((40, 1), np.nan)
    now[:20, 0] = np.arange(20)

    (found,) = compare_statistics(then, now, ("width",), 1_000, np.random.default_rng(0))

    assert found.current_median == 9.5


@pytest.mark.parametrize("current", [np.full((30, 1), np.nan), np.ones((30, 1))])
def test_statistic_that_was_never_measured_or_never_differs_has_not_moved(current: np.ndarray) -> None:
    (found,) = compare_statistics(np.ones((30, 1)), current, ("width",), 1_000, np.random.default_rng(0))

    assert found.p_value == 1
    assert found.effect == 0
    assert math.isnan(found.current_median) == bool(np.isnan(current).all())
