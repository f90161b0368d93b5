"""Counts images by class and split within the database, and says which images a count is of.

The database adds up, so that only a row a class and split travels, however many images there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..curation.splits import precedence, standard_split
from ..errors import FieldError
from .views import Collection, dataset_of, describe_field

_ORDER = ("train", "validation", "test")
Condition = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """How many images of k classes lie in s splits.

    Attributes:
        classes: k class names, sorted.
        splits: s names: train, validation, test, others, and last "" for images in none; only those that occur.
        images: (k, s) int64. An image with several labels counts for each of its classes.
        unlabelled: (s,) int64. Images without a label; where there may be several, those that were not annotated.
        totals: (s,) int64. All images.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    images: np.ndarray
    unlabelled: np.ndarray
    totals: np.ndarray

    def __post_init__(self) -> None:
        splits = (len(self.splits),)
        for name, shape in (("images", (len(self.classes), *splits)), ("unlabelled", splits), ("totals", splits)):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    @property
    def by_class(self) -> np.ndarray:
        """(k,) int64: images of each class in all splits."""
        return self.images.sum(axis=1)

    @property
    def named(self) -> np.ndarray:
        """(s,) bool: whether it is a split, not the images in none."""
        return np.array([split != "" for split in self.splits], bool)


@dataclass(frozen=True)
class LabelPath:
    """Where labels lie.

    Attributes:
        field: A field of `fo.Classification`, or of `fo.Classifications`.
        several: Whether an image may have several.
    """

    field: str
    several: bool

    @property
    def names(self) -> str:
        """Path of the class names."""
        return f"{self.field}.classifications.label" if self.several else f"{self.field}.label"

    def of_class(self, *names: str) -> Condition:
        """Return the condition for images of these classes."""
        return {self.names: {"$in": list(names)}}

    def missing(self) -> Condition:
        """Return the condition for images without a label, or that were not annotated."""
        return {self.field: None} if self.several else {self.names: {"$in": [None, ""]}}


@dataclass(frozen=True)
class SplitNames:
    """How a collection spells its splits in a text field, or in a list of texts such as the tags.

    Attributes:
        source: Name of the field.
        listed: Whether it is a list.
        spellings: Standard name -> names in use; of a list, those alone that name a split.
    """

    source: str
    listed: bool
    spellings: Mapping[str, tuple[str, ...]]

    def inside(self, split: str) -> Condition:
        """Return the condition for the images of a split, "" = of none; what names two lies in the first of them."""
        if not self.listed:
            return {self.source: {"$in": list(self.spellings.get(split, ())) + [None] * (split == "")}}
        if not split:
            return {self.source: {"$nin": self._all(self.spellings)}}
        before = self._all(name for name in self.spellings if precedence(name) < precedence(split))
        return {self.source: {"$in": list(self.spellings.get(split, ())), "$nin": before}}

    def expression(self) -> Any:
        """Return the aggregation expression of an image's split, as it is spelled in a text field."""
        if not self.listed:
            return f"${self.source}"
        held = {"$ifNull": [f"${self.source}", []]}
        branches = [
            {"case": {"$gt": [{"$size": {"$setIntersection": [held, list(self.spellings[split])]}}, 0]}, "then": split}
            for split in sorted(self.spellings, key=precedence)
        ]
        return {"$switch": {"branches": branches, "default": ""}} if branches else {"$literal": ""}

    def standard(self, value: str | None) -> str:
        """Return the standard name of a value of `expression`."""
        if self.listed or not value or not value.strip():
            return value or "" if self.listed else ""
        return standard_split(value) or value

    def _all(self, splits: Any) -> list[str]:
        return [name for split in splits for name in self.spellings[split]]


def read_split_names(view: Collection, source: str | None) -> SplitNames | None:
    """Return how a collection spells its splits; None where it has none.

    Args:
        view: The collection.
        source: "tags", or a field of text or of lists of text; None = none.

    Raises:
        FieldError: There is no such field.
    """
    if source is None:
        return None
    field = view.get_field(source)
    listed = isinstance(field, fo.ListField) and isinstance(field.field, fo.StringField)
    if field is None or not (listed or isinstance(field, fo.StringField)):
        what = "there is no such field" if field is None else f"it holds {describe_field(field)}"
        raise FieldError(
            f"the splits of '{dataset_of(view).name}' can't be counted by '{source}': {what}. "
            "Name a text field, or tags."
        )
    found: dict[str, list[str]] = defaultdict(list)
    stages: list[Mapping[str, Any]] = [{"$unwind": f"${source}"}] if listed else []
    rows = view._aggregate(pipeline=[*stages, {"$group": {"_id": f"${source}"}}])
    for value in sorted(row["_id"] for row in rows if row["_id"] is not None):
        standard = standard_split(value)
        if standard or not listed:
            found[standard or (value if value.strip() else "")].append(value)
    return SplitNames(source, listed, {split: tuple(found[split]) for split in sorted(found, key=precedence)})


def count_classes(view: Collection, labels: LabelPath | None, splits: SplitNames | None) -> ClassCounts:
    """Count the images of a collection by class and split.

    Args:
        view: Single images.
        labels: Where labels lie; None = there are none.
        splits: Where splits lie; None = there are none.
    """
    found: dict[tuple[str, str], int] = defaultdict(int)
    unlabelled: dict[str, int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    for row in view._aggregate(pipeline=_pipeline(labels, splits)):
        split = splits.standard(row["_id"]["split"]) if splits else ""
        name = row["_id"].get("name")
        totals[split] += row["images"]
        if name:
            found[name, split] += row["labels"]
        elif not row["_id"]["annotated"]:
            unlabelled[split] += row["images"]
    return _counts(found, unlabelled, totals)


def _pipeline(labels: LabelPath | None, splits: SplitNames | None) -> Sequence[Mapping[str, Any]]:
    split: Any = splits.expression() if splits else {"$literal": ""}
    several = labels is not None and labels.several
    annotated = {"$gt": [f"${labels.field}", None]} if labels is not None and several else {"$literal": False}
    name: Any = f"${labels.names}" if labels else {"$literal": None}
    stages: list[Mapping[str, Any]] = [{"$project": {"_id": 0, "split": split, "name": name, "annotated": annotated}}]
    first: Any = 1
    if several:
        stages.append({"$set": {"name": {"$setUnion": [{"$ifNull": ["$name", []]}, []]}}})
        stages.append({"$unwind": {"path": "$name", "includeArrayIndex": "at", "preserveNullAndEmptyArrays": True}})
        first = {"$cond": [{"$gt": ["$at", 0]}, 0, 1]}
    key = {"split": {"$ifNull": ["$split", None]}, "name": "$name", "annotated": "$annotated"}
    return [*stages, {"$group": {"_id": key, "images": {"$sum": first}, "labels": {"$sum": 1}}}]


def _counts(
    found: Mapping[tuple[str, str], int], unlabelled: Mapping[str, int], totals: Mapping[str, int]
) -> ClassCounts:
    classes = tuple(sorted({name for name, _ in found}))
    splits = tuple(sorted(totals, key=_place))
    row, column = ({name: at for at, name in enumerate(names)} for names in (classes, splits))
    images = np.zeros((len(classes), len(splits)), np.int64)
    for (name, split), count in found.items():
        images[row[name], column[split]] = count
    without, total = (np.array([of.get(split, 0) for split in splits], np.int64) for of in (unlabelled, totals))
    return ClassCounts(classes, splits, images, without, total)


def _place(split: str) -> tuple[bool, int, str]:
    return split == "", _ORDER.index(split) if split in _ORDER else len(_ORDER), split
