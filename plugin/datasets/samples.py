"""The neutral picture of a FiftyOne collection that the engine works on."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from ..errors import DataError, FieldError
from .fields import is_own
from .split_names import read_splits, split_sources
from .views import Collection, check_images, dataset_of, describe_field

__all__ = [
    "DEFAULT_LABEL_FIELD",
    "Samples",
    "chosen_label_field",
    "classification_fields",
    "label_fields",
    "read_samples",
    "split_sources",
]

DEFAULT_LABEL_FIELD = "ground_truth"


@dataclass(frozen=True, eq=False)
class Samples:
    """What the engine needs to know of n images.

    Attributes:
        ids: (n,) object. Sample ids as strings, in ascending order.
        paths: (n,) object. Absolute file paths.
        labels: (n,) int64. Index into `classes`, -1 where the sample has no label.
        classes: Class names, sorted; every one of them occurs.
        splits: (n,) object. "train", "validation", "test", a user's own split name, or "" for the pool (no split).
        label_field: Field that the labels were read from, or None.
        split_source: "tags", the name of a field, or None where the collection has no splits.
        notes: Sentences for the user: split names that were mapped, unlabelled or untagged samples and their number.
    """

    ids: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    splits: np.ndarray
    label_field: str | None
    split_source: str | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def read_samples(
    view: Collection, label_field: str | None = None, split_field: str | None = None, *, need_labels: bool = False
) -> Samples:
    """Read a collection in bulk.

    Args:
        view: A dataset or a view of images.
        label_field: A field of `fo.Classification`. None = the only one, or `ground_truth` among several; fields that
            Winnow wrote don't count.
        split_field: "tags", or a field with the names of splits. None = a text field `split`, else tags, else none.
        need_labels: Make it an error when there is no label field, or no label in it.

    Raises:
        DataError: The collection is empty or does not consist of images; no sample has a label.
        FieldError: A field does not exist or is of the wrong type, or it is open which one holds the labels.
    """
    check_images(view)
    notes: list[str] = []
    field = _chosen_label_field(view, label_field, need_labels, notes)
    ids = objects(view.values("id"))
    order = np.argsort(ids, kind="stable")
    names = objects(view.values(f"{field}.label") if field else [None] * len(ids))
    classes, labels = encode_labels(names)
    if field and not classes and need_labels:
        raise DataError(
            f"no sample has a label in field '{field}' of '{dataset_of(view).name}'. Label some images first."
        )
    unlabelled = int(np.sum(labels < 0))
    if field and unlabelled:
        notes.append(f"{unlabelled} of {len(ids)} samples have no label in '{field}'")
    splits, split_source, split_notes = read_splits(view, split_field)
    return Samples(
        ids=ids[order],
        paths=objects(view.values("filepath"))[order],
        labels=labels[order],
        classes=classes,
        splits=splits[order],
        label_field=field,
        split_source=split_source,
        notes=(*notes, *split_notes),
    )


def label_fields(view: Collection) -> list[str]:
    """Return the fields of labels, one an image, the default one first.

    They are those of `fo.Classification` that Winnow did not write, and whose first label has neither confidence nor
    logits: what has is taken for a model's predictions, unless it is in the default field.
    """
    return [name for name in classification_fields(view) if name == DEFAULT_LABEL_FIELD or not _predicted(view, name)]


def classification_fields(view: Collection) -> list[str]:
    """Return the fields of `fo.Classification` that Winnow did not write, predictions too, the default one first."""
    fields = [
        name
        for name, field in view.get_field_schema().items()
        if getattr(field, "document_type", None) is fo.Classification and not is_own(view, name)
    ]
    return sorted(fields, key=lambda name: (name != DEFAULT_LABEL_FIELD, name))


def _predicted(view: Collection, name: str) -> bool:
    first = view.exists(name).limit(1).values([f"{name}.{part}" for part in ("confidence", "logits")])
    return any(value is not None for values in first for value in values)


def chosen_label_field(view: Collection, asked: str | None) -> str:
    """Return the field that labels are read from: the one that is asked for, the only one, or `ground_truth`.

    Raises:
        FieldError: There is none, several, or the one that is asked for holds something else.
    """
    return str(_chosen_label_field(view, asked, True, []))


def _chosen_label_field(view: Collection, asked: str | None, needed: bool, notes: list[str]) -> str | None:
    """Return the field to read labels from; None where there is none and none is needed."""
    name, known = dataset_of(view).name, classification_fields(view)
    listed = f"Fields of Classification labels are: {', '.join(known) or 'none'}."
    if asked:
        field = view.get_field(asked)
        if field is None:
            raise FieldError(f"there is no field '{asked}' in '{name}'. {listed}")
        if getattr(field, "document_type", None) is not fo.Classification:
            raise FieldError(f"field '{asked}' of '{name}' holds {describe_field(field)}, not Classification. {listed}")
        return asked
    fields = label_fields(view)
    if len(fields) == 1 or DEFAULT_LABEL_FIELD in fields:
        return fields[0]
    if not fields:
        if needed and known:
            raise FieldError(
                f"'{name}' has no field of labels: those of {', '.join(known)} have a confidence, as a model's "
                "predictions have. If they are labels all the same, name the field as label field."
            )
        if needed:
            raise FieldError(f"'{name}' has no field of Classification labels, {_labels_found(view)}")
        return None
    if needed:
        raise FieldError(f"'{name}' has several label fields. Name the one to use as label field. {listed}")
    notes.append(f"no labels were read, as there are several label fields ({', '.join(fields)}); name one to use it")
    return None


def _labels_found(view: Collection) -> str:
    """Say what labels there are instead, and what to do."""
    others = [
        f"'{name}' ({field.document_type.__name__})"
        for name, field in view.get_field_schema(embedded_doc_type=fo.Label).items()
        if field.document_type is not fo.Classification
    ]
    found = f"only {', '.join(others)}" if others else "nor labels of another kind"
    return f"{found}. Put one label a sample into a field of fo.Classification, e.g. `{DEFAULT_LABEL_FIELD}`."


def encode_labels(names: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the sorted class names, and the (n,) int64 index into them of each label; no or an empty name is -1."""
    classes = tuple(sorted({name for name in names if name}))
    index = {name: row for row, name in enumerate(classes)}
    return classes, np.array([index.get(name, -1) for name in names], dtype=np.int64)


def objects(values: list) -> np.ndarray:
    """Return the values as an array of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
