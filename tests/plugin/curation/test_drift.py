from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winnow.plugin.curation import drift_tests
from winnow.plugin.curation.drift import Drift, check_drift
from winnow.plugin.errors import DataError

WIDTH, CLASSES = 16, 5
CENTRES = 3 * np.random.default_rng(99).normal(size=(CLASSES, WIDTH))


def images(
    count: int, seed: int = 0, moved: float = 0.0, shares: list[float] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors around five centres, all moved by so much, a classifier's probabilities and the true classes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, count, p=shares)
    vectors = CENTRES[labels] + rng.normal(size=(count, WIDTH)) + moved
    away = ((vectors[:, None] - CENTRES[None]) ** 2).sum(axis=2)
    probs = np.exp(-(away - away.min(axis=1, keepdims=True)) / 20)
    return vectors.astype(np.float32), probs / probs.sum(axis=1, keepdims=True), labels


def with_new_kind(count: int, new: int, seed: int = 1) -> np.ndarray:
    """Return vectors of which the last ones lie around a centre of their own."""
    rows = images(count, seed)[0]
    rows[count - new :] = -CENTRES.sum(axis=0) + np.random.default_rng(seed).normal(size=(new, WIDTH))
    return rows


def same(first: Drift, second: Drift) -> bool:
    arrays = ("exemplars", "scores", "novel", "novelty")
    equal = all(np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True) for name in arrays)
    return equal and first.p_value == second.p_value and first.tests == second.tests


def test_images_of_one_source_raise_no_more_false_alarms_than_accepted() -> None:
    alarms = []
    for seed in range(100):
        vectors, probs, _ = images(120, seed)
        found = check_drift(
            vectors[:60], vectors[60:], reference_probs=probs[:60], current_probs=probs[60:], seed=seed, alpha=0.1
        )
        alarms.append(found.is_drift)

    assert np.mean(alarms) <= 0.18  # 99.5 % of the binomial distribution


@pytest.mark.parametrize("change", ["moved", "wider", "new kind", "fewer kinds"])
def test_changes_of_many_sorts_are_a_drift(change: str) -> None:
    current = {
        "moved": images(250, 1, moved=0.4)[0],
        "wider": images(250, 1)[0] * 1.3,
        "new kind": with_new_kind(250, 15),
        "fewer kinds": images(250, 1, shares=[0.4, 0.1, 0.2, 0.2, 0.1])[0],
    }[change]

    found = check_drift(images(300)[0], current)

    assert found.is_drift
    assert found.p_value <= 0.05
    assert found.effect_size > 0.02


def test_effect_does_not_depend_on_the_number_of_images() -> None:
    effects = [check_drift(images(n)[0], images(n, 1, moved=0.4)[0]).effect_size for n in (200, 800, 3_200)]

    assert max(effects) - min(effects) < 0.08


def test_effect_grows_with_the_change() -> None:
    effects = [check_drift(images(300)[0], images(300, 1, moved)[0]).effect_size for moved in (0, 0.3, 1, 5)]

    assert effects == sorted(effects)
    assert effects[0] < 0.1
    assert effects[-1] > 0.9


def test_no_more_images_count_than_the_match_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_tests, "MATCHED", 50)

    found = check_drift(images(400)[0], images(100, 1)[0])

    assert {test.images for test in found.tests} == {50}
    assert np.isfinite(found.scores).all()


def test_exemplars_are_of_the_new_kinds_not_ten_of_one() -> None:
    current = with_new_kind(400, 20)
    current[:20] = 5 * CENTRES[0] + np.random.default_rng(3).normal(size=(20, WIDTH))

    shown = check_drift(images(400)[0], current).exemplars

    assert len(shown) == len(set(shown.tolist())) <= 12
    assert (shown[:2] < 20).sum() + (shown[:2] >= 380).sum() == 2
    assert (shown < 20).any()
    assert (shown >= 380).any()


def test_new_kind_has_the_highest_scores_and_is_novel() -> None:
    found = check_drift(images(400)[0], with_new_kind(400, 20))

    assert found.scores[-20:].min() > 0.6
    assert np.median(found.scores[:-20]) == pytest.approx(0.5, abs=0.06)
    assert found.novel[-20:].all()
    assert found.novel[:-20].mean() < 0.04
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_kind_that_is_usual_is_novel_to_a_classifier_that_was_not_trained_on_it() -> None:
    reference, current = with_new_kind(200, 1, seed=2), with_new_kind(200, 20)

    unknown = check_drift(reference, current, trained_on=images(500, 5)[0])
    known = check_drift(reference, current, trained_on=with_new_kind(500, 100, seed=5))

    assert unknown.novel[-20:].mean() > 0.9
    assert not known.novel[-20:].any()


def test_label_shift_is_estimated_and_told_class_by_class() -> None:
    then, probs, labels = images(600)
    now, current_probs, _ = images(500, 1, shares=[0.4, 0.2, 0.2, 0.1, 0.1])

    found = check_drift(then, now, reference_probs=probs, current_probs=current_probs, reference_labels=labels)

    assert found.is_drift
    assert found.label_shift is not None
    assert found.label_shift.current_share == pytest.approx([0.4, 0.2, 0.2, 0.1, 0.1], abs=0.06)
    assert found.classes is not None
    assert found.classes.p_value[0] < 0.01
    assert found.classes.current_mean[0] - found.classes.reference_mean[0] > 0.1


def test_independent_probabilities_have_no_predicted_class() -> None:
    then, probs, labels = images(200)
    now, current_probs, _ = images(200, 1)

    found = check_drift(
        then, now, reference_probs=probs, current_probs=current_probs, reference_labels=labels, multilabel=True
    )

    assert found.label_shift is None
    assert "predicted classes" not in {test.name for test in found.tests}
    assert found.classes is not None


def test_statistics_explain_but_do_not_decide() -> None:
    then, now = images(200)[0], images(200, 1)[0]
    bright = np.linspace(0, 1, 200)[:, None]

    found = check_drift(
        then, now, reference_statistics=bright, current_statistics=bright + 1, statistic_names=["brightness"]
    )

    assert found.statistics[0].p_value < 0.001
    assert found.p_value == check_drift(then, now).p_value


def test_rows_without_vector_or_prediction_are_left_out_and_counted() -> None:
    then, probs, _ = images(100)
    now, current_probs, _ = images(100, 1)
    then[3, 0] = now[5, 1] = np.nan
    current_probs[7, 0] = np.inf

    found = check_drift(then, now, reference_probs=probs, current_probs=current_probs)

    assert found.left_out == (1, 2)
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == [5, 7]
    assert np.flatnonzero(np.isnan(found.novelty)).tolist() == [5, 7]
    assert not np.isin([5, 7], found.exemplars).any()


def test_same_input_and_seed_give_the_same_result_in_half_precision_too() -> None:
    then, now = images(150)[0].astype(np.float16), images(120, 1, moved=0.2)[0].astype(np.float16)

    first = check_drift(then, now, seed=3)

    assert same(first, check_drift(then, now, seed=3))
    assert same(first, check_drift(then.astype(np.float32), now.astype(np.float32), seed=3))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (np.ones((30, 3)), np.ones((40, 3))),
        (images(100)[0], images(100)[0]),
        (np.pad(images(40)[0], ((0, 0), (0, 2))), np.pad(images(50, 1)[0], ((0, 0), (0, 2)))),
        (np.repeat(images(10)[0], 10, axis=0), np.repeat(images(10)[0], 5, axis=0)),
        (images(20)[0][:, :2], images(20, 1)[0][:, :2]),
        (images(40)[0][:, :1], images(40, 1)[0][:, :1]),
    ],
    ids=["all equal", "the same", "constant columns", "copies", "fewest", "one column"],
)
def test_where_nothing_differs_nothing_drifts(reference: np.ndarray, current: np.ndarray) -> None:
    found = check_drift(reference, current)

    assert not found.is_drift
    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.novelty).all()


@pytest.mark.filterwarnings("error")
def test_equal_images_that_became_other_equal_images_are_a_drift() -> None:
    found = check_drift(np.zeros((30, 3)), np.ones((40, 3)))

    assert found.is_drift
    assert found.effect_size > 0.9


@pytest.mark.filterwarnings("error")
def test_thousand_classes_and_wide_vectors_are_compared() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(1_000, 0.1), 60)

    found = check_drift(
        rng.normal(size=(30, 2_048)),
        rng.normal(size=(30, 2_048)),
        reference_probs=probs[:30],
        current_probs=probs[30:],
        reference_labels=probs[:30].argmax(axis=1),
    )

    assert found.classes is not None and found.classes.effect.shape == (1_000,)
    assert found.label_shift is not None and found.label_shift.interval.shape == (1_000, 2)


@pytest.mark.parametrize("short", ["reference", "current"])
def test_too_few_images_are_an_error_that_tells_how_many_are_needed(short: str) -> None:
    few = np.vstack([images(19)[0], np.full((5, WIDTH), np.nan)])
    sides = (few, images(50)[0]) if short == "reference" else (images(50)[0], few)

    with pytest.raises(DataError, match=f"19 of the 24 {short} images.*at least 20"):
        check_drift(*sides)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"reference_probs": np.ones((30, 2))}, "reference_probs without current_probs"),
        ({"current_probs": np.ones((25, 2))}, "current_probs without reference_probs"),
        ({"current_statistics": np.ones((25, 2))}, "current_statistics without reference_statistics"),
        ({"reference_probs": np.ones((29, 2)), "current_probs": np.ones((25, 2))}, r"\(30, k\).*\(29, 2\)"),
        ({"reference_probs": np.ones((30, 2)), "current_probs": np.ones((25, 3))}, "2 columns.*got 3"),
        ({"reference_labels": np.zeros(30, int)}, "need reference_probs"),
        ({"trained_on": np.ones((5, 4))}, r"trained_on must have shape \(n, 3\).*\(5, 4\)"),
        ({"statistic_names": ["width"]}, "statistic_names"),
        ({"alpha": 0}, "alpha must lie between 0 and 1"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error(given: dict[str, Any], told: str) -> None:
    rng = np.random.default_rng(0)

    with pytest.raises(ValueError, match=told):
        check_drift(rng.normal(size=(30, 3)), rng.normal(size=(25, 3)), **given)


def test_vectors_of_different_width_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"current must have shape \(n, 3\).*\(30, 4\)"):
        check_drift(np.ones((30, 3)), np.ones((30, 4)))


def test_progress_can_stop_the_check() -> None:
    def stop(step: str, done: int, total: int) -> None:
        raise RuntimeError(step)

    with pytest.raises(RuntimeError, match="drift"):
        check_drift(images(50)[0], images(50, 1)[0], progress=stop)
