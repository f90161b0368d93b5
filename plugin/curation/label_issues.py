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

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import DataError
from ..progress import Progress, silent
from .label_evidence import evidence_of_embeddings
from .noise_channel import Kind, NoiseChannel, fit_noise_channel
from .probe import FOLDS

Sensitivity = Literal["conservative", "default", "thorough"]
# How much more recall counts than precision in the F-measure that the cut is made for.
BETA: dict[Sensitivity, float] = {"conservative": 0.5, "default": 1.0, "thorough": 2.0}

_LEAST_CLASS = 3
_BLOCK_NUMBERS = 20_000_000  # rows times classes that are judged at a time
# Deviation of the logarithm of the estimated number around the true one, about that of the simulations in
# docs/benchmarks.md; chance in the labels themselves comes on top.
_LOG_DEVIATION: dict[Kind, float] = {"uniform": 0.2, "pairs": 0.45}
_Z90 = 1.645


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
    groups: np.ndarray | None = None,
    confirmed: np.ndarray | None = None,
    sensitivity: Sensitivity = "default",
    seed: int = 0,
    progress: Progress = silent,
) -> LabelIssues:
    """Find probably wrong labels.

    Args:
        labels: (n,) int, -1 = no label. Multi-label: (n, k) in {0, 1, NaN}, NaN = not annotated (not: absent).
        pred_probs: (n, k) float, out-of-sample probabilities. Multi-label: independent per class.
        embeddings: (n, d) float. From these, out-of-fold evidence is made here.
        groups: (n,) int. Duplicates of each other share a number >= 0: none is judged with the help of another.
        confirmed: (n,) bool. Labels that a person confirmed: never flagged, of quality 1, and learned from.
        sensitivity: Where to cut: "conservative" (few false flags), "default", "thorough" (few wrong labels missed).
        seed: Of the folds.
        progress: Told while the evidence is made.

    Raises:
        ValueError: Neither kind of evidence, or shapes or values that do not fit.
        DataError: Embeddings alone, and all labels of one class, or hardly any labels.
    """
    labels = np.asarray(labels)
    _check(labels, pred_probs, embeddings, confirmed, sensitivity)
    if labels.ndim == 2:
        return _multilabel(labels, pred_probs, embeddings, groups, sensitivity, seed)
    rows = np.flatnonzero(labels >= 0)
    given = labels[rows].astype(np.int64)
    n_classes = max(2, int(given.max(initial=-1)) + 1) if pred_probs is None else pred_probs.shape[1]
    if len(rows) == 0 or n_classes < 2:
        return _nothing(len(labels))
    evidence = []
    enough = len(rows) >= 2 * FOLDS and len(np.unique(given)) >= 2
    if embeddings is not None and (enough or pred_probs is None):
        own_groups = None if groups is None else np.asarray(groups)[rows]
        vectors = np.asarray(embeddings)[rows]
        evidence += evidence_of_embeddings(vectors, given, n_classes, own_groups, seed=seed, progress=progress)
    if pred_probs is not None:
        evidence.append(np.log(np.maximum(np.asarray(pred_probs, np.float64)[rows], 1e-6)))
    known = np.zeros(len(rows), bool) if confirmed is None else np.asarray(confirmed, bool)[rows]
    channel = fit_noise_channel(evidence, given, known, seed)
    return _judge(len(labels), rows, given, known, evidence, channel, sensitivity)


def _judge(
    count: int,
    rows: np.ndarray,
    given: np.ndarray,
    known: np.ndarray,
    evidence: list[np.ndarray],
    channel: NoiseChannel,
    sensitivity: Sensitivity,
) -> LabelIssues:
    """Turn the fitted channel into quality, cut and suggestions."""
    n_classes = len(channel.matrix)
    judged = np.bincount(given, minlength=n_classes)[given] >= _LEAST_CLASS
    wrong, best = np.zeros(len(rows)), np.zeros((len(rows), 3), np.int64)
    likely = np.zeros((len(rows), 3))
    joint = np.zeros((n_classes, n_classes))
    size = max(1, _BLOCK_NUMBERS // n_classes)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        own = np.arange(len(given[part]))
        posterior = channel.true_class([scores[part] for scores in evidence], given[part])
        posterior[known[part]] = 0
        posterior[own[known[part]], given[part][known[part]]] = 1
        wrong[part] = np.round(1 - posterior[own, given[part]], 4)
        order = np.argsort(-posterior, axis=1, kind="stable")[:, :3]
        best[part, : order.shape[1]] = order
        likely[part, : order.shape[1]] = np.take_along_axis(posterior, order, axis=1)
        for label in np.unique(given[part][judged[part]]):
            joint[label] += posterior[judged[part] & (given[part] == label)].sum(axis=0)
    if channel.kind == "none":
        joint = np.diag(joint.sum(axis=1))
    eligible = judged & ~known
    flags = {name: eligible & (wrong >= best_cut(wrong[judged], beta)) for name, beta in BETA.items()}
    flags["conservative"] &= wrong > 0.5  # where nothing is certain, it flags nothing
    flagged = flags[sensitivity]
    # For an issue the first class that is not the given one, and the one after it.
    first = np.where(flagged & (best[:, 0] == given), 1, 0)
    second = np.where(flagged & (best[:, 1] == given) & (n_classes > 2), 2, np.where(first == 1, 0, 1))
    own = np.arange(len(rows))
    result = _nothing(count)
    result.quality[rows] = np.where(judged, 1 - wrong, np.nan)
    result.is_issue[rows] = flagged
    result.suggested[rows] = np.where(judged, best[own, first], -1)
    result.second[rows] = np.where(judged, best[own, second], -1)
    result.confidence[rows] = np.where(judged, np.round(likely[own, first], 4), 0)
    return LabelIssues(
        result.quality,
        result.is_issue,
        result.suggested,
        result.confidence,
        result.second,
        estimated=float(wrong[judged].sum()),
        interval=_interval(wrong[judged], channel.kind),
        expected_precision=_mean(wrong[flagged]),
        noise=channel.kind,
        joint=joint,
        cuts=tuple(Cut(name, int(found.sum()), _mean(wrong[found])) for name, found in flags.items()),
    )


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
    groups: np.ndarray | None,
    sensitivity: Sensitivity,
    seed: int,
) -> LabelIssues:
    """Judge each class as a two-class problem of its own, on the images where it is annotated."""
    columns = []
    for column in range(labels.shape[1]):
        given = np.where(np.isnan(labels[:, column].astype(float)), -1, labels[:, column]).astype(np.int64)
        if len(np.unique(given[given >= 0])) < 2:
            columns.append(_nothing(len(labels)))
            continue
        probabilities = None
        if pred_probs is not None:
            probabilities = np.stack([1 - pred_probs[:, column], pred_probs[:, column]], axis=1)
        try:
            columns.append(
                find_label_issues(given, probabilities, embeddings, groups=groups, sensitivity=sensitivity, seed=seed)
            )
        except DataError:  # too few annotated images to judge any of them; the other classes are judged all the same
            columns.append(_nothing(len(labels)))
    kinds = {column.noise for column in columns}
    quality, is_issue = (np.stack([getattr(c, name) for c in columns], axis=1) for name in ("quality", "is_issue"))
    return LabelIssues(
        quality=quality,
        is_issue=is_issue,
        suggested=np.stack([column.suggested for column in columns], axis=1),
        confidence=np.stack([column.confidence for column in columns], axis=1),
        second=np.stack([column.second for column in columns], axis=1),
        estimated=sum(column.estimated for column in columns),
        interval=(sum(column.interval[0] for column in columns), sum(column.interval[1] for column in columns)),
        expected_precision=_mean(1 - quality[is_issue]),
        noise="pairs" if "pairs" in kinds else "uniform" if "uniform" in kinds else "none",
        cuts=_added([column.cuts for column in columns if column.cuts]),
    )


def _added(cuts: list[tuple[Cut, ...]]) -> tuple[Cut, ...]:
    """Return the cuts of all classes as one."""
    total = []
    for same in zip(*cuts, strict=True):
        flagged = sum(cut.flagged for cut in same)
        right = sum(cut.flagged * cut.expected_precision for cut in same if cut.flagged)
        total.append(Cut(same[0].sensitivity, flagged, right / flagged if flagged else float("nan")))
    return tuple(total)


def _nothing(n: int) -> LabelIssues:
    """Return what is known of labels that can't be judged."""
    return LabelIssues(
        quality=np.full(n, np.nan, np.float32),
        is_issue=np.zeros(n, bool),
        suggested=np.full(n, -1, np.int64),
        confidence=np.zeros(n, np.float32),
        second=np.full(n, -1, np.int64),
        estimated=0.0,
        interval=(0.0, 0.0),
        expected_precision=float("nan"),
    )


def _check(
    labels: np.ndarray,
    pred_probs: np.ndarray | None,
    embeddings: np.ndarray | None,
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
        if array is not None and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; leave those rows out")
    if pred_probs is not None and (np.min(pred_probs, initial=0) < 0 or np.max(pred_probs, initial=0) > 1 + 1e-6):
        raise ValueError("pred_probs must lie in 0..1: probabilities, not logits")
    if pred_probs is not None and labels.ndim == 2 and np.shape(pred_probs) != labels.shape:
        raise ValueError(f"pred_probs must have shape {labels.shape} like labels, got {np.shape(pred_probs)}")
    if pred_probs is not None and labels.ndim == 1 and labels.max(initial=-1) >= pred_probs.shape[1]:
        raise ValueError(f"labels go up to {labels.max()}, but pred_probs has only {pred_probs.shape[1]} columns")
    if confirmed is not None and (labels.ndim != 1 or np.shape(confirmed) != labels.shape):
        raise ValueError(f"confirmed must have shape (n,) like single-label labels, got {np.shape(confirmed)}")
