"""A batch holds what teaches most, no two images alike, and is the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from winnow.plugin.curation.selection import BY_CLASS, STRATEGIES, choose, select

CLASSES = 4


def blobs(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 16) embeddings of four kinds and (n,) their kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, CLASSES, count)
    return (6 * np.eye(16)[kinds] + rng.normal(size=(count, 16))).astype(np.float32), kinds


def probabilities(count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(CLASSES, 0.5), count).astype(np.float32)


def cosines(embeddings: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine similarities of rows to others around the mean of all."""
    centred = embeddings - np.nanmean(embeddings, axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit[rows] @ unit[others].T


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_chooses_different_unlabelled_rows(strategy: str) -> None:
    embeddings, _ = blobs()
    labelled = np.arange(50)

    rows = select(embeddings, 20, probabilities(), labelled, strategy)

    assert len(set(rows.tolist())) == 20
    assert not set(rows.tolist()) & set(labelled.tolist())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_same_seed_gives_the_same_batch(strategy: str) -> None:
    embeddings, _ = blobs()

    rows = [select(embeddings, 20, probabilities(), [1, 2], strategy, seed=3).tolist() for _ in range(2)]

    assert rows[0] == rows[1]


def test_number_of_threads_does_not_change_the_batch() -> None:
    program = (
        "import json, numpy as np; from winnow.plugin.curation.selection import STRATEGIES, select;"
        "rng = np.random.default_rng(0); x = rng.normal(size=(3000, 96)).astype('f4');"
        "p = rng.dirichlet(np.ones(5), 3000);"
        "print(json.dumps([select(x, 25, p, range(60), each).tolist() for each in STRATEGIES]))"
    )

    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]

    assert json.loads(outputs[0]) == json.loads(outputs[1])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_near_duplicates_of_the_batch_and_of_labelled_rows_are_left_out(strategy: str) -> None:
    embeddings, _ = blobs(100)
    rng = np.random.default_rng(1)
    copies = np.tile(embeddings, (4, 1)) + rng.normal(scale=0.05, size=(400, 16)).astype(np.float32)
    labelled = np.arange(20)

    rows = select(copies, 30, probabilities(), labelled, strategy)

    assert len(rows) == 30
    alike = cosines(copies, rows, np.concatenate([rows, labelled])) - np.eye(30, 50) > 0.995
    assert not alike.any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_with_nan_are_never_chosen(strategy: str) -> None:
    embeddings, _ = blobs()
    embeddings[::2] = np.nan
    embeddings[1, 3] = np.inf

    chosen = choose(embeddings, 30, probabilities(), [3, 5], strategy)

    assert set(chosen.rows % 2) == {1}
    assert 1 not in chosen.rows
    assert chosen.without_vector == 201


def test_at_most_one_row_of_a_group_is_chosen_and_none_of_a_labelled_one() -> None:
    embeddings, _ = blobs()
    groups = np.repeat(np.arange(100), 4)
    groups[-4:] = -1

    rows = select(embeddings, 60, labeled=[0], strategy="random", groups=groups)

    named = groups[rows][groups[rows] >= 0]
    assert len(set(named.tolist())) == len(named)
    assert 0 not in named


def test_avoided_rows_and_what_looks_like_them_are_not_chosen() -> None:
    embeddings, _ = blobs(40)
    doubled = np.concatenate([embeddings, embeddings + np.float32(1e-3)])

    rows = select(doubled, 40, strategy="random", avoided=np.arange(30))

    assert set(rows % 40) == set(range(30, 40))


@pytest.mark.parametrize(
    ("strategy", "first"),
    [("least_confidence", 1), ("margin", 0), ("entropy", 1)],
)
def test_uncertainty_puts_the_least_certain_row_first(strategy: str, first: int) -> None:
    embeddings = np.eye(4, dtype=np.float32)
    probs = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]])

    chosen = choose(embeddings, 4, probs, strategy=strategy)

    assert chosen.rows[0] == first
    assert chosen.rows[-1] == 3


def test_k_center_is_the_greedy_loop() -> None:
    embeddings, _ = blobs(120)
    labelled = [4, 77]

    rows = select(embeddings, 12, labeled=labelled, strategy="k_center")

    similar = cosines(embeddings, np.arange(120), np.arange(120))
    expected = list(labelled)
    for _ in range(12):
        expected.append(int(np.argmin(np.round(similar[:, expected].max(axis=1), 4))))
    assert rows.tolist() == expected[2:]


def test_typical_and_cover_take_one_of_each_kind_at_the_start() -> None:
    embeddings, kinds = blobs()

    for strategy in ("typical", "cover", "auto"):
        rows = select(embeddings, CLASSES, strategy=strategy)

        assert sorted(kinds[rows]) == list(range(CLASSES)), strategy


def test_typical_goes_where_nothing_is_labelled() -> None:
    embeddings, kinds = blobs()
    labelled = np.flatnonzero(kinds != 2)[:40]

    rows = select(embeddings, 10, labeled=labelled, strategy="typical")

    assert (kinds[rows] == 2).sum() > 4


def test_badge_distance_is_that_of_the_whole_gradients() -> None:
    from winnow.plugin.curation.selection_strategies import gradient_distance
    from winnow.plugin.curation.uncertainty import read_outputs

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    outputs, _ = read_outputs(probabilities(50), 50)
    surprise = outputs.of(np.arange(50)).surprise()

    found = gradient_distance((surprise**2).sum(axis=1), surprise, 7, rows @ rows[7])

    gradients = (surprise[:, :, None] * rows[:, None, :]).reshape(50, -1)
    np.testing.assert_allclose(found, ((gradients - gradients[7]) ** 2).sum(axis=1), atol=1e-5)


def test_auto_begins_with_typical_images_and_goes_on_with_uncertain_ones() -> None:
    embeddings, _ = blobs()
    probs = np.full((400, CLASSES), 0.01) + 0.96 * np.eye(CLASSES)[0]
    probs[300:320] = 1 / CLASSES

    early = choose(embeddings, 8, probs, np.arange(10))
    late = choose(embeddings, 8, probs, np.arange(60))

    assert early.strategy == "typical"
    assert late.strategy == "auto"
    assert ((late.rows >= 300) & (late.rows < 320)).all()


@pytest.mark.parametrize("strategy", BY_CLASS)
def test_target_classes_come_first(strategy: str) -> None:
    embeddings, _ = blobs()
    probs = np.full((400, CLASSES), 1 / 3 - 0.005)
    probs[:, 3] = 0.015
    probs[100:140] = [0.1, 0.1, 0.1, 0.7]

    rows = select(embeddings, 10, probs, np.arange(60), strategy, target_classes=[3])

    assert ((rows >= 100) & (rows < 140)).mean() >= 0.5


def test_several_labels_are_told_by_rows_that_do_not_sum_to_one() -> None:
    embeddings = np.eye(3, dtype=np.float32)
    probs = np.array([[0.99, 0.98, 0.01], [0.5, 0.9, 0.9], [0.01, 0.02, 0.01]])

    chosen = choose(embeddings, 3, probs, strategy="entropy", classes=["cat", "dog", "owl"])

    assert chosen.rows[0] == 1
    assert chosen.reason[0] == "least sure about cat (0.50)"


def test_margin_of_several_labels_is_that_of_the_two_likeliest_sets() -> None:
    embeddings = np.eye(2, dtype=np.float32)
    probs = np.array([[0.9, 0.8], [0.6, 0.99]])

    chosen = choose(embeddings, 2, probs, strategy="margin", several=True)

    sets = [0.9 * 0.8 - 0.9 * 0.2, 0.6 * 0.99 - 0.4 * 0.99]
    assert chosen.rows.tolist() == [1, 0]
    np.testing.assert_allclose(chosen.score, [1 - sets[1], 1 - sets[0]], atol=1e-3)


def test_rows_without_a_prediction_are_left_out_and_counted() -> None:
    embeddings, _ = blobs()
    probs = probabilities()
    probs[:100] = np.nan

    chosen = choose(embeddings, 20, probs, strategy="margin")

    assert chosen.rows.min() >= 100
    assert chosen.without_prediction == 100


def test_each_chosen_row_has_a_score_and_a_reason() -> None:
    embeddings, _ = blobs()

    for strategy in STRATEGIES:
        chosen = choose(embeddings, 6, probabilities(), np.arange(50), strategy)

        assert np.isfinite(chosen.score).all()
        assert all(chosen.reason), strategy


def test_a_long_list_is_shortened_without_losing_the_most_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.plugin.curation.selection._FEWEST", 50)
    monkeypatch.setattr("winnow.plugin.curation.selection._MOST", 50)
    embeddings, _ = blobs()
    probs = probabilities()

    rows = select(embeddings, 10, probs, strategy="margin")

    two = np.sort(probs, axis=1)[:, -2:]
    assert set(rows.tolist()) <= set(np.argsort(two[:, 1] - two[:, 0])[:20].tolist())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_rows_are_all_chosen(count: int) -> None:
    embeddings = np.eye(3, dtype=np.float32)[:count]

    for strategy in ("auto", "typical", "k_center", "cover", "random"):
        assert sorted(select(embeddings, 5, strategy=strategy)) == list(range(count))


def test_of_equal_rows_one_is_chosen() -> None:
    embeddings = np.ones((30, 5), np.float32)

    for strategy in ("auto", "typical", "k_center", "cover", "random"):
        assert len(select(embeddings, 5, strategy=strategy)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "best"}, "strategy must be one of auto, random"),
        ({"strategy": "margin"}, "'margin' needs pred_probs"),
        ({"pred_probs": np.ones((3, 2))}, r"shape \(4, k\)"),
        ({"pred_probs": np.full((4, 2), 3.0)}, "softmax of logits"),
        ({"labeled": [4]}, "labeled must name rows from 0 to 3, got 4"),
        ({"groups": np.zeros(3)}, r"groups must have shape \(4,\)"),
        ({"target_classes": [0]}, "target_classes needs pred_probs"),
        ({"pred_probs": np.full((4, 2), 0.5), "target_classes": [2]}, "classes from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_told(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(np.eye(4, dtype=np.float32), 2, **arguments)
