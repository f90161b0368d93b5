"""What a page on the health of a dataset is counted from: its images, its fields and what jobs left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import fiftyone as fo
from bson import ObjectId

from ..datasets import moving, runs
from ..datasets.action_log import list_logged, undone_at
from ..datasets.class_counts import ClassCounts, Condition, LabelPath, SplitNames, count_classes, read_split_names
from ..datasets.multi_labels import multi_label_fields
from ..datasets.runs import SavedRun
from ..datasets.samples import label_fields
from ..datasets.split_names import NEVER_ASSUMED, detect_split_source
from ..datasets.views import Collection, dataset_of, single_images
from ..errors import DataError, FieldError
from .findings import LABEL_ISSUES_RUN, LEAKS_RUN
from .wording import counted

if TYPE_CHECKING:
    from .dataset_health import DatasetHealthParams


@dataclass(frozen=True, eq=False)
class Sources:
    """A collection and what is known of it.

    Attributes:
        view: The collection as it was given.
        params: What was asked for.
        images: Its single images.
        runs: Winnow's runs on the dataset by their key.
    """

    view: Collection
    params: DatasetHealthParams
    images: Collection
    runs: Mapping[str, SavedRun]

    @cached_property
    def total(self) -> int:
        """Number of images."""
        return self.images.count()

    @cached_property
    def labels(self) -> LabelPath | None:
        """Where the labels are, None where there are none."""
        single, several = label_fields(self.view), multi_label_fields(self.view)
        judged = self.run(LABEL_ISSUES_RUN)
        wanted = self.params.label_field or (judged.summary.get("label_field") if judged else None)
        known = [*single, *several]
        if self.params.label_field and wanted not in known:
            raise FieldError(
                f"'{self.dataset.name}' has no labels in '{wanted}'; it has some in: {', '.join(known) or 'none'}."
            )
        chosen = wanted if wanted in known else next(iter(known), None)
        return None if chosen is None else LabelPath(chosen, chosen in several)

    @cached_property
    def splits(self) -> SplitNames | None:
        """How splits are spelled, None where there are none, or these can't be counted in the database."""
        return None if self.split_source in NEVER_ASSUMED else read_split_names(self.images, self.split_source)

    @cached_property
    def split_source(self) -> str | None:
        """Where the splits are."""
        searched = self.run(LEAKS_RUN)
        known = self.params.split_field or (searched.params.get("split_field") if searched else None)
        if known in NEVER_ASSUMED or (known is not None and self.images.get_field(known) is not None):
            return known
        if self.params.split_field:
            raise FieldError(f"there is no field '{known}' for the splits in '{self.dataset.name}'.")
        return detect_split_source(self.images)

    @cached_property
    def counts(self) -> ClassCounts:
        """Images by class and split."""
        return count_classes(self.images, self.labels, self.splits)

    @property
    def dataset(self) -> fo.Dataset:
        """The whole dataset."""
        return dataset_of(self.view)

    def run(self, key: str) -> SavedRun | None:
        """Return a run, None where there is none."""
        return self.runs.get(key)

    def field(self, key: str, param: str) -> str | None:
        """Return the field that a run wrote under the name of one of its settings; None where it is not there."""
        run = self.run(key)
        field = None if run is None else run.params.get(param)
        return field if field and self.dataset.has_field(field) else None

    def count(self, match: Condition) -> int:
        """Return how many of the images meet a condition."""
        return self.images.match(match).count()

    def values(self, match: Condition, *expressions: Any) -> dict[Any, int]:
        """Return value -> number of the images that meet a condition; of several expressions, tuples of values."""
        key: Any = expressions[0] if len(expressions) == 1 else {str(at): each for at, each in enumerate(expressions)}
        rows = self.images.match(match)._aggregate(pipeline=[{"$group": {"_id": key, "images": {"$sum": 1}}}])
        if len(expressions) == 1:
            return {row["_id"]: row["images"] for row in rows}
        return {tuple(row["_id"].get(str(at)) for at in range(len(expressions))): row["images"] for row in rows}

    def stale(self, key: str) -> str:
        """Return why what a run found is older than the dataset, "" where it is not or there is no such run."""
        run = self.run(key)
        if run is None:
            return ""
        reasons = [runs.is_stale(self.dataset, key) or ""]
        if key == LEAKS_RUN:
            reasons.append(self._moved_since(run))
        return " and ".join(filter(None, reasons))

    def added_since(self, newest_sample: str | None) -> Condition:
        """Return the condition for images that were added after one."""
        return {"_id": {"$gt": ObjectId(newest_sample)}} if newest_sample else {}

    def _moved_since(self, run: SavedRun) -> str:
        moved = sum(
            each.summary["samples"]
            for each in list_logged(self.dataset)
            if each.method == moving.METHOD and each.time > run.time and not undone_at(each)
        )
        return f"{counted(moved, 'sample was', 'samples were')} moved between splits since" if moved else ""


def read_sources(view: Collection, params: DatasetHealthParams) -> Sources:
    """Return what the figures of a collection are counted from.

    Raises:
        DataError: It holds something else than images.
    """
    if isinstance(view, fo.DatasetView) and (view._is_patches or view._is_frames or view._is_clips):
        raise DataError(
            f"the view of '{view.dataset_name}' shows patches, frames or clips, but the health of a dataset is about "
            "whole images. Use the dataset."
        )
    if view.media_type not in ("image", "group", None) and view.count():
        raise DataError(f"'{dataset_of(view).name}' holds {view.media_type} samples, but images are needed.")
    known = {run.key: run for run in runs.list_runs(view)}
    return Sources(view, params, single_images(view), known)
