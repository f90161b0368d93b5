"""The boxes of detections in a collection: each one an image of its own to the engine."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from ..errors import DataError, FieldError
from .samples import objects
from .views import Collection, check_images, dataset_of, describe_field

_BOXES = {fo.Detections: ".detections", fo.Detection: ""}


@dataclass(frozen=True, eq=False)
class Patches:
    """The boxes of n detections, those of one image after each other.

    Attributes:
        field: The field of detections.
        ids: (n,) object. Label ids.
        sample_ids: (n,) object. Ids of the samples that they belong to.
        paths: (n,) object. Absolute file paths.
        boxes: (n, 4) float64. Left, top, width, height as shares of the image; NaN where a box does not have four.
        names: (n,) object. Their class labels; None = none.
    """

    field: str
    ids: np.ndarray
    sample_ids: np.ndarray
    paths: np.ndarray
    boxes: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, keep: np.ndarray) -> Patches:
        """Return the patches where (n,) `keep` is true."""
        columns = (self.ids, self.sample_ids, self.paths, self.boxes, self.names)
        return Patches(self.field, *(column[keep] for column in columns))


def patch_fields(view: Collection) -> list[str]:
    """Return the fields of detections, whose boxes can be looked at as images."""
    schema = view.get_field_schema()
    return [name for name, field in schema.items() if getattr(field, "document_type", None) in _BOXES]


def shown_patches(view: Collection) -> str | None:
    """Return the field whose patches the view shows, None where it shows whole images.

    Raises:
        DataError: It shows patches of something else than one field of detections.
    """
    if not (isinstance(view, fo.DatasetView) and view._is_patches):
        return None
    field = getattr(view, "patches_field", None)
    if field is None or dataset_of(view).get_field(field).document_type not in _BOXES:
        raise DataError(
            f"the view of '{dataset_of(view).name}' shows patches that are not those of one field of detections. "
            f"Use a view of whole images, or of patches of: {', '.join(patch_fields(dataset_of(view))) or 'none'}."
        )
    return field


def read_patches(view: Collection, field: str) -> Patches:
    """Read the boxes of a field of detections, in a view of images or of patches.

    Raises:
        DataError: The collection is empty, holds something else than images, or none of them has a detection.
        FieldError: The field does not exist or holds no detections.
    """
    if shown_patches(view) is None:
        check_images(view)
    check_patch_field(view, field)
    columns = _of_patches(view, field) if shown_patches(view) else _of_images(view, field)
    if not columns[0]:
        raise DataError(f"no image has a detection in field '{field}' of '{dataset_of(view).name}'.")
    ids, sample_ids, paths, boxes, names = (objects(column) for column in columns)
    order = np.lexsort((ids.astype(str), sample_ids.astype(str)))
    numbers = np.array([box_numbers(boxes[row]) for row in order])
    return Patches(field, ids[order], sample_ids[order], paths[order], numbers, names[order])


def check_patch_field(view: Collection, name: str) -> None:
    """Make sure that a field holds detections.

    Raises:
        FieldError: It does not exist, or holds something else.
    """
    dataset = dataset_of(view)
    field = dataset.get_field(name)
    if getattr(field, "document_type", None) not in _BOXES:
        holds = f"holds {describe_field(field)}" if field else "does not exist"
        raise FieldError(
            f"field '{name}' of '{dataset.name}' {holds}, so it has no boxes. Fields of detections are: "
            f"{', '.join(patch_fields(dataset)) or 'none'}."
        )


def label_path(view: Collection, field: str) -> str:
    """Return where the detections of a field lie in a sample, such as `ground_truth.detections`."""
    return field + _BOXES[dataset_of(view).get_field(field).document_type]


def has_patches(view: Collection, field: str) -> bool:
    """Whether FiftyOne can show a field's detections as patches: only where an image may have several."""
    return dataset_of(view).get_field(field).document_type is fo.Detections


def _of_patches(view: Collection, field: str) -> list[list]:
    return list(view.values(["id", "sample_id", "filepath", f"{field}.bounding_box", f"{field}.label"]))


def _of_images(view: Collection, field: str) -> list[list]:
    path = label_path(view, field)
    many = path != field
    columns: list[list] = [[], [], [], [], []]
    for sample_id, filepath, *of_labels in zip(
        *view.values(["id", "filepath", *(f"{path}.{name}" for name in ("id", "bounding_box", "label"))]), strict=True
    ):
        found = zip(*(values or [] for values in of_labels), strict=True) if many else [of_labels] * bool(of_labels[0])
        for label_id, box, label in found:
            for column, value in zip(columns, (label_id, sample_id, filepath, box, label), strict=True):
                column.append(value)
    return columns


def box_numbers(box: object) -> list[float]:
    """Return the four numbers of a box as it is stored; NaN for what is none."""
    if isinstance(box, (list, tuple)) and len(box) == 4:
        return [float(number) if isinstance(number, (int, float)) else np.nan for number in box]
    return [np.nan] * 4
