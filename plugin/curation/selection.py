"""Which images to label next: active learning on embeddings, with or without a classifier's probabilities.

A batch is chosen so that no image of it looks like another one, or like one that is labelled. The same input and seed
give the same batch, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from ..progress import Progress, silent
from . import selection_strategies as strategies
from .selection_auto import is_cold, take_auto
from .selection_pool import Pool, look_alike_distance, unit_sample
from .uncertainty import Outputs, read_outputs

STRATEGIES = ("auto", "random", "least_confidence", "margin", "entropy", "k_center", "typical", "badge", "cover")
BY_PREDICTION = ("least_confidence", "margin", "entropy", "badge")  # these need probabilities
BY_CLASS = ("auto", *BY_PREDICTION, "cover")  # these make use of probabilities, and can go for classes

_BLOCK = 65_536
_NUMBERS = 2**26  # of the vectors of a pool: 256 MB
_FEWEST, _MOST = 10_000, 50_000
_A_PICK = 3  # candidates at least for each image that is to be chosen
_LABELLED = 20_000  # labelled images that a batch is to differ from in its subjects, of more a sample


@dataclass(frozen=True, eq=False)
class Selection:
    """Images to label next, the best first.

    Attributes:
        rows: (c,) int64. Their numbers; c is less than was asked for where there are no more that differ.
        score: (c,) float64. What the strategy ranked by, the larger the better among images of equal standing.
        reason: (c,) object. Why each was chosen, in a few words.
        strategy: How they were chosen; of "auto", what that came to.
        candidates: Images that could have been chosen.
        without_vector: Images that could not be, since their vector is not finite.
        without_prediction: Images that could not be, since they were not predicted.
    """

    rows: np.ndarray
    score: np.ndarray
    reason: np.ndarray
    strategy: str
    candidates: int
    without_vector: int
    without_prediction: int


def select(
    embeddings: np.ndarray,
    n: int,
    pred_probs: np.ndarray | None = None,
    labeled: np.ndarray | Sequence[int] | None = None,
    strategy: str = "auto",
    seed: int = 0,
    *,
    groups: np.ndarray | None = None,
    avoided: np.ndarray | Sequence[int] | None = None,
    target_classes: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the (n,) int64 rows to label next, the best first: `choose` without what it tells about them."""
    return choose(
        embeddings,
        n,
        pred_probs,
        labeled,
        strategy,
        seed,
        groups=groups,
        avoided=avoided,
        target_classes=target_classes,
    ).rows


def choose(
    embeddings: np.ndarray,
    n: int,
    pred_probs: np.ndarray | None = None,
    labeled: np.ndarray | Sequence[int] | None = None,
    strategy: str = "auto",
    seed: int = 0,
    *,
    groups: np.ndarray | None = None,
    avoided: np.ndarray | Sequence[int] | None = None,
    target_classes: Sequence[int] | None = None,
    several: bool | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Selection:
    """Choose images to label next.

    Strategies: "random"; "least_confidence", "margin" and "entropy", the images that the classifier is least sure of;
    "k_center", those furthest from what is labelled; "typical", those in the middle of what has no label yet; "badge",
    uncertain and different ones; "cover", those around which the most lies that has no label yet and is uncertain;
    "auto", typical ones at first, then uncertain and different ones (`selection_auto`).

    Of many candidates only some tens of thousands are compared with each other: the most uncertain ones, or a sample.

    Args:
        embeddings: (N, d) float. A row with NaN or infinity was not readable, and is never chosen.
        n: Images to choose.
        pred_probs: (N, k) in 0..1, of all rows. Rows that sum to 1 are of classes that exclude each other, others of
            classes that are independent (several labels an image), see `uncertainty`. A row with NaN is never chosen
            where the strategy goes by predictions.
        labeled: (l,) int. Rows that are labelled, or out for labelling. Never chosen, nor what looks like them.
        strategy: One of `STRATEGIES`; "auto" and "cover" work with and without probabilities.
        seed: Same input and seed, same batch.
        groups: (N,) int. Rows with the same number >= 0 show the same; -1 = alone. At most one of a group is chosen,
            and none of a group that has a labelled image.
        avoided: (v,) int. More rows that are never chosen, nor what looks like them, such as an evaluation set.
        target_classes: Numbers of rare or weak classes: candidates that probably belong to one are ranked first.
        several: Whether an image may have several labels; None = seen from the probabilities.
        classes: Names for the reasons; None = their numbers.
        progress: Told at each step.

    Raises:
        ValueError: Shapes that do not fit, rows out of range, an unknown strategy, or one that needs probabilities.
    """
    _check(embeddings, n, strategy, pred_probs, target_classes)
    count = len(embeddings)
    taken, kept_off = _rows_of(labeled, count, "labeled"), _rows_of(avoided, count, "avoided")
    shows = np.full(count, -1) if groups is None else np.asarray(groups)
    if shows.shape != (count,):
        raise ValueError(f"groups must have shape ({count},), got {shows.shape}")
    outputs, known = (None, np.ones(count, bool)) if pred_probs is None else read_outputs(pred_probs, count, several)
    targets = _targets(target_classes, outputs)
    progress("looking at vectors", 0, 1)
    usable, centre = _survey(embeddings)
    cold = strategy == "auto" and targets is None and is_cold(outputs, len(taken))
    used = "typical" if cold else strategy
    by_prediction = outputs is not None and used in BY_CLASS
    closed = _closed(count, taken, kept_off, shows)
    open_ = usable & ~closed
    rng = np.random.default_rng(seed)
    numbers = np.flatnonzero(open_ & known) if by_prediction else np.flatnonzero(open_)
    progress("looking at vectors", 1, 1)
    with threadpool_limits(1, user_api="blas"):  # sums depend on how many threads share them
        run = _Run(embeddings, centre, outputs, targets, classes, rng)
        scores = run.scores(numbers, used)
        some = _shortlist(numbers, scores, used, max(_A_PICK * n, _most(embeddings.shape[1])), rng)
        pool = run.pool(numbers[some], taken[usable[taken]], kept_off[usable[kept_off]], shows)
        progress("choosing", 0, 1)
        if n and len(pool.rows):
            run.fill(pool, n, used, None if scores is None else scores[some])
            if len(pool.taken) < min(n, len(pool.rows)):
                pool.tighten()
                run.fill(pool, n, used, None if scores is None else scores[some])
    progress("choosing", 1, 1)
    reasons = np.empty(len(pool.taken), object)
    reasons[:] = pool.reasons
    return Selection(
        rows=pool.numbers[pool.taken].astype(np.int64),
        score=np.round(np.array(pool.scores, np.float64), 4),
        reason=reasons,
        strategy=used,
        candidates=len(numbers),
        without_vector=int((~usable & ~closed).sum()),
        without_prediction=int((open_ & ~known).sum()) if by_prediction else 0,
    )


@dataclass(eq=False)
class _Run:
    """What a strategy is given."""

    embeddings: np.ndarray
    centre: np.ndarray
    outputs: Outputs | None
    targets: np.ndarray | None
    classes: Sequence[str] | None
    rng: np.random.Generator

    def scores(self, numbers: np.ndarray, strategy: str) -> np.ndarray | None:
        """Return (m,) float64 >= 0: what candidates are ranked or weighted by; None where all count alike."""
        if self.outputs is None or strategy not in BY_CLASS:
            return None
        if (targets := self.targets) is not None:
            return self.outputs.scored(numbers, lambda outputs: outputs.promise_of(targets))
        kinds: dict[str, Callable[[Outputs], np.ndarray]] = {
            "margin": Outputs.margin,
            "entropy": Outputs.entropy,
            "auto": Outputs.margin,
            "badge": lambda outputs: (outputs.surprise().astype(np.float64) ** 2).sum(axis=1),
        }
        return self.outputs.scored(numbers, kinds.get(strategy, Outputs.least_confidence))

    def pool(self, numbers: np.ndarray, taken: np.ndarray, kept_off: np.ndarray, shows: np.ndarray) -> Pool:
        """Return the candidates with their vectors."""
        rows = unit_sample(self.embeddings, numbers, self.centre)
        if len(taken) > _LABELLED:
            taken, more = _split_off(taken, _LABELLED, self.rng)
            kept_off = np.union1d(kept_off, more)
        labelled = unit_sample(self.embeddings, taken, self.centre)
        others = unit_sample(self.embeddings, kept_off, self.centre)
        return Pool(rows, numbers, labelled, others, shows[numbers], look_alike_distance(rows, self.rng))

    def fill(self, pool: Pool, n: int, strategy: str, scores: np.ndarray | None) -> None:
        """Take up to n candidates."""
        if strategy == "random":
            strategies.take_in_order(pool, n, self.rng.random(len(pool.rows)), lambda row: (0.0, "drawn at random"))
        elif strategy == "k_center":
            strategies.take_k_center(pool, n)
        elif strategy == "typical":
            strategies.take_typical(pool, n, self.rng)
        elif strategy == "cover":
            strategies.take_cover(pool, n, np.ones(len(pool.rows)) if scores is None else scores, self.rng)
        elif scores is None or self.outputs is None:
            raise ValueError(f"strategy '{strategy}' needs pred_probs")
        elif strategy == "badge":
            surprise = self.outputs.of(pool.numbers).surprise()
            surprise = surprise if self.targets is None else surprise[:, self.targets]
            strategies.take_badge(pool, n, surprise, self._describe(pool, scores), self.rng)
        elif strategy == "auto":
            targeted = self.targets is not None
            take_auto(pool, n, scores, self._describe(pool, scores), self.rng, targeted=targeted)
        else:
            strategies.take_in_order(pool, n, scores, self._describe(pool, scores))

    def _describe(self, pool: Pool, scores: np.ndarray) -> strategies.Describe:
        """Return what tells a candidate's score and what the classifier thinks of it."""

        def describe(row: int) -> tuple[float, str]:
            return float(scores[row]), self._thought(int(pool.numbers[row]))

        return describe

    def _thought(self, number: int) -> str:
        if self.outputs is None:
            return ""
        outputs = self.outputs.of(np.array([number]))
        probs = outputs.probs[0]
        if self.targets is not None:
            best = int(self.targets[np.argmax(probs[self.targets])])
            return f"may be {self._name(best)} ({probs[best]:.2f})"
        if outputs.several or len(probs) < 2:
            best = int(np.abs(probs - 0.5).argmin())
            return f"least sure about {self._name(best)} ({probs[best]:.2f})"
        first, second = np.argsort(-probs, kind="stable")[:2]
        return f"{self._name(int(first))} ({probs[first]:.2f}) or {self._name(int(second))} ({probs[second]:.2f})"

    def _name(self, number: int) -> str:
        return f"class {number}" if self.classes is None else self.classes[number]


def _check(
    embeddings: np.ndarray,
    n: int,
    strategy: str,
    pred_probs: np.ndarray | None,
    target_classes: Sequence[int] | None,
) -> None:
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings must have shape (N, d), got {embeddings.shape}")
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, got '{strategy}'")
    if pred_probs is None and strategy in BY_PREDICTION:
        raise ValueError(f"strategy '{strategy}' needs pred_probs; without them take auto, typical, cover or k_center")
    if target_classes is not None and (pred_probs is None or strategy not in BY_CLASS):
        raise ValueError(f"target_classes needs pred_probs and one of the strategies {', '.join(BY_CLASS)}")


def _targets(target_classes: Sequence[int] | None, outputs: Outputs | None) -> np.ndarray | None:
    if target_classes is None or outputs is None:
        return None
    targets = np.unique(np.asarray(target_classes, np.int64))
    if not len(targets) or targets[0] < 0 or targets[-1] >= outputs.probs.shape[1]:
        raise ValueError(
            f"target_classes must name classes from 0 to {outputs.probs.shape[1] - 1}, got {list(target_classes)}"
        )
    return targets


def _rows_of(rows: np.ndarray | Sequence[int] | None, count: int, name: str) -> np.ndarray:
    """Return different rows in ascending order."""
    found = np.unique(np.asarray([] if rows is None else rows, np.int64))
    if len(found) and (found[0] < 0 or found[-1] >= count):
        raise ValueError(f"{name} must name rows from 0 to {count - 1}, got {found[0]} to {found[-1]}")
    return found


def _survey(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) bool: the vector is finite; and the (d,) float32 mean of those that are."""
    usable = np.zeros(len(embeddings), bool)
    total = np.zeros(embeddings.shape[1])
    for start in range(0, len(embeddings), _BLOCK):
        block = embeddings[start : start + _BLOCK]
        finite = np.isfinite(block).all(axis=1)
        usable[start : start + _BLOCK] = finite
        total += block[finite].sum(axis=0, dtype=np.float64)
    return usable, (total / max(usable.sum(), 1)).astype(np.float32)


def _closed(count: int, taken: np.ndarray, kept_off: np.ndarray, shows: np.ndarray) -> np.ndarray:
    """Return (N,) bool: the image is not a candidate."""
    closed = np.zeros(count, bool)
    closed[taken] = closed[kept_off] = True
    return closed | (np.isin(shows, np.unique(shows[closed])) & (shows >= 0))


def _most(width: int) -> int:
    return int(np.clip(_NUMBERS // max(width, 1), _FEWEST, _MOST))


def _shortlist(
    numbers: np.ndarray, scores: np.ndarray | None, strategy: str, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the places of at most so many candidates, in ascending order."""
    if len(numbers) <= most:
        return np.arange(len(numbers))
    if scores is None or strategy == "cover":
        return np.sort(rng.choice(len(numbers), most, replace=False))
    if strategy == "badge":
        # k-means++ draws by squared distance, at first the gradient's length: a sample with these chances (Efraimidis
        # and Spirakis 2006, by the largest keys).
        scores = np.log(np.maximum(scores, 1e-12)) + rng.gumbel(size=len(scores))
    return np.sort(np.argsort(-np.round(scores, 6), kind="stable")[:most])


def _split_off(rows: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.zeros(len(rows), bool)
    chosen[rng.choice(len(rows), count, replace=False)] = True
    return rows[chosen], rows[~chosen]
