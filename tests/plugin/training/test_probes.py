from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from winnow.plugin.errors import DataError
from winnow.plugin.training.probes import fit_head, temperature

N, D, K = 600, 24, 4
ALONE = np.full(N, -1)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Return rows of unequal length and spread, of which the first few numbers tell the class."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, D)) * np.linspace(0.2, 3, D)
    rows[:, :K] += 1.2 * np.eye(K)[np.arange(N) % K]
    return (rows * rng.uniform(0.5, 5, (N, 1))).astype(np.float32)


LABELS = np.arange(N) % K


def standardised(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit - unit.mean(axis=0)) / unit.std(axis=0)


def test_it_is_the_logistic_regression_that_scikit_learn_fits(vectors: np.ndarray) -> None:
    head = fit_head(vectors, LABELS, K, groups=ALONE, seed=0)

    peer = LogisticRegression(C=1 / (N * head.penalty), max_iter=2000, tol=1e-8).fit(standardised(vectors), LABELS)
    wanted = peer.decision_function(standardised(vectors))
    found = head.logits(vectors)
    scale = float((found * wanted).sum() / (wanted**2).sum())  # the temperature
    assert 0.5 < scale < 1.5
    assert np.abs(found - scale * wanted).max() < 0.03 * np.abs(found).max()


def test_each_of_several_labels_is_fitted_to_the_images_that_are_known(vectors: np.ndarray) -> None:
    labels = np.eye(K, dtype=np.float32)[LABELS]
    labels[::3, 1] = np.nan

    head = fit_head(vectors, labels, K, groups=ALONE, seed=0)

    known = np.isfinite(labels[:, 1])
    peer = LogisticRegression(C=1 / (N * head.penalty), max_iter=2000).fit(
        standardised(vectors)[known], labels[known, 1]
    )
    wanted = peer.decision_function(standardised(vectors))
    assert np.corrcoef(wanted, head.logits(vectors)[:, 1])[0, 1] > 0.998


def test_held_out_logits_come_from_rows_that_were_not_seen(vectors: np.ndarray) -> None:
    nonsense = np.random.default_rng(1).permutation(LABELS)

    head = fit_head(vectors, nonsense, K, groups=ALONE, seed=0)

    assert (head.held_out.argmax(axis=1) == nonsense).mean() < 0.32


def test_of_many_rows_a_fifth_is_held_out_and_the_penalty_is_chosen_on_some() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(20_000) % 3
    rows = rng.normal(size=(20_000, 8)).astype(np.float32)
    rows[:, :3] += np.eye(3)[labels]

    head = fit_head(rows, labels, 3, groups=np.full(20_000, -1), seed=0)

    peer = LogisticRegression(C=1 / (20_000 * head.penalty), max_iter=2000).fit(standardised(rows), labels)
    assert len(head.held_out_rows) == len(head.held_out) == 4_000
    right = head.held_out.argmax(axis=1) == labels[head.held_out_rows]
    assert right.mean() == pytest.approx(peer.score(standardised(rows), labels), abs=0.02)
    assert np.mean(head.logits(rows).argmax(axis=1) == peer.predict(standardised(rows))) > 0.995


def test_copies_do_not_vouch_for_each_other(vectors: np.ndarray) -> None:
    twice, nonsense = np.repeat(vectors[:100], 6, axis=0), np.random.default_rng(1).permutation(LABELS)[:100].repeat(6)

    head = fit_head(twice, nonsense, K, groups=np.arange(100).repeat(6), seed=0)

    assert (head.held_out.argmax(axis=1) == nonsense).mean() < 0.45


@pytest.mark.parametrize("several", [False, True])
def test_probabilities_are_calibrated(several: bool, vectors: np.ndarray) -> None:
    labels = np.eye(K, dtype=np.float32)[LABELS] if several else LABELS

    head = fit_head(vectors, labels, K, groups=ALONE, seed=0)

    sure = expit(head.held_out) if several else softmax(head.held_out, axis=1)
    assert sure.sum(axis=0) == pytest.approx(np.full(K, N / K), rel=0.12)
    assert sure[np.arange(N), LABELS].mean() == pytest.approx(np.mean((sure**2).sum(axis=1)), abs=0.06)


def test_the_length_of_a_vector_does_not_matter(vectors: np.ndarray) -> None:
    head = fit_head(vectors, LABELS, K, groups=ALONE, seed=0)

    assert np.allclose(head.logits(vectors), head.logits(7 * vectors), atol=1e-4)


def test_a_row_of_zeros_is_judged_by_the_bias(vectors: np.ndarray) -> None:
    head = fit_head(
        np.vstack([vectors, np.zeros((1, D), np.float32)]), np.append(LABELS, 0), K, groups=np.append(ALONE, -1), seed=0
    )

    assert head.logits(np.zeros((1, D), np.float32))[0] == pytest.approx(head.bias)


def test_fewer_rows_than_numbers_a_row_are_enough() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 2
    rows = rng.normal(size=(20, 300)).astype(np.float32)
    rows[:, 0] += 40 * labels

    head = fit_head(rows, labels, 2, groups=np.full(20, -1), seed=0)

    assert (head.logits(rows).argmax(axis=1) == labels).all()
    assert np.isfinite(head.held_out).all()


def test_a_class_that_no_known_image_has_is_judged_unlikely(vectors: np.ndarray) -> None:
    labels = np.eye(K, dtype=np.float32)[LABELS]
    labels[:, 2] = np.where(np.arange(N) % 2, 0, np.nan)

    head = fit_head(vectors, labels, K, groups=ALONE, seed=0)

    assert expit(head.logits(vectors)[:, 2]).max() < 0.05


@pytest.mark.parametrize(("rows", "message"), [(8, "only 8 labelled images"), (0, "same class|only 0")])
def test_hardly_any_rows_are_an_error(rows: int, message: str, vectors: np.ndarray) -> None:
    with pytest.raises(DataError, match=message):
        fit_head(vectors[:rows], LABELS[:rows], K, groups=ALONE[:rows], seed=0)


def calibration_set(seed: int, n: int = 3000, shrunk: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, K) logits, and labels drawn as often as the logits, times `shrunk`, say."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n, K))
    labels = (softmax(shrunk * logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("shrunk", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_how_far_logits_are_stretched(shrunk: float) -> None:
    assert temperature(*calibration_set(0, shrunk=shrunk)) == pytest.approx(shrunk, rel=0.08)


def test_where_everything_is_right_more_images_make_for_more_certainty() -> None:
    logits, _ = calibration_set(0)
    labels = logits.argmax(axis=1)

    few, many = temperature(logits[:50], labels[:50]), temperature(logits, labels)

    assert softmax(few * logits, axis=1).max(axis=1).mean() == pytest.approx(51 / 52, abs=0.01)
    assert few < many < 100
