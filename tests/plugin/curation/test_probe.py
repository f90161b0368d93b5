from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from winnow.plugin.curation import probe as probe_module
from winnow.plugin.curation.probe import FOLDS, Probe, fit_probe, fit_temperature, stratified_folds, unit_length
from winnow.plugin.errors import DataError

WIDTHS = pytest.mark.parametrize("width", [12, 400], ids=["more rows than columns", "more columns than rows"])


def blobs(n: int = 300, n_classes: int = 3, spread: float = 1.0, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, width) around one random centre a class, and labels (n,)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n)
    return rng.normal(size=(n_classes, width))[labels] + spread * rng.normal(size=(n, width)), labels


def design(embeddings: np.ndarray) -> np.ndarray:
    """Return what the ridge is fitted on: unit rows, standardised, and a column of ones."""
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.hstack([(rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6), np.ones((len(rows), 1))])


def ridge(rows: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
    return np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ targets)


@pytest.fixture(scope="module")
def probe() -> Probe:
    return fit_probe(*blobs(), n_classes=3)


@WIDTHS
def test_held_out_scores_are_those_of_refitting_on_the_other_folds(width: int) -> None:
    embeddings, labels = blobs(width=width)

    probe = fit_probe(embeddings, labels, n_classes=3)

    rows, targets, folds = design(embeddings), np.eye(3)[labels], stratified_folds(labels, None, seed=0)
    expected = np.empty((len(labels), 3))
    for fold in range(FOLDS):
        solution = ridge(rows[folds != fold], targets[folds != fold], probe.penalty * len(labels))
        for row in np.flatnonzero(folds == fold):
            expected[row] = rows[row] @ solution
    np.testing.assert_allclose(probe.held_out_logits(embeddings), expected * probe.temperature, atol=1e-8)


@WIDTHS
def test_logits_are_those_of_a_ridge_on_all_rows_times_the_temperature(width: int) -> None:
    embeddings, labels = blobs(width=width)

    probe = fit_probe(embeddings, labels, n_classes=3)

    rows = design(embeddings)
    expected = rows @ ridge(rows, np.eye(3)[labels], probe.penalty * len(labels)) * probe.temperature
    np.testing.assert_allclose(probe.logits(embeddings), expected, atol=1e-8)


def test_many_rows_are_multiplied_as_float32_and_lose_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = blobs()
    exact = fit_probe(embeddings, labels, n_classes=3).held_out_probabilities(embeddings)
    monkeypatch.setattr(probe_module, "_BLOCK_NUMBERS", 1_200)  # a hundred rows at a time

    found = fit_probe(embeddings, labels, n_classes=3).held_out_probabilities(embeddings)

    assert 0 < np.abs(found - exact).max() < 1e-6


def test_length_of_an_embedding_does_not_matter(probe: Probe) -> None:
    embeddings, _ = blobs()

    np.testing.assert_allclose(probe.logits(7 * embeddings), probe.logits(embeddings), atol=1e-9)


def test_probe_classifies_images_it_has_not_seen() -> None:
    embeddings, labels = blobs(n=600, spread=0.5)

    probe = fit_probe(embeddings[:300], labels[:300], n_classes=3)

    assert (probe.logits(embeddings[300:]).argmax(axis=1) == labels[300:]).mean() > 0.95


def test_held_out_scores_of_random_labels_are_no_better_than_chance() -> None:
    embeddings, _ = blobs()
    labels = np.random.default_rng(1).integers(0, 3, len(embeddings))

    probe = fit_probe(embeddings, labels, n_classes=3)

    assert (probe.held_out_logits(embeddings).argmax(axis=1) == labels).mean() < 0.45


def test_held_out_logits_of_some_rows_are_those_among_all(probe: Probe) -> None:
    embeddings, rows = blobs()[0], np.array([7, 250, 3])

    np.testing.assert_allclose(probe.held_out_logits(embeddings, rows), probe.held_out_logits(embeddings)[rows])


def test_held_out_probabilities_sum_to_one(probe: Probe) -> None:
    np.testing.assert_allclose(probe.held_out_probabilities(blobs()[0]).sum(axis=1), 1)


def test_a_class_that_does_not_occur_is_hardly_ever_likely() -> None:
    embeddings, labels = blobs(n_classes=2)

    probe = fit_probe(embeddings, labels, n_classes=4)

    logits = probe.held_out_logits(embeddings)
    assert logits.shape == (300, 4)
    assert set(logits.argmax(axis=1)) == {0, 1}


def test_the_same_seed_gives_the_same_probe() -> None:
    first, second = (fit_probe(*blobs(), n_classes=3, seed=4) for _ in range(2))

    assert np.array_equal(first.fold_weights, second.fold_weights)
    assert np.array_equal(first.weights, second.weights)


def test_another_seed_gives_other_folds(probe: Probe) -> None:
    embeddings, labels = blobs()
    other = fit_probe(embeddings, labels, n_classes=3, seed=4)

    assert not np.allclose(other.held_out_logits(embeddings), probe.held_out_logits(embeddings))


def test_a_duplicate_does_not_help_to_judge_its_copy() -> None:
    embeddings, labels = blobs(n=100)
    labels[:5] = (labels[0] + 1) % 3  # five copies of one image share a wrong label
    embeddings[:5] = embeddings[0]
    groups = np.full(100, -1)
    groups[:5] = 0

    alone = fit_probe(embeddings, labels, n_classes=3)
    grouped = fit_probe(embeddings, labels, n_classes=3, groups=groups)

    wrong = labels[0]
    helped, judged = (probe.held_out_logits(embeddings)[:5, wrong] for probe in (alone, grouped))
    assert (judged < helped).all()


def test_one_class_is_an_error() -> None:
    with pytest.raises(DataError, match="same class"):
        fit_probe(np.ones((20, 3)), np.zeros(20, int), n_classes=2)


def test_fewer_than_two_images_a_fold_are_an_error() -> None:
    with pytest.raises(DataError, match="only 9 labelled images; at least 10"):
        fit_probe(np.ones((9, 3)), np.arange(9) % 2, n_classes=2)


def test_progress_is_told_after_each_fold() -> None:
    told = []

    fit_probe(*blobs(), n_classes=3, progress=lambda *call: told.append(call))

    assert told == [("linear probe", fold + 1, FOLDS) for fold in range(FOLDS)]


def test_embeddings_that_are_all_equal_can_be_fitted() -> None:
    probe = fit_probe(np.ones((20, 3)), np.arange(20) % 2, n_classes=2)

    assert np.isfinite(probe.held_out_logits(np.ones((20, 3)))).all()
    assert np.isfinite(probe.weights).all()


def test_temperature_makes_the_labels_likeliest() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 3))
    labels = (scores + rng.normal(size=(200, 3))).argmax(axis=1)

    factor, loss = fit_temperature(scores, labels)

    grid = np.exp(np.linspace(-4, 6, 2000))
    losses = [-log_softmax(t * scores, axis=1)[np.arange(200), labels].mean() for t in grid]
    assert factor == pytest.approx(grid[np.argmin(losses)], rel=0.01)
    assert loss == pytest.approx(min(losses), abs=1e-4)


def test_each_class_is_spread_evenly_over_the_folds() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 23, 7, 3])

    folds = stratified_folds(labels, None, seed=0)

    for label in range(4):
        counts = np.bincount(folds[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


def test_classes_of_one_image_do_not_pile_up_in_one_fold() -> None:
    folds = stratified_folds(np.arange(20), None, seed=0)

    assert np.bincount(folds).tolist() == [4] * 5


@pytest.mark.parametrize("seed", range(3))
def test_a_group_never_straddles_two_folds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 3, 200), rng.integers(-1, 40, 200)

    folds = stratified_folds(labels, groups, seed)

    assert all(len(set(folds[groups == group])) <= 1 for group in range(40))
    assert set(folds) == set(range(FOLDS))


def test_images_without_a_group_are_spread_like_any_other() -> None:
    folds = stratified_folds(np.zeros(50, int), np.full(50, -1), seed=0)

    assert np.bincount(folds).tolist() == [10] * 5


def test_folds_depend_on_the_seed_alone() -> None:
    labels = np.arange(100) % 4

    folds = [stratified_folds(labels, None, seed).tolist() for seed in (1, 1, 2)]

    assert folds[0] == folds[1] != folds[2]


def test_unit_length_keeps_an_all_zero_row() -> None:
    np.testing.assert_allclose(unit_length(np.array([[0, 0], [3, 4]])), [[0, 0], [0.6, 0.8]])
