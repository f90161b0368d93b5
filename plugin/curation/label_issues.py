"""Wrong labels: out-of-sample evidence of the true class, a noisy channel that explains the labels, and a cut.

Evidence about each image (a probe's out-of-fold word and the labels of its neighbours, the caller's own out-of-sample
probabilities, or all of these) is held against its label by a channel fitted to both (`noise_channel`). What follows
for each label is the probability that it is wrong. The cut is where the expected F-measure of the flagged set is
largest (Lipton et al. 2014, arXiv:1402.1892): F1 by default, F0.5 where only the surest are wanted, F2 where none is to
be missed.

Where the labels show no noise but what the evidence's own errors explain as well, nothing can be certain: each label
that disagrees with its evidence is then at most as likely wrong as right, and the expected number reaches down to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..progress import Progress, silent
from .alignment import SIDE
from .label_evidence import (
    NEIGHBORS,
    GivenEvidence,
    LabelEvidence,
    Nearest,
    ProbeEvidence,
    VoteEvidence,
    nearest_images,
)
from .nearest_rows import MakeNearest
from .noise_channel import Kind, NoiseChannel, calibrate, fit_noise_channel, rows_to_fit, scaled
from .probe import LEAST_LABELS, fit_probe

Sensitivity = Literal["conservative", "default", "thorough"]
# How much more recall counts than precision in the F-measure that the cut is made for.
BETA: dict[Sensitivity, float] = {"conservative": 0.5, "default": 1.0, "thorough": 2.0}

_LEAST_CLASS = 3
_BLOCK_NUMBERS = 20_000_000  # rows times classes that are judged at a time
# Deviation of the logarithm of the estimated number around the true one, about that of the simulations in
# docs/benchmarks.md; chance in the labels themselves comes on top.
_LOG_DEVIATION: dict[Kind, float] = {"uniform": 0.2, "pairs": 0.45}
_Z90 = 1.645
# Rates of pairs are fitted as if errors fell on all images of a class alike. People's fall on the hard ones: on
# CIFAR-10N four in five labels that are called wrong with 98 % certainty are, and one in fourteen of those with 2 %.
# So the cut is made with odds drawn together by this power, which costs pairs made by chance a hundredth of their F1,
# and gains as much or twice on people's.
_DOUBT = 0.8


@dataclass(frozen=True)
class Cut:
    """One way to cut.

    Attributes:
        sensitivity: "conservative", "default" or "thorough".
        flagged: Number of labels that it flags.
        expected_precision: Expected share of wrong labels among them; NaN where none is flagged.
    """

    sensitivity: Sensitivity
    flagged: int
    expected_precision: float


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Which of n labels are probably wrong. For multi-label data each array is (n, k), one column a class.

    Attributes:
        quality: (n,) float32 in [0, 1], rounded to 1e-4: probability that the label is right. NaN where there is no
            label, or where its class is too small (fewer than 3 images) to be judged.
        is_issue: (n,) bool. In the automatic cut.
        suggested: (n,) int64. The likeliest class; for an issue never the given one. -1 where nothing is known.
        confidence: (n,) float32 in [0, 1]. Probability of the suggested class.
        second: (n,) int64. The likeliest class but for the suggested one, and for an issue but for the given one, where
            there are three classes; -1 where nothing is known.
        estimated: Expected number of wrong labels, flagged or not.
        interval: 90 % interval of that number.
        expected_precision: Expected share of wrong labels among the flagged; NaN where none is flagged.
        noise: "uniform" or "pairs" where noise is certain, see `NoiseChannel`; "none" where the evidence's own errors
            explain all disagreement as well, so that `estimated` is no more than the middle of what is possible.
        joint: (k, k) float64. Expected number of judged labels by given class (row) and true class (column), certain
            noise only: diagonal where there is none. (0, 0) for multi-label data.
        cuts: The three ways to cut, from conservative to thorough.
    """

    quality: np.ndarray
    is_issue: np.ndarray
    suggested: np.ndarray
    confidence: np.ndarray
    second: np.ndarray
    estimated: float
    interval: tuple[float, float]
    expected_precision: float
    noise: Kind = "none"
    joint: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    cuts: tuple[Cut, ...] = ()


def find_label_issues(
    labels: np.ndarray,
    pred_probs: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    *,
    thumbnails: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    confirmed: np.ndarray | None = None,
    sensitivity: Sensitivity = "default",
    seed: int = 0,
    nearest_of: Callable[[np.ndarray], MakeNearest] | None = None,
    progress: Progress = silent,
) -> LabelIssues:
    """Find probably wrong labels.

    Args:
        labels: (n,) int, -1 = no label. Multi-label: (n, k) in {0, 1, NaN}, NaN = not annotated (not: absent).
        pred_probs: (n, k) float, out-of-sample probabilities. Multi-label: independent per class.
        embeddings: (n, d) float. From these, out-of-fold evidence is made here.
        thumbnails: (n, 32, 32) uint8, grey. Neighbours are looked for by these too, see `vote_space`.
        groups: (n,) int. Duplicates of each other share a number >= 0: none is judged with the help of another.
        confirmed: (n,) bool. Labels that a person confirmed: never flagged, of quality 1, and learned from.
        sensitivity: Where to cut: "conservative" (few false flags), "default", "thorough" (few wrong labels missed).
        seed: Of the folds.
        nearest_of: From (m,) int row numbers, those of the images that have a label, to what knows the neighbours of
            their embeddings; None = they are compared here, as those of multi-label data always are.
        progress: Told while the evidence is made.

    Raises:
        ValueError: Neither kind of evidence, or shapes or values that do not fit.
        DataError: Embeddings alone, and all labels of one class, or hardly any labels.
    """
    labels = np.asarray(labels)
    _check(labels, pred_probs, embeddings, thumbnails, confirmed, sensitivity)
    if labels.ndim == 2:
        return _multilabel(labels, pred_probs, embeddings, thumbnails, groups, sensitivity, seed, progress)
    return _single_label(
        labels, pred_probs, embeddings, thumbnails, groups, confirmed, sensitivity, seed, nearest_of, progress
    )


def _single_label(
    labels: np.ndarray,
    pred_probs: np.ndarray | None,
    embeddings: np.ndarray | None,
    thumbnails: np.ndarray | None,
    groups: np.ndarray | None,
    confirmed: np.ndarray | None,
    sensitivity: Sensitivity,
    seed: int,
    nearest_of: Callable[[np.ndarray], MakeNearest] | None,
    progress: Progress,
) -> LabelIssues:
    rows = np.flatnonzero(labels >= 0)
    given = labels[rows].astype(np.int64)
    n_classes = max(2, int(given.max(initial=-1)) + 1) if pred_probs is None else pred_probs.shape[1]
    if len(rows) == 0 or n_classes < 2:
        return _nothing((len(labels),))
    every = len(rows) == len(labels)  # then nothing needs to be copied
    evidence: list[LabelEvidence] = []
    enough = len(rows) >= LEAST_LABELS and len(np.unique(given)) >= 2
    if embeddings is not None and (enough or pred_probs is None):
        own_groups = None if groups is None else np.asarray(groups)[rows]
        vectors = embeddings if every else embeddings[rows]
        probe = fit_probe(vectors, given, n_classes, groups=own_groups, seed=seed, progress=progress)
        make_nearest = None if nearest_of is None else nearest_of(rows)
        pictures = thumbnails if every or thumbnails is None else thumbnails[rows]
        nearest = nearest_images(
            vectors,
            own_groups,
            thumbnails=pictures,
            labels=given,
            seed=seed,
            make_nearest=make_nearest,
            progress=progress,
        )
        evidence += [ProbeEvidence(probe, vectors), VoteEvidence(nearest, given, n_classes)]
    if pred_probs is not None:
        evidence.append(GivenEvidence(pred_probs if every else pred_probs[rows]))
    known = np.zeros(len(rows), bool) if confirmed is None else np.asarray(confirmed, bool)[rows]
    some = rows_to_fit(len(rows), n_classes, seed)
    channel = fit_noise_channel([scores(some) for scores in evidence], given[some], known[some])
    judged = np.bincount(given, minlength=n_classes)[given] >= _LEAST_CLASS
    return _judge((len(labels),), rows, given, judged, known, evidence, channel, sensitivity)


def _judge(
    shape: tuple[int, ...],
    rows: np.ndarray,
    given: np.ndarray,
    judged: np.ndarray,
    known: np.ndarray,
    evidence: list[LabelEvidence],
    channel: NoiseChannel,
    sensitivity: Sensitivity,
) -> LabelIssues:
    """Turn the fitted channel into quality, cut and suggestions.

    Args:
        shape: Of the labels.
        rows: (m,) int. Those that are there, as numbers in the flattened array.
        given: (m,) int in [0, k). What they say.
        judged: (m,) bool. There are enough of their class.
        known: (m,) bool. A person confirmed them.
        evidence: By numbers in [0, m).
        channel: Fitted to evidence and labels.
        sensitivity: Where to cut.
    """
    n_classes = len(channel.matrix)
    wrong, best = np.zeros(len(rows)), np.zeros((len(rows), 3), np.int64)
    likely = np.zeros((len(rows), 3))
    joint = np.zeros((n_classes, n_classes))
    size = max(1, _BLOCK_NUMBERS // n_classes)
    for start in range(0, len(rows), size):
        part = np.arange(start, min(start + size, len(rows)))
        own = np.arange(len(part))
        posterior = channel.true_class([scores(part) for scores in evidence], given[part])
        posterior[known[part]] = 0
        posterior[own[known[part]], given[part][known[part]]] = 1
        wrong[part] = np.round(1 - posterior[own, given[part]], 4)
        np.add.at(joint, given[part][judged[part]], posterior[judged[part]])
        for rank in range(min(3, n_classes)):
            best[part, rank] = posterior.argmax(axis=1)
            likely[part, rank] = posterior[own, best[part, rank]]
            posterior[own, best[part, rank]] = -1
    if channel.kind == "none":
        joint = np.diag(joint.sum(axis=1))
    eligible = judged & ~known
    doubted = _doubted(wrong) if channel.kind == "pairs" and n_classes > 2 else wrong
    flags = {name: eligible & (doubted >= best_cut(doubted[judged], beta)) for name, beta in BETA.items()}
    flags["conservative"] &= wrong > 0.5  # where nothing is certain, it flags nothing
    flagged = flags[sensitivity]
    # For an issue the first class that is not the given one, and the one after it.
    first = np.where(flagged & (best[:, 0] == given), 1, 0)
    second = np.where(flagged & (best[:, 1] == given), 2, np.where(first == 1, 0, 1))
    own = np.arange(len(rows))
    result = _nothing(shape)
    for array, values in (
        (result.quality, np.where(judged, 1 - wrong, np.nan)),
        (result.is_issue, flagged),
        (result.suggested, np.where(judged, best[own, first], -1)),
        (result.second, np.where(judged, best[own, second], -1) if n_classes > 2 else -1),
        (result.confidence, np.where(judged, np.round(likely[own, first], 4), 0)),
    ):
        array.reshape(-1)[rows] = values
    return LabelIssues(
        result.quality,
        result.is_issue,
        result.suggested,
        result.confidence,
        result.second,
        estimated=float(wrong[judged].sum()),
        interval=_interval(wrong[judged], channel.kind),
        expected_precision=_mean(doubted[flagged]),
        noise=channel.kind,
        joint=joint,
        cuts=tuple(Cut(name, int(found.sum()), _mean(doubted[found])) for name, found in flags.items()),
    )


def _doubted(wrong: np.ndarray) -> np.ndarray:
    """Return (n,) probabilities with odds drawn together; 0 and 1, which people decided, stay."""
    against, in_favour = (1 - wrong) ** _DOUBT, wrong**_DOUBT
    return in_favour / (in_favour + against)


def best_cut(wrong: np.ndarray, beta: float = 1.0) -> float:
    """Return the smallest probability to flag so that the expected F-measure is largest; infinity where none is.

    Args:
        wrong: (n,) probabilities that a label is wrong.
        beta: How much more recall counts than precision.
    """
    descending = np.sort(wrong)[::-1]
    found = np.cumsum(descending)
    if not len(found) or found[-1] <= 0:
        return float("inf")
    expected = (1 + beta**2) * found / (np.arange(1, len(found) + 1) + beta**2 * found[-1])
    return float(descending[int(expected.argmax())])


def _interval(wrong: np.ndarray, noise: Kind) -> tuple[float, float]:
    """Return the 90 % interval of the number of wrong labels."""
    estimated = float(wrong.sum())
    chance = float((wrong * (1 - wrong)).sum()) ** 0.5
    if noise == "none":
        return 0.0, float((wrong > 0).sum())
    spread = _Z90 * ((chance / max(estimated, 1e-9)) ** 2 + _LOG_DEVIATION[noise] ** 2) ** 0.5
    return estimated * float(np.exp(-spread)), min(estimated * float(np.exp(spread)), float(len(wrong)))


def _mean(wrong: np.ndarray) -> float:
    return float(wrong.mean()) if len(wrong) else float("nan")


def _multilabel(
    labels: np.ndarray,
    pred_probs: np.ndarray | None,
    embeddings: np.ndarray | None,
    thumbnails: np.ndarray | None,
    groups: np.ndarray | None,
    sensitivity: Sensitivity,
    seed: int,
    progress: Progress,
) -> LabelIssues:
    """Judge "is this class in this image?" for all images and classes at once.

    Each class has evidence of its own. How often a class that is there is not named, and how often one is named that is
    not there, is taken to be the same for all classes: that takes many more wrong labels to tell than one class has.
    """
    shape = labels.shape
    present = np.where(np.isnan(labels.astype(float)), -1, labels).astype(np.int64)
    nearest = None
    if embeddings is not None:
        spare = NEIGHBORS if (present < 0).any() else 0
        nearest = nearest_images(
            embeddings, groups, thumbnails=thumbnails, labels=present, spare=spare, seed=seed, progress=progress
        )
    log_odds = np.full(shape, np.nan, np.float32)
    for column in range(shape[1]):
        given = None if pred_probs is None else pred_probs[:, column]
        log_odds[:, column] = _presence(present[:, column], given, embeddings, nearest, groups, seed)
        progress("classes", column + 1, shape[1])
    cells = np.flatnonzero(~np.isnan(log_odds))
    if not len(cells):
        return _nothing(shape)
    odds, given = log_odds.reshape(-1)[cells], present.reshape(-1)[cells]

    def of_cells(which: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(which)), odds[which]], axis=1)

    some = rows_to_fit(len(cells), 2, seed)
    channel = fit_noise_channel([of_cells(some)], given[some], kind="pairs")
    counts = np.stack([(present == value).sum(axis=0) for value in (0, 1)])
    judged = counts[given, cells % shape[1]] >= _LEAST_CLASS
    unconfirmed = np.zeros(len(cells), bool)
    found = _judge(shape, cells, given, judged, unconfirmed, [of_cells], channel, sensitivity)
    return replace(found, joint=np.zeros((0, 0)))


def _presence(
    present: np.ndarray,
    given: np.ndarray | None,
    embeddings: np.ndarray | None,
    nearest: Nearest | None,
    groups: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """Return (n,) log-odds that an image has a class, calibrated to its labels `present` (n,) in {-1, 0, 1}.

    NaN where the class is not annotated, and everywhere if its labels are all alike or too few.
    """
    log_odds = np.full(len(present), np.nan)
    rows = np.flatnonzero(present >= 0)
    labels = present[rows]
    evidence: list[LabelEvidence] = []
    if len(np.unique(labels)) == 2:
        if embeddings is not None and nearest is not None and len(rows) >= LEAST_LABELS:
            vectors = embeddings if len(rows) == len(present) else embeddings[rows]
            own_groups = None if groups is None else np.asarray(groups)[rows]
            probe = fit_probe(vectors, labels, 2, groups=own_groups, seed=seed)
            evidence += [ProbeEvidence(probe, vectors), VoteEvidence(nearest.of(rows), present, 2)]
        if given is not None:
            share = np.asarray(given[rows], np.float64)
            evidence.append(GivenEvidence(np.stack([1 - share, share], axis=1)))
    if evidence:
        scores = [of(np.arange(len(rows))) for of in evidence]
        some = rows_to_fit(len(rows), 2, seed)
        calibrated = scaled(scores, calibrate([part[some] for part in scores], labels[some]))
        log_odds[rows] = calibrated[:, 1] - calibrated[:, 0]
    return log_odds


def _nothing(shape: tuple[int, ...]) -> LabelIssues:
    """Return what is known of labels that can't be judged."""
    return LabelIssues(
        quality=np.full(shape, np.nan, np.float32),
        is_issue=np.zeros(shape, bool),
        suggested=np.full(shape, -1, np.int64),
        confidence=np.zeros(shape, np.float32),
        second=np.full(shape, -1, np.int64),
        estimated=0.0,
        interval=(0.0, 0.0),
        expected_precision=float("nan"),
    )


def _check(
    labels: np.ndarray,
    pred_probs: np.ndarray | None,
    embeddings: np.ndarray | None,
    thumbnails: np.ndarray | None,
    confirmed: np.ndarray | None,
    sensitivity: str,
) -> None:
    if sensitivity not in BETA:
        raise ValueError(f"sensitivity must be one of {', '.join(BETA)}, got '{sensitivity}'")
    if pred_probs is None and embeddings is None:
        raise ValueError("give pred_probs (n, k), embeddings (n, d), or both: labels alone hold no evidence")
    if labels.ndim not in (1, 2):
        raise ValueError(f"labels must have shape (n,) or, multi-label, (n, k), got {labels.shape}")
    if labels.ndim == 2 and not (np.isnan(labels.astype(float)) | (labels == 0) | (labels == 1)).all():
        raise ValueError("multi-label labels must be 0, 1 or NaN (not annotated)")
    for name, array in (("pred_probs", pred_probs), ("embeddings", embeddings)):
        if array is not None and (np.ndim(array) != 2 or len(array) != len(labels)):
            raise ValueError(f"{name} must have shape ({len(labels)}, ...) like labels, got {np.shape(array)}")
        if array is not None:
            _check_values(name, np.asanyarray(array))
    if pred_probs is not None and labels.ndim == 2 and np.shape(pred_probs) != labels.shape:
        raise ValueError(f"pred_probs must have shape {labels.shape} like labels, got {np.shape(pred_probs)}")
    if pred_probs is not None and labels.ndim == 1 and labels.max(initial=-1) >= pred_probs.shape[1]:
        raise ValueError(f"labels go up to {labels.max()}, but pred_probs has only {pred_probs.shape[1]} columns")
    if thumbnails is not None and np.shape(thumbnails) != (len(labels), SIDE, SIDE):
        raise ValueError(f"thumbnails must have shape ({len(labels)}, {SIDE}, {SIDE}), got {np.shape(thumbnails)}")
    if confirmed is not None and (labels.ndim != 1 or np.shape(confirmed) != labels.shape):
        raise ValueError(f"confirmed must have shape (n,) like single-label labels, got {np.shape(confirmed)}")


def _check_values(name: str, array: np.ndarray) -> None:
    """Look at a block of rows at a time: the array may be memory-mapped and larger than memory."""
    size = max(1, _BLOCK_NUMBERS // max(array.shape[1], 1))
    for start in range(0, len(array), size):
        block = array[start : start + size]
        if not np.isfinite(block).all():
            raise ValueError(f"{name} holds NaN or infinity; leave those rows out")
        if name == "pred_probs" and (block.min(initial=0) < 0 or block.max(initial=0) > 1 + 1e-3):
            raise ValueError("pred_probs must lie in 0..1: probabilities, not logits")
