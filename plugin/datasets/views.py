"""What a job may be given: a dataset or a view of single images."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import json_util

from ..errors import DataError

Collection: TypeAlias = fo.Dataset | fo.DatasetView


def dataset_of(view: Collection) -> fo.Dataset:
    """Return the dataset that the view is a view of."""
    return view if isinstance(view, fo.Dataset) else fo.load_dataset(view.dataset_name)


def has_path(view: Collection, path: str) -> bool:
    """Whether the dataset has a field or an attribute of labels, which another process may have made meanwhile."""
    dataset = dataset_of(view)
    # Only where it is needed: views that were looked into before a dataset is loaded anew can't read its later fields.
    if dataset.get_field(path) is None and _is_stored(dataset, path):
        dataset.reload()
    return dataset.get_field(path) is not None


def _is_stored(dataset: fo.Dataset, path: str) -> bool:
    """Whether the database knows a field, though the dataset in memory may not."""
    stored = foo.get_db_conn().datasets.find_one({"_id": dataset._doc.id}, {"sample_fields": True}) or {}
    fields = stored.get("sample_fields")
    for name in path.split("."):
        field = next((each for each in fields or () if each["name"] == name), None)
        if field is None:
            return False
        fields = field.get("fields")
    return True


def view_key(view: Collection) -> str:
    """Return letters and digits by which the same view of the same dataset is known in another session."""
    dataset = dataset_of(view)
    stages = [] if isinstance(view, fo.Dataset) else view._serialize(include_uuids=False)
    shown = hashlib.sha256(json_util.dumps(stages).encode()).hexdigest()[:12] if stages else "all"
    return f"{dataset._doc.id}-{shown}"


def every_image(view: Collection) -> Collection:
    """Return all images of the dataset: of a grouped one all slices, of which a `fo.Dataset` shows one at a time."""
    dataset = dataset_of(view)
    return dataset.select_group_slices(media_type="image") if dataset.media_type == "group" else dataset


def image_slices(view: Collection) -> list[str]:
    """Return the slices of a grouped collection that hold images; none where it is not grouped."""
    if view.media_type != "group":
        return []
    return [name for name, media_type in (view.group_media_types or {}).items() if media_type == "image"]


def one_slice(view: Collection, name: str | None) -> Collection:
    """Return the images of one slice of a grouped collection; another collection as it is, where no slice is named.

    Raises:
        DataError: There is no such slice, or it does not hold images.
    """
    if name is None:
        return view
    slices = image_slices(view)
    if name not in slices:
        known = f"its slices of images are: {', '.join(slices)}" if slices else "it is not grouped, so name no slice"
        raise DataError(f"'{dataset_of(view).name}' has no slice '{name}' of images; {known}.")
    return view.select_group_slices(name)


def load_view(dataset: fo.Dataset, name: str) -> fo.DatasetView:
    """Return a saved view.

    Raises:
        DataError: There is none of that name.
    """
    if not dataset.has_saved_view(name):
        known = ", ".join(dataset.list_saved_views()) or "none"
        raise DataError(f"dataset '{dataset.name}' has no saved view '{name}'; its saved views are: {known}.")
    return dataset.load_saved_view(name)


def check_whole_images(view: Collection) -> None:
    """Make sure that the collection is no view of parts of samples.

    Raises:
        DataError: It shows patches, frames or clips.
    """
    if isinstance(view, fo.DatasetView) and (view._is_patches or view._is_frames or view._is_clips):
        raise DataError(
            f"the view of '{dataset_of(view).name}' shows patches, frames or clips, but whole images are needed. "
            "Use the dataset, or turn the view into a dataset of images first: view.clone('NAME')."
        )


def check_images(view: Collection) -> None:
    """Make sure that each element of the collection is one whole image.

    Raises:
        DataError: It is empty, or holds videos, groups, object patches or anything else than images.
    """
    name = dataset_of(view).name
    check_whole_images(view)
    if view.media_type == "group":
        raise DataError(
            f"'{name}' is grouped (slices: {', '.join(view.group_slices or []) or 'dynamic'}), but single images are "
            "needed. Choose a slice: in the form, with --slice SLICE, or with view.select_group_slices('SLICE')."
        )
    if view.count() == 0:
        what = "dataset" if isinstance(view, fo.Dataset) else "view of dataset"
        raise DataError(f"{what} '{name}' has no samples. Add images, or choose a view that shows some.")
    if view.media_type != "image":
        raise DataError(
            f"'{name}' holds {view.media_type or 'unknown'} samples, but images are needed. "
            + ("Extract images first: dataset.to_frames(sample_frames=True)." if view.media_type == "video" else "")
        )


def describe_field(field: fo.Field) -> str:
    """Return the name of what a field holds, such as `Classification` or `FloatField`."""
    return (getattr(field, "document_type", None) or type(field)).__name__


def single_images(view: Collection) -> Collection:
    """Return the images of a collection one by one: those of all groups and slices where it is grouped."""
    if isinstance(view, fo.DatasetView) and view._is_dynamic_groups:
        return view.flatten()
    return view.select_group_slices(media_type="image") if view.media_type == "group" else view
