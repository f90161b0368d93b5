"""The images that a choice is made from, and those that it has to differ from, wherever in the dataset they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..curation.selection import Selection
from ..curation.splits import HELD_OUT_SPLITS
from ..datasets.labeling_batches import STATE_FIELD, LabelingState, list_batches, load_batch
from ..datasets.multi_labels import multi_label_fields
from ..datasets.samples import DEFAULT_LABEL_FIELD, Samples, chosen_label_field, label_fields, read_samples
from ..datasets.views import Collection, check_images, every_image
from ..errors import DataError
from ..failures import Failure
from ..membership import is_among
from ..progress import Progress
from .findings import read_findings
from .multi_label_issues import field_of_several
from .training_rows import Labels, read_labels
from .vectors import RUN, VectorParams, check_any, embed_files, mark_failures, save_vectors, select_samples


@dataclass(frozen=True, eq=False)
class Candidates:
    """m readable images: those of a view, and those elsewhere that are labelled, away or held out.

    Attributes:
        samples: Ids, paths and splits; ids ascend.
        labels: Their labels, of one class an image or of several.
        vectors: (m, d) float32.
        in_view: (m,) bool.
        away: (m,) bool. Out for labelling, skipped by an annotator, or not settled yet.
        held_out: (m,) bool. In a test or validation split, or in a batch that is to measure on.
        groups: (m,) int64 duplicate groups, -1 = none.
        failures: Images that could not be read.
        notes: Sentences for the user.
    """

    samples: Samples
    labels: Labels
    vectors: np.ndarray
    in_view: np.ndarray
    away: np.ndarray
    held_out: np.ndarray
    groups: np.ndarray
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    @property
    def open(self) -> np.ndarray:
        """(m,) bool. May be chosen."""
        return self.in_view & ~self.labels.known & ~self.away & ~self.held_out

    @property
    def taught(self) -> np.ndarray:
        """Rows whose labels may be learned from."""
        return np.flatnonzero(self.labels.known & ~self.held_out)

    @property
    def taken(self) -> np.ndarray:
        """Rows that are labelled or away."""
        return np.flatnonzero((self.labels.known | self.away) & ~self.held_out)

    @property
    def kept_off(self) -> np.ndarray:
        """Rows that nothing chosen may look like, though they are not learned from."""
        return np.flatnonzero(self.held_out)


def read_candidates(
    view: Collection, vectors: VectorParams, label_field: str | None, split_field: str | None, progress: Progress
) -> Candidates:
    """Read and embed what a choice needs, and mark the images of the view that cannot be read.

    Raises:
        DataError: The view is empty, or does not consist of images; none can be read.
        FieldError: It is open which field holds the labels, or it holds something else.
    """
    check_images(view)
    images = every_image(view)
    several = field_of_several(images, label_field)
    single = None if several else _single_field(images, label_field)
    samples = read_samples(images, single, split_field)
    known = read_labels(images, samples, several).known if several or single else np.zeros(len(samples), bool)
    in_view = is_among(samples.ids, view.values("id"))
    away = _away(images, samples.ids)
    held_out = np.isin(samples.splits, HELD_OUT_SPLITS) | is_among(samples.ids, _evaluation_ids(images))
    needed = in_view | known | away | held_out
    asked = select_samples(samples, needed)
    made = embed_files(view, RUN, asked.ids, asked.paths, vectors, progress=progress)
    failures = made.found.failures
    mark_failures(view, {failure.id: failure.reason for failure in failures})
    check_any(made.found.ids, failures, "images")
    save_vectors(view, RUN, vectors, made)
    keep = needed & is_among(samples.ids, made.found.ids)
    kept = select_samples(samples, keep)
    labels = read_labels(images, kept, several)
    if not several and not single:
        labels = Labels(np.full(len(kept), -1), (), label_field or DEFAULT_LABEL_FIELD)
    return Candidates(
        samples=kept,
        labels=labels,
        vectors=made.found.vectors,
        in_view=in_view[keep],
        away=away[keep],
        held_out=held_out[keep],
        groups=read_findings(images, kept.ids).groups,
        failures=failures,
        notes=tuple(_notes(kept, in_view[keep])),
    )


def suspects(view: Collection, found: Candidates, count: int) -> Selection:
    """Return the labelled images of the view whose labels are the most suspicious, at most so many.

    Raises:
        DataError: Some are wanted, and wrong labels were not looked for in this field.
    """
    if not count:
        return _suspects(found, np.empty(0, np.int64), np.empty(0))
    findings = read_findings(every_image(view), found.samples.ids, found.labels.field)
    if not np.isfinite(findings.quality).any():
        raise DataError(
            f"wrong labels were not looked for in '{found.labels.field}', so none can be sent to be labelled again. "
            "Find label issues first, or set relabel to 0."
        )
    flagged = findings.is_issue & found.in_view & found.labels.known & ~found.away & ~found.held_out
    rows = np.flatnonzero(flagged)
    rows = rows[np.argsort(np.round(findings.quality[rows], 4), kind="stable")][:count]
    return _suspects(found, rows, findings.quality[rows])


def _suspects(found: Candidates, rows: np.ndarray, quality: np.ndarray) -> Selection:
    reasons = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        reasons[place] = f"its label {_label(found.labels, row)} may be wrong (quality {quality[place]:.2f})"
    return Selection(rows, np.round(1 - quality.astype(np.float64), 4), reasons, "suspects", len(rows), 0, 0)


def _label(labels: Labels, row: int) -> str:
    if not labels.several:
        return f"'{labels.classes[labels.values[row]]}'"
    names = [name for name, value in zip(labels.classes, labels.values[row], strict=True) if value == 1]
    return f"'{', '.join(names)}'"


def _single_field(images: Collection, asked: str | None) -> str | None:
    """Return the field of one label an image; None where nothing is labelled yet, and there is no such field."""
    if not label_fields(images) and not multi_label_fields(images) and (asked is None or not images.has_field(asked)):
        return None
    return chosen_label_field(images, asked)


def _away(images: Collection, ids: np.ndarray) -> np.ndarray:
    """Return (n,) bool: the sample is out for labelling, or an annotator would not or could not settle it."""
    if not images.has_field(STATE_FIELD):
        return np.zeros(len(ids), bool)
    state_of = dict(zip(*images.values(["id", STATE_FIELD]), strict=True))
    return np.array([state_of[key] not in (None, LabelingState.BACK) for key in ids], bool)


def _evaluation_ids(images: Collection) -> list[str]:
    batches = [entry.name for entry in list_batches(images) if entry.purpose == "evaluation"]
    return [key for name in batches for key in load_batch(images, name).sample_ids]


def _notes(kept: Samples, in_view: np.ndarray) -> Iterator[str]:
    if elsewhere := int((~in_view).sum()):
        yield f"{elsewhere:,} images outside the view count too: they are labelled, out for labelling or held out"
    if held := int(np.isin(kept.splits[in_view], HELD_OUT_SPLITS).sum()):
        yield f"{held:,} images of the view are in a test or validation split and are not chosen"
