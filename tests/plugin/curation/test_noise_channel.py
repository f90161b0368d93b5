from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from winnow.plugin.curation.noise_channel import fit_noise_channel, rows_to_fit

N, K = 6000, 5


def world(seed: int = 0, sharp: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Return true classes (n,), and calibrated probabilities of them (n, k)."""
    rng = np.random.default_rng(seed)
    likely = softmax(sharp * rng.normal(size=(N, K)) + 6 * np.eye(K)[rng.integers(0, K, N)], axis=1)
    true = (likely.cumsum(axis=1) > rng.random((N, 1))).argmax(axis=1)
    return true, likely


def noisy(true: np.ndarray, channel: np.ndarray, seed: int = 1) -> np.ndarray:
    """Return labels (n,), drawn with the probabilities channel[given, true]."""
    draws = np.random.default_rng(seed).random((len(true), 1))
    return (channel.T[true].cumsum(axis=1) > draws).argmax(axis=1)


def uniform(noise: float) -> np.ndarray:
    return (1 - noise) * np.eye(K) + noise * (1 - np.eye(K)) / (K - 1)


def next_class(noise: float) -> np.ndarray:
    return (1 - noise) * np.eye(K) + noise * np.roll(np.eye(K), 1, axis=0)


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.4])
def test_uniform_noise_is_recognised_and_its_rate_found(noise: float) -> None:
    true, likely = world()

    channel = fit_noise_channel([np.log(likely)], noisy(true, uniform(noise)))

    assert channel.kind == "uniform"
    assert 1 - np.diag(channel.matrix) == pytest.approx(noise, abs=0.02)


@pytest.mark.parametrize("noise", [0.1, 0.2, 0.3])
def test_noise_of_pairs_is_recognised_and_its_rates_found(noise: float) -> None:
    true, likely = world()

    channel = fit_noise_channel([np.log(likely)], noisy(true, next_class(noise)))

    assert channel.kind == "pairs"
    np.testing.assert_allclose(channel.matrix, next_class(noise), atol=0.07)


@pytest.mark.parametrize("noise", [0.2, 0.3])
def test_noise_of_pairs_is_found_in_probabilities_that_have_learned_it(noise: float) -> None:
    true, likely = world()
    learned = likely @ next_class(noise).T  # P(given | image), as a perfect classifier of the noisy labels gives it

    channel = fit_noise_channel([np.log(learned)], noisy(true, next_class(noise)))

    np.testing.assert_allclose(channel.matrix, next_class(noise), atol=0.07)


def test_clean_labels_show_no_noise() -> None:
    true, likely = world()

    assert fit_noise_channel([np.log(likely)], true).kind == "none"


def test_posterior_is_the_one_that_bayes_rule_gives_with_the_true_channel() -> None:
    true, likely = world()
    labels = noisy(true, uniform(0.2))

    found = fit_noise_channel([np.log(likely)], labels).true_class([np.log(likely)], labels)

    joint = likely * uniform(0.2)[labels]
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - expected).mean() < 0.01


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_sharpness_of_the_given_probabilities_does_not_matter(factor: float) -> None:
    true, likely = world()
    labels = noisy(true, uniform(0.2))

    as_they_are = fit_noise_channel([np.log(likely)], labels)
    bent = fit_noise_channel([factor * np.log(likely)], labels)

    np.testing.assert_allclose(bent.matrix, as_they_are.matrix, atol=0.01)


def test_labels_that_a_person_confirmed_are_no_noise() -> None:
    true, likely = world()
    labels = noisy(true, uniform(0.2))

    told = fit_noise_channel([np.log(likely)], labels, confirmed=labels != true)

    assert 1 - np.diag(told.matrix).mean() < 0.05


@pytest.mark.parametrize(("count", "n_classes"), [(40_000, 2), (400_000, 2), (400_000, 10), (400_000, 1000)])
def test_the_fit_uses_some_rows_of_many_and_several_of_each_class(count: int, n_classes: int) -> None:
    rows = rows_to_fit(count, n_classes, seed=0)

    assert min(count, 5 * n_classes) <= len(rows) <= 50_000
    assert (np.diff(rows) > 0).all()
    assert rows[-1] < count


@pytest.mark.parametrize("missed", [0.05, 0.1, 0.3])
def test_of_two_classes_one_may_be_mislabelled_more_often(missed: float) -> None:
    rng = np.random.default_rng(0)
    present = expit(3 * rng.normal(size=4 * N) + np.where(rng.random(4 * N) < 0.3, 5, -5))
    likely = np.stack([1 - present, present], axis=1)
    true = (rng.random(len(present)) < present).astype(int)
    channel = np.array([[0.99, missed], [0.01, 1 - missed]])
    draws = np.random.default_rng(1).random(len(true))

    found = fit_noise_channel([np.log(likely)], (draws < channel[1][true]).astype(int))

    assert found.kind == "pairs"
    np.testing.assert_allclose(found.matrix, channel, atol=0.04)
    assert fit_noise_channel([np.log(likely)], true).kind == "none"


@pytest.mark.parametrize("n", [1, 3, 20])
def test_a_handful_of_labels_can_be_fitted(n: int) -> None:
    true, likely = world()

    found = fit_noise_channel([np.log(likely[:n])], true[:n]).true_class([np.log(likely[:n])], true[:n])

    assert np.isfinite(found).all()
