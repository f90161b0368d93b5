from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from winnow.plugin.curation.label_evidence import VoteEvidence, nearest_images, vote_step
from winnow.plugin.curation.label_issues import LabelIssues, best_cut, find_label_issues
from winnow.plugin.curation.neighbors import NeighborIndex
from winnow.plugin.curation.vote_space import VoteSpace
from winnow.plugin.errors import DataError

N, K = 400, 4


def blobs(n: int = N, n_classes: int = K, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, 16) that a line can tell apart by class, and the true classes (n,)."""
    rng = np.random.default_rng(seed)
    true = np.arange(n) % n_classes
    return 4 * rng.normal(size=(n_classes, 16))[true] + rng.normal(size=(n, 16)), true


def flipped(true: np.ndarray, share: float = 0.05, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is wrong, and which are (n,) bool."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(true), bool)
    wrong[rng.choice(len(true), round(share * len(true)), replace=False)] = True
    return np.where(wrong, (true + rng.integers(1, K, len(true))) % K, true), wrong


def likely(true: np.ndarray, n_classes: int = K, seed: int = 2) -> np.ndarray:
    """Return (n, k) probabilities of a model that is mostly sure and mostly right."""
    scores = np.random.default_rng(seed).normal(size=(len(true), n_classes))
    scores[np.arange(len(true)), true] += 5
    return softmax(scores, axis=1)


def evidence_of(kind: str) -> dict[str, np.ndarray]:
    embeddings, true = blobs()
    return {
        "embeddings": {"embeddings": embeddings},
        "probabilities": {"pred_probs": likely(true)},
        "both": {"embeddings": embeddings, "pred_probs": likely(true)},
    }[kind]


KINDS = pytest.mark.parametrize("kind", ["embeddings", "probabilities", "both"])


@KINDS
def test_planted_wrong_labels_are_flagged(kind: str) -> None:
    labels, wrong = flipped(blobs()[1])

    found = find_label_issues(labels, **evidence_of(kind))

    assert found.is_issue[wrong].mean() >= 0.9
    assert wrong[found.is_issue].mean() >= 0.9


@KINDS
def test_suggested_class_of_a_wrong_label_is_the_true_one(kind: str) -> None:
    true = blobs()[1]
    labels, wrong = flipped(true)

    found = find_label_issues(labels, **evidence_of(kind))

    assert (found.suggested[wrong] == true[wrong]).mean() >= 0.95


@KINDS
def test_hardly_any_clean_label_is_flagged(kind: str) -> None:
    _, true = blobs()

    found = find_label_issues(true, **evidence_of(kind))

    assert found.is_issue.sum() <= 2


@KINDS
def test_the_same_input_gives_the_same_result(kind: str) -> None:
    labels, _ = flipped(blobs()[1])

    first, second = (find_label_issues(labels, **evidence_of(kind), seed=3) for _ in range(2))

    assert np.array_equal(first.quality, second.quality)
    assert np.array_equal(first.is_issue, second.is_issue)
    assert np.array_equal(first.suggested, second.suggested)


def test_expected_numbers_are_close_to_the_planted_ones() -> None:
    embeddings, true = blobs()
    labels, wrong = flipped(true, share=0.1)

    found = find_label_issues(labels, embeddings=embeddings)

    assert found.estimated == pytest.approx(wrong.sum(), abs=8)
    assert found.expected_precision > 0.9


def test_quality_is_a_rounded_probability() -> None:
    labels, _ = flipped(blobs()[1])

    found = find_label_issues(labels, **evidence_of("embeddings"))

    assert found.quality.dtype == np.float32
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    np.testing.assert_allclose(found.quality, np.round(found.quality, 4), atol=1e-7)


def test_an_issues_suggestion_is_never_the_given_class() -> None:
    labels, _ = flipped(blobs()[1], share=0.3)

    found = find_label_issues(labels, **evidence_of("embeddings"))

    assert found.is_issue.any()
    assert (found.suggested != labels)[found.is_issue].all()


@KINDS
def test_an_unlabelled_image_is_not_judged(kind: str) -> None:
    labels, _ = flipped(blobs()[1])
    labels[::7] = -1

    found = find_label_issues(labels, **evidence_of(kind))

    unlabelled = labels < 0
    assert np.isnan(found.quality[unlabelled]).all()
    assert not found.is_issue[unlabelled].any()
    assert (found.suggested[unlabelled] == -1).all()
    assert not np.isnan(found.quality[~unlabelled]).any()


def test_unlabelled_images_do_not_change_the_judgement_of_the_others() -> None:
    embeddings, true = blobs()
    labels, _ = flipped(true)
    keep = np.arange(N) % 3 > 0

    among = find_label_issues(np.where(keep, labels, -1), embeddings=embeddings)
    alone = find_label_issues(labels[keep], embeddings=embeddings[keep])

    assert np.array_equal(among.quality[keep], alone.quality)
    assert np.array_equal(among.is_issue[keep], alone.is_issue)


@KINDS
def test_an_image_that_is_alone_in_its_class_is_not_judged(kind: str) -> None:
    _, true = blobs()
    labels = np.where(true == K - 1, 0, true)
    labels[0] = K - 1

    found = find_label_issues(labels, **evidence_of(kind))

    assert np.isnan(found.quality[0])
    assert not found.is_issue[0]
    assert found.suggested[0] == -1


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other() -> None:
    embeddings, true = blobs()
    labels, groups = true.copy(), np.full(N, -1)
    copies = np.arange(0, 8 * K, K)  # eight images of one class
    embeddings[copies], labels[copies], groups[copies] = embeddings[0], 1, 0

    grouped = find_label_issues(labels, embeddings=embeddings, groups=groups)
    alone = find_label_issues(labels, embeddings=embeddings)

    assert grouped.is_issue[copies].all()
    assert (grouped.quality[copies] < alone.quality[copies]).all()


@pytest.mark.parametrize("n", [0, 5])
def test_without_any_label_nothing_is_judged(n: int) -> None:
    found = find_label_issues(np.full(n, -1), embeddings=np.ones((n, 3)))

    assert np.isnan(found.quality).all()
    assert not found.is_issue.any()
    assert len(found.suggested) == n


def test_neither_kind_of_evidence_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"give pred_probs \(n, k\), embeddings \(n, d\), or both"):
        find_label_issues(np.array([0, 1]))


@pytest.mark.parametrize(
    ("labels", "evidence", "message"),
    [
        (np.zeros((2, 2, 2)), {"embeddings": np.ones((2, 3))}, r"labels must have shape .* got \(2, 2, 2\)"),
        (np.array([0, 1]), {"embeddings": np.ones((3, 3))}, r"embeddings must have shape \(2, ...\).* got \(3, 3\)"),
        (np.array([0, 1]), {"embeddings": np.ones(2)}, r"embeddings must have shape \(2, ...\).* got \(2,\)"),
        (np.array([0, 1]), {"pred_probs": np.ones((1, 2))}, r"pred_probs must have shape \(2, ...\).* got \(1, 2\)"),
        (np.array([0, 1]), {"pred_probs": np.full((2, 2), np.nan)}, "pred_probs holds NaN or infinity"),
        (np.array([0, 1]), {"embeddings": np.full((2, 2), np.inf)}, "embeddings holds NaN or infinity"),
        (np.array([0, 1]), {"pred_probs": np.array([[3.0, -1], [0, 1]])}, "probabilities, not logits"),
        (np.array([0, 2]), {"pred_probs": np.full((2, 2), 0.5)}, "labels go up to 2, but pred_probs has only 2"),
        (np.zeros((2, 3)), {"pred_probs": np.full((2, 2), 0.5)}, r"pred_probs must have shape \(2, 3\).* got \(2, 2\)"),
        (np.array([[0.0, 2.0]]), {"pred_probs": np.full((1, 2), 0.5)}, "must be 0, 1 or NaN"),
        (
            np.array([0, 1]),
            {"embeddings": np.ones((2, 3)), "thumbnails": np.zeros((2, 28, 28), np.uint8)},
            r"thumbnails must have shape \(2, 32, 32\), got \(2, 28, 28\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(labels: np.ndarray, evidence: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_label_issues(labels, **evidence)


@pytest.mark.parametrize("label", [0, 1])
def test_embeddings_alone_with_one_class_are_an_error(label: int) -> None:
    with pytest.raises(DataError, match="same class"):
        find_label_issues(np.full(20, label), embeddings=np.ones((20, 3)))


def test_probabilities_serve_where_there_are_too_few_labels_for_a_probe() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])

    found = find_label_issues(labels, likely(labels, 2), np.ones((6, 3)))

    assert np.isfinite(found.quality).all()


# Multi-label: three classes, each present in about half of the images, independent of each other.


def multilabel_blobs() -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (N, 12), in which each class has four dimensions of its own, and labels (N, 3) in {0, 1}."""
    rng = np.random.default_rng(0)
    present = rng.integers(0, 2, (N, 3))
    return 3 * np.repeat(present, 4, axis=1) + rng.normal(size=(N, 12)), present.astype(float)


def multilabel_issues(kind: str) -> tuple[LabelIssues, np.ndarray, np.ndarray]:
    """Return the findings, the labels with some wrong and some not annotated, and which are wrong (N, 3)."""
    embeddings, labels = multilabel_blobs()
    rng = np.random.default_rng(1)
    wrong, absent = rng.random((N, 3)) < 0.05, rng.random((N, 3)) < 0.2
    probabilities = expit(4 * (2 * labels - 1) + rng.normal(size=labels.shape))
    labels = np.where(wrong, 1 - labels, labels)
    labels[absent] = np.nan
    evidence = {"embeddings": {"embeddings": embeddings}, "probabilities": {"pred_probs": probabilities}}[kind]
    return find_label_issues(labels, **evidence), labels, wrong & ~absent


@pytest.mark.parametrize("kind", ["embeddings", "probabilities"])
def test_multilabel_wrong_labels_are_flagged_class_by_class(kind: str) -> None:
    found, labels, wrong = multilabel_issues(kind)

    assert found.quality.shape == found.is_issue.shape == found.suggested.shape == labels.shape
    assert found.is_issue[wrong].mean() >= 0.9
    assert wrong[found.is_issue].mean() >= 0.9
    assert found.estimated == pytest.approx(wrong.sum(), rel=0.25)
    assert (found.suggested[wrong & found.is_issue] == 1 - labels[wrong & found.is_issue]).all()


def test_multilabel_what_is_not_annotated_is_not_judged() -> None:
    found, labels, _ = multilabel_issues("embeddings")

    absent = np.isnan(labels)
    assert np.isnan(found.quality[absent]).all()
    assert not found.is_issue[absent].any()
    assert set(found.suggested[~absent]) == {0, 1}


def test_multilabel_a_class_that_is_hardly_annotated_does_not_stop_the_others() -> None:
    embeddings, labels = multilabel_blobs()
    labels[6:, 1] = np.nan
    labels[:, 2] = 0

    found = find_label_issues(labels, embeddings=embeddings)

    assert np.isfinite(found.quality[:, 0]).all()
    assert np.isnan(found.quality[:, 1:]).all()


def pictures(above: np.ndarray, seed: int = 3) -> np.ndarray:
    """Return (n, 32, 32) uint8: something bright in the upper half where `above` (n,), else in the lower one."""
    rng = np.random.default_rng(seed)
    light = rng.integers(20, 200, (len(above), 1, 1))  # each image has its own brightness
    drawn = light + rng.integers(-15, 15, (len(above), 32, 32))
    drawn[np.arange(len(above))[:, None], np.arange(16) + np.where(above, 0, 16)[:, None]] += 40
    return drawn.astype(np.uint8)


def test_layout_tells_classes_apart_that_look_alike_to_the_network() -> None:
    true = np.arange(N) % 2
    embeddings = np.random.default_rng(0).normal(size=(N, 16)) + 1  # the same for both classes
    labels, wrong = np.array(true), np.zeros(N, bool)
    wrong[::20] = True
    labels[wrong] = 1 - labels[wrong]

    alone = find_label_issues(labels, embeddings=embeddings)
    found = find_label_issues(labels, embeddings=embeddings, thumbnails=pictures(true == 0))

    most_suspicious = np.argsort(found.quality)[: wrong.sum()]
    assert wrong[most_suspicious].mean() >= 0.9
    assert wrong[np.argsort(alone.quality)[: wrong.sum()]].mean() < 0.3
    assert found.is_issue[wrong].mean() >= 0.8


def test_layout_does_not_depend_on_brightness_and_contrast() -> None:
    above = np.random.default_rng(0).random(50) < 0.5
    embeddings, drawn = np.random.default_rng(1).normal(size=(50, 16)), pictures(above) // 4
    brighter = 3 * drawn + np.uint8(40)

    rows, others = (VoteSpace(*images).rows(weight=1.0) for images in ((embeddings, drawn), (3 * embeddings, brighter)))

    np.testing.assert_allclose(rows @ rows.T, others @ others.T, atol=1e-3)


def test_layout_that_foretells_no_label_does_not_count_in_full() -> None:
    embeddings, true = blobs()
    embeddings += 5 * np.random.default_rng(1).normal(size=embeddings.shape)
    labels, _ = flipped(true)
    by_chance = pictures(np.random.default_rng(0).random(N) < 0.5)

    def share_of_own_class(rows: np.ndarray) -> float:
        return float((true[rows] == true[:, None]).mean())

    found = share_of_own_class(nearest_images(embeddings, thumbnails=by_chance, labels=labels).rows)

    in_full = share_of_own_class(NeighborIndex(VoteSpace(embeddings, by_chance).rows(weight=1.0)).search_itself(30)[1])
    assert found > in_full + 0.03


@pytest.mark.parametrize("count", [1, 3, 40, 300])  # fewer images than numbers of one, and more
def test_rows_of_the_vote_space_have_length_1_and_do_not_depend_on_which_are_asked_for(count: int) -> None:
    rng = np.random.default_rng(0)
    space = VoteSpace(rng.normal(size=(count, 16)), rng.integers(0, 256, (count, 32, 32)).astype(np.uint8))

    rows, some = space.rows(0.35), space.rows(0.35, np.arange(0, count, 2))

    if count > 1:  # one image is its own mean
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(some, rows[::2], atol=1e-6)


def test_thumbnails_are_those_of_the_labelled_images() -> None:
    embeddings, true = blobs()
    labels, _ = flipped(true)
    thumbnails = pictures(true % 2 == 0)
    some = np.arange(N) % 7 != 0
    few = find_label_issues(labels[some], embeddings=embeddings[some], thumbnails=thumbnails[some])

    found = find_label_issues(np.where(some, labels, -1), embeddings=embeddings, thumbnails=thumbnails)

    assert np.array_equal(found.quality[some], few.quality)


def test_votes_are_those_of_a_plain_double_loop() -> None:
    embeddings, labels = blobs(n=80)
    groups = np.where(np.arange(80) < 12, np.arange(80) % 4, -1)

    votes = np.exp(VoteEvidence(nearest_images(embeddings, groups), labels, K)(np.arange(80)))

    white = VoteSpace(embeddings).rows().astype(np.float64)
    expected = np.zeros((80, K))
    for row in range(80):
        others = [other for other in range(80) if other != row and (groups[row] < 0 or groups[other] != groups[row])]
        for other in sorted(others, key=lambda other: -white[row] @ white[other])[:30]:
            expected[row, labels[other]] += np.exp(white[row] @ white[other] / 0.1)
    leading = expected.argmax(axis=1)
    assert votes.argmax(axis=1).tolist() == leading.tolist()
    np.testing.assert_allclose(votes.sum(axis=1), 1)
    ratio = votes / expected.sum(axis=1, keepdims=True) / (expected / expected.sum(axis=1, keepdims=True) ** 2 + 1e-300)
    assert ratio[np.arange(80), leading] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_cut_is_where_the_expected_f_measure_is_largest(beta: float) -> None:
    wrong = np.random.default_rng(0).beta(0.3, 2, 60)

    cut = best_cut(wrong, beta)

    expected = {
        threshold: (1 + beta**2)
        * wrong[wrong >= threshold].sum()
        / ((wrong >= threshold).sum() + beta**2 * wrong.sum())
        for threshold in wrong
    }
    assert cut == max(expected, key=expected.__getitem__)


@pytest.mark.parametrize("wrong", [[], [0.0, 0.0]])
def test_nothing_is_cut_where_nothing_can_be_wrong(wrong: list[float]) -> None:
    assert best_cut(np.array(wrong)) == float("inf")


@pytest.mark.parametrize("noise", ["pairs", "uniform"])
def test_noise_of_pairs_is_cut_with_doubt_and_uniform_noise_as_it_is(noise: str) -> None:
    true = np.arange(4_000) % K
    wrong = np.random.default_rng(1).random(len(true)) < 0.2
    shift = 1 if noise == "pairs" else np.random.default_rng(2).integers(1, K, len(true))
    labels = np.where(wrong, (true + shift) % K, true)
    unsure = softmax(np.random.default_rng(0).normal(size=(len(true), K)) + 2.5 * np.eye(K)[true], axis=1)

    found = find_label_issues(labels, unsure)

    certainty = float(1 - found.quality[found.is_issue].mean())
    assert found.noise == noise
    if noise == "pairs":
        assert found.expected_precision < certainty - 0.003
    else:
        assert found.expected_precision == pytest.approx(certainty, abs=1e-4)


def test_each_sensitivity_flags_all_that_the_one_before_it_flags() -> None:
    labels, _ = flipped(blobs()[1], share=0.2)
    unsure = softmax(np.random.default_rng(0).normal(size=(N, K)) + 2.5 * np.eye(K)[blobs()[1]], axis=1)

    conservative, default, thorough = (
        find_label_issues(labels, unsure, sensitivity=name) for name in ("conservative", "default", "thorough")
    )

    assert conservative.is_issue.sum() < default.is_issue.sum() < thorough.is_issue.sum()
    assert default.is_issue[conservative.is_issue].all()
    assert thorough.is_issue[default.is_issue].all()
    assert [cut.flagged for cut in default.cuts] == [
        int(found.is_issue.sum()) for found in (conservative, default, thorough)
    ]


def test_a_confirmed_label_is_right_whatever_the_evidence_says() -> None:
    labels, wrong = flipped(blobs()[1])
    confirmed = np.zeros(N, bool)
    confirmed[np.flatnonzero(wrong)[:5]] = True

    found = find_label_issues(labels, likely(blobs()[1]), confirmed=confirmed)

    assert not found.is_issue[confirmed].any()
    assert (found.quality[confirmed] == 1).all()
    assert (found.suggested[confirmed] == labels[confirmed]).all()
    assert found.is_issue[wrong & ~confirmed].mean() > 0.5


def test_counts_by_given_and_true_class_add_up_to_the_labels() -> None:
    labels, wrong = flipped(blobs()[1], share=0.2)

    found = find_label_issues(labels, likely(blobs()[1]))

    np.testing.assert_allclose(found.joint.sum(axis=1), np.bincount(labels, minlength=K))
    assert found.joint.sum() - np.trace(found.joint) == pytest.approx(found.estimated, abs=0.1)
    assert found.interval[0] <= wrong.sum() <= found.interval[1]


def test_second_suggestion_is_neither_the_first_nor_for_an_issue_the_given_class() -> None:
    labels, _ = flipped(blobs()[1], share=0.2)

    found = find_label_issues(labels, likely(blobs()[1]))

    assert found.is_issue.any()
    assert (found.second != found.suggested).all()
    assert (found.second != labels)[found.is_issue].all()


def test_disagreement_that_the_evidence_explains_is_told_as_uncertain() -> None:
    rng = np.random.default_rng(0)
    probabilities = softmax(3 * rng.normal(size=(4000, K)), axis=1)
    labels = np.array([rng.choice(K, p=row) for row in probabilities])  # calibrated: nothing tells noise from doubt

    found = find_label_issues(labels, probabilities)

    disagree = probabilities.argmax(axis=1) != labels
    assert found.noise == "none"
    assert found.interval[0] == 0
    assert found.quality.min() >= 0.5
    assert found.is_issue[disagree].mean() > 0.98
    assert found.is_issue[~disagree].mean() < 0.02
    assert not find_label_issues(labels, probabilities, sensitivity="conservative").is_issue.any()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sensitivity": "high"}, "sensitivity must be one of conservative, default, thorough, got 'high'"),
        ({"confirmed": np.ones(3, bool)}, r"confirmed must have shape \(n,\) like single-label labels, got \(3,\)"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_label_issues(np.array([0, 1]), np.full((2, 2), 0.5), **more)


def votes_of(likely: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, k) shares of votes, drawn with the probabilities `likely` (n, k)."""
    return np.stack([rng.multinomial(count, row / row.sum()) for row in likely]) / count


def test_labels_that_a_few_neighbours_do_not_share_are_no_sign_of_noise() -> None:
    rng = np.random.default_rng(0)
    likely = rng.dirichlet(np.full(10, 0.08), 3_000)
    labels = (likely.cumsum(axis=1) > rng.random((3_000, 1))).argmax(axis=1)

    found = find_label_issues(labels, votes_of(likely, 20, rng))

    assert found.noise == "none"  # 20 votes leave out what is true in one image of thirty
    assert not find_label_issues(labels, votes_of(likely, 20, rng), sensitivity="conservative").is_issue.any()


@pytest.mark.parametrize("count", [5, 20, 50])
@pytest.mark.parametrize("floor", [0.0, 1e-3])
def test_the_step_of_votes_is_found(count: int, floor: float) -> None:
    rng = np.random.default_rng(0)
    votes = np.maximum(votes_of(rng.dirichlet(np.full(10, 0.3), 2_000), count, rng), floor)

    assert vote_step(votes / votes.sum(axis=1, keepdims=True)) == pytest.approx(1 / count, rel=0.1)


@pytest.mark.parametrize("rows", [3, 50, 3_000])
@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_probabilities_of_a_network_have_no_step(rows: int, spread: float) -> None:
    likely = np.random.default_rng(0).dirichlet(np.full(10, spread), rows)

    assert [vote_step(likely.astype(kind)) for kind in (np.float64, np.float32, np.float16)] == [0, 0, 0]
