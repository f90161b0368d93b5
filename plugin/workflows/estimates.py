"""How long a job will take, before it starts: from the runs that this machine remembers, and never surer than these."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..cluster.params import uses_cluster
from ..datasets import runs
from ..datasets.patches import shown_patches
from ..datasets.views import Collection
from ..machine import available_cores
from ..training.recipe import PRESETS
from ..vision.cached_vectors import share_cached
from ..vision.preprocessing import Preprocessing
from ..vision.speed import expected_seconds, is_measured
from .job_rates import Rate, rates_of, settings_of, units_of
from .patch_vectors import WHOLE_IMAGES
from .vectors import RUN, VectorParams
from .wording import counted, wait_of

# By which factor a run may differ from what was measured: on this dataset, of vectors, on others; and from a guess.
_ALIKE, _VECTORS, _OTHERS, _GUESSED = 1.3, 1.5, 2.0, 3.0
_NARROW = 2.5  # a range of less than this is told as one figure
_SHORT, _MINUTE = 10.0, 60.0  # seconds that nobody plans for, and that people wait
_WITHOUT_VECTORS = ("apply_classifier", "evaluate_predictions", "compare_predictions")


@dataclass(frozen=True)
class Estimate:
    """How long a job will take.

    Attributes:
        images: Images, or patches, that it will look at.
        embedded: Of these, about how many have a vector already; None where the job needs none.
        low, high: Seconds between which it should end; None = no run to estimate from.
        least: Seconds for the vectors alone, which are known about even where the rest is not; 0 where none are needed.
        basis: What the estimate rests on, as words.
        unit, units: What is counted.
    """

    images: int
    embedded: int | None
    low: float | None
    high: float | None
    least: float
    basis: str
    unit: str = "image"
    units: str = "images"

    @property
    def is_long(self) -> bool:
        """Whether it takes more than a minute, as far as that is known."""
        if self.low is None or self.high is None:
            return self.least > _MINUTE
        return math.sqrt(self.low * self.high) > _MINUTE

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "images": self.images,
            "embedded": self.embedded,
            "seconds_low": None if self.low is None else round(self.low, 1),
            "seconds_high": None if self.high is None else round(self.high, 1),
            "basis": self.basis,
        }

    def text(self) -> str:
        """Return one or two sentences for a person."""
        count = counted(self.images, self.unit, self.units)
        if self.low is None or self.high is None:
            return f"No earlier run to estimate the time from.{self._missing()}"
        known = ""
        if self.embedded:
            every = self.embedded >= self.images
            known = (
                ", embedded already" if every else f", of which about {_rounded(self.embedded):,} are embedded already"
            )
        return f"{_span(self.low, self.high)} for {count}{known}, by {self.basis}."

    def _missing(self) -> str:
        """Return a sentence on the vectors that have yet to be computed, which is all that is known of a first run."""
        if self.embedded is None or not self.images:
            return ""
        if self.embedded >= self.images:
            return f" All {self.units} are embedded already."
        missing = counted(_rounded(self.images - self.embedded), self.unit, self.units)
        return f" Embedding the {missing} that are not embedded yet takes about {wait_of(self.least)}."


def estimate(job: str, view: Collection, params: Any) -> Estimate | None:
    """Return how long a job will take on a view; None for a job whose time is not remembered, or on a cluster.

    Args:
        job: Name of the job, such as "find_duplicates".
        view: What it is to look at.
        params: Its settings.
    """
    settings, images = settings_of(job, view, params), units_of(job, view, params)
    whole_images = getattr(params, "patches_field", WHOLE_IMAGES) == WHOLE_IMAGES and not shown_patches(view)
    vectors = _vectors_of(job, params)
    if (settings is None and vectors is None) or uses_cluster(params):
        return None
    embedded = None if vectors is None else min(images, _embedded(view, vectors)) if whole_images else 0
    least, spread = _embedding(vectors, images - (embedded or 0))
    names = ("image", "images") if whole_images else ("patch", "patches")
    rates, own = ([], False) if settings is None else rates_of(settings)
    if not rates and job != "compute_embeddings":
        return Estimate(images, embedded, None, None, least, "", *names)
    low, high = _rest(rates, images, _ALIKE if own else _OTHERS) if rates else (0.0, 0.0)
    measured = spread < _GUESSED or not least
    basis = "earlier runs on this dataset" if own else "runs on other datasets" if rates else "what this machine does"
    if not measured:
        basis = "guess: no vectors were computed on this machine yet"
    return Estimate(images, embedded, low + least / spread, high + least * spread, least, basis, *names)


def _rest(rates: Iterable[Rate], images: int, spread: float) -> tuple[float, float]:
    """Return the seconds between which a job should end, without its vectors; the further from a run, the wider."""
    lows, highs = [], []
    for rate in rates:
        seconds = rate.seconds * images / rate.images * rate.cores / available_cores()
        wide = spread * max(images / rate.images, rate.images / images, 1.0) ** 0.25 if images else spread
        lows.append(seconds / wide)
        highs.append(seconds * wide)
    return min(lows), max(highs)


def _embedding(vectors: VectorParams | None, images: int) -> tuple[float, float]:
    """Return about how many seconds the missing vectors take, and by which factor that may be wrong."""
    if vectors is None or images <= 0:
        return 0.0, _ALIKE
    return expected_seconds(vectors.backbone, images), _VECTORS if is_measured(vectors.backbone) else _GUESSED


def _vectors_of(job: str, params: Any) -> VectorParams | None:
    """Return how a job has images turned into vectors, None where it needs none."""
    if job in _WITHOUT_VECTORS or (job == "check_drift" and params.classifier is not None):
        return None
    if isinstance(params, VectorParams):
        return params
    if job == "train_classifier":
        recipe = PRESETS.get(params.preset)
        return None if recipe is None else VectorParams(backbone=recipe.backbone, image_size=recipe.image_size)
    vectors = getattr(params, "vectors", None)
    return vectors if isinstance(vectors, VectorParams) else None


def _embedded(view: Collection, vectors: VectorParams) -> int:
    """Return about how many images of a view have their vector in the cache, made as the dataset's last ones were."""
    run = next((run for run in runs.list_runs(view) if run.key == RUN), None)
    if run is None or (run.params.get("backbone"), run.params.get("image_size")) != (
        vectors.backbone,
        vectors.image_size,
    ):
        return 0
    try:
        made = Preprocessing.from_dict(run.params["preprocessing"])
        weights = str(run.params["weights"])
    except (KeyError, TypeError, ValueError):  # of an earlier version
        return 0
    paths = view.values("filepath")
    return math.floor(share_cached(paths, weights, made, vectors.storage) * len(paths))


def _span(low: float, high: float) -> str:
    if high <= _SHORT:
        return "A few seconds"
    if high <= _NARROW * low:
        return f"About {wait_of(math.sqrt(low * high))}"
    return f"{wait_of(low)} to {wait_of(high)}".capitalize() if low >= 1 else f"Up to {wait_of(high)}"


def _rounded(count: int) -> int:
    """Return a count of which a sample was looked at, to two figures."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return round(count / unit) * unit
