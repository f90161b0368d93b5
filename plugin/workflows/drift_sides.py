"""Which images are compared in a drift check: what is checked, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets.samples import Samples, read_samples
from ..datasets.targets import open_target
from ..datasets.views import Collection, dataset_of, load_view
from ..errors import DataError
from ..membership import is_among
from .drift_settings import DriftParams
from .vectors import select_samples
from .wording import counted, listed

_SOURCES = ("reference_split", "reference_view", "reference_tag", "reference")


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison.

    Attributes:
        name: For a person, such as "split train".
        collection: What the samples were read from.
        samples: They.
    """

    name: str
    collection: Collection
    samples: Samples


@dataclass(frozen=True, eq=False)
class Sides:
    """Both sides.

    Attributes:
        current: What is checked.
        reference: What it is held against; None = none of the images that are named.
        notes: Sentences for the user.
    """

    current: Side
    reference: Side | None
    notes: tuple[str, ...]


def choose_sides(view: Collection, params: DriftParams) -> Sides:
    """Return what is compared; no sample is on both sides.

    Raises:
        DataError: Several references are named; a side is empty, or both are the same images.
        FieldError: See `datasets.samples.read_samples`.
        TargetError: There is no such dataset, folder or table.
    """
    sources = [name for name in _SOURCES if getattr(params, name)]
    if len(sources) > 1:
        raise DataError(f"name one reference, not {len(sources)} ({', '.join(sources)}).")
    current = _current(view, params)
    if not sources:
        return Sides(current, None, current.samples.notes)
    if params.reference:
        reference, told = _other_dataset(params)
    else:
        reference, told = _same_dataset(view, params), ()
    current, reference, shared = _apart(current, reference, narrowed=bool(params.current_split or params.current_tag))
    return Sides(current, reference, (*current.samples.notes, *told, *shared))


def _current(view: Collection, params: DriftParams) -> Side:
    samples = read_samples(view, params.label_field, params.split_field)
    rows, names = np.ones(len(samples), bool), []
    if params.current_split:
        rows &= _of_split(samples, params.current_split)
        names.append(f"split {params.current_split}")
    if params.current_tag:
        rows &= _tagged(view, samples, params.current_tag)
        names.append(f"tag {params.current_tag}")
    if not rows.any():
        raise DataError(f"no image is of {' and '.join(names)} at a time; there is nothing to check.")
    return Side(" and ".join(names) or _name_of(view), view, select_samples(samples, rows))


def _same_dataset(view: Collection, params: DriftParams) -> Side:
    dataset = dataset_of(view)
    if params.reference_view:
        chosen = load_view(dataset, params.reference_view)
        return Side(f"view {params.reference_view}", chosen, read_samples(chosen, params.label_field))
    whole = view if dataset.media_type == "group" else dataset  # of a grouped one the slice that was chosen
    samples = read_samples(whole, params.label_field, params.split_field if params.reference_split else None)
    if params.reference_split:
        rows, name = _of_split(samples, params.reference_split), f"split {params.reference_split}"
    else:
        rows, name = _tagged(whole, samples, str(params.reference_tag)), f"tag {params.reference_tag}"
    return Side(name, whole, select_samples(samples, rows))


def _other_dataset(params: DriftParams) -> tuple[Side, tuple[str, ...]]:
    opened = open_target(str(params.reference))
    label_field = params.label_field if opened.dataset.has_field(params.label_field or "") else None
    samples = read_samples(opened.dataset, label_field)
    return Side(f"dataset {opened.dataset.name}", opened.dataset, samples), opened.notes


def _of_split(samples: Samples, split: str) -> np.ndarray:
    rows = samples.splits == split
    if not rows.any():
        known = sorted(set(samples.splits) - {""})
        raise DataError(f"no image is of split '{split}'; the splits are: {listed(known) or 'none'}.")
    return rows


def _tagged(view: Collection, samples: Samples, tag: str) -> np.ndarray:
    rows = is_among(samples.ids, view.match_tags(tag).values("id"))
    if not rows.any():
        raise DataError(
            f"no image has the tag '{tag}'; the tags are: {listed(sorted(view.distinct('tags'))) or 'none'}."
        )
    return rows


def _apart(current: Side, reference: Side, *, narrowed: bool) -> tuple[Side, Side, tuple[str, ...]]:
    """Return both sides without the samples that they share.

    Where a part of the view was asked for, that part stays whole; else what is no reference is checked.
    """
    in_both = is_among(current.samples.ids, reference.samples.ids)
    if not in_both.any():
        return current, reference, ()
    if in_both.all() and len(reference.samples) == len(current.samples):
        raise DataError(
            f"{reference.name} and {current.name} are the same images; check other ones, or choose another reference."
        )
    if not narrowed and not in_both.all():
        rest = select_samples(current.samples, ~in_both)
        return Side(f"{current.name} without {reference.name}", current.collection, rest), reference, ()
    kept = ~is_among(reference.samples.ids, current.samples.ids)
    if not kept.any():
        raise DataError(f"all images of {reference.name} are checked themselves; choose another reference.")
    told = f"{counted(int((~kept).sum()), 'image')} of {reference.name} are checked, so they are no reference"
    return current, Side(reference.name, reference.collection, select_samples(reference.samples, kept)), (told,)


def _name_of(view: Collection) -> str:
    dataset = dataset_of(view)
    if view is dataset:
        return f"dataset {dataset.name}"
    return f"view {view.name}" if getattr(view, "is_saved", False) else f"a view of dataset {dataset.name}"
