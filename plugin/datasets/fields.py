"""Writes results into fields, in bulk and by sample id.

A field that Winnow makes is marked as its own in the dataset's schema. Only such fields are ever overwritten or
cleared, so that no job can destroy labels or anything else that a person put into the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import fiftyone as fo
import numpy as np

from ..errors import FieldError
from .views import Collection, dataset_of, describe_field, every_image, has_path

Kind = Literal["int", "float", "bool", "str", "vector"]

FIELD_TYPES: dict[str, type[fo.Field]] = {
    "int": fo.IntField,
    "float": fo.FloatField,
    "bool": fo.BooleanField,
    "str": fo.StringField,
    "vector": fo.VectorField,
}
_PLAIN_TYPES: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "bool": bool, "str": str}
GIVEN = "given"  # attribute of a suggested label: the label that it is suggested in place of
_MARK = "winnow"  # key in the field's `info`
_CHUNK = 20_000
_VECTOR_CHUNK = 1_000  # a number of a vector takes 32 bytes on its way into the database


def write_values(
    view: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    values: Sequence[Any] | np.ndarray,
    *,
    kind: Kind,
    label_field: str | None = None,
) -> None:
    """Make `field` hold these values, and nothing of an earlier run: other samples of the view get None.

    Args:
        view: The collection that the job ran on; samples outside it keep what they have.
        field: Name of the field, which is made, and indexed, when it does not exist.
        ids: n sample ids.
        values: n values (arrays are fine); None and NaN are stored as None, "no value".
        kind: What the field holds, so that it exists even where every value is None.
        label_field: Field that the job read its labels from; it can't be written to.

    Raises:
        FieldError: The field is the label field, is not Winnow's, holds something else, or its name is not possible.
    """
    _check_lengths(ids, values)
    _make_value_field(dataset_of(view), field, kind, label_field)
    _replace(view, field, ids, values, converter(kind), chunk=chunk_of(kind))


def set_own_values(
    view: Collection, field: str, ids: Sequence[str] | np.ndarray, values: Sequence[Any] | np.ndarray, *, kind: Kind
) -> None:
    """Set a field of Winnow's for these samples alone; all others keep what they have. Arguments as `write_values`.

    Raises:
        FieldError: As for `write_values`.
    """
    _check_lengths(ids, values)
    _make_value_field(dataset_of(view), field, kind, None)
    _set(every_image(view), field, ids, values, converter(kind), chunk_of(kind))


def write_labels(
    view: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    labels: Sequence[str | None],
    confidences: Sequence[float | None],
    *,
    given: Sequence[str] | None = None,
    label_field: str | None = None,
) -> None:
    """Make `field` hold these labels as `fo.Classification`, and nothing of an earlier run, as `write_values` does.

    Args:
        view: The collection that the job ran on.
        field: Name of the field.
        ids: n sample ids.
        labels: n labels; None leaves the sample without a prediction.
        confidences: n numbers in 0..1, or None.
        given: n labels in whose place these are suggested, kept as their attribute `given`, so that a label which was
            changed meanwhile can be told from the one that was judged.
        label_field: Field that the job read its labels from; it can't be written to.

    Raises:
        FieldError: As for `write_values`.
    """
    _check_lengths(ids, labels)
    _check_lengths(ids, confidences)
    _check_lengths(ids, labels if given is None else given)
    dataset = dataset_of(view)
    make_label_field(dataset, field, fo.Classification, field, label_field)
    if given is None:
        _replace(view, field, ids, list(zip(labels, confidences, strict=True)), _classification)
        return
    if dataset.get_field(f"{field}.{GIVEN}") is None:
        dataset.add_sample_field(f"{field}.{GIVEN}", fo.StringField, info={_MARK: True})
    _replace(view, field, ids, list(zip(labels, confidences, given, strict=True)), _classification)


def write_label_lists(
    view: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    labels: Sequence[fo.Classifications],
    *,
    attributes: Mapping[str, type[fo.Field]],
    of_lists: Mapping[str, type[fo.Field]],
    label_field: str | None = None,
) -> None:
    """Make `field` hold these lists of labels, and nothing of an earlier run, as `write_values` does.

    Args:
        view: The collection that the job ran on.
        field: Name of the field.
        ids: n sample ids.
        labels: n lists.
        attributes: Name -> type of attributes that the labels have.
        of_lists: Name -> type of attributes that the lists themselves have.
        label_field: Field that the job read its labels from; it can't be written to.

    Raises:
        FieldError: As for `write_values`.
    """
    _check_lengths(ids, labels)
    dataset = dataset_of(view)
    make_label_field(dataset, field, fo.Classifications, f"{field}.classifications", label_field)
    for path, declared in ((field, of_lists), (f"{field}.classifications", attributes)):
        add_label_attributes(view, path, {name: (kind, None) for name, kind in declared.items()})
    _replace(view, field, ids, labels, lambda value: value)


def make_label_field(dataset: fo.Dataset, field: str, kind: type[fo.Label], path: str, label_field: str | None) -> None:
    """Make a field of labels, which lie at `path`, and index label and confidence, where it does not exist.

    Raises:
        FieldError: As for `write_values`.
    """
    if _check_writable(dataset, field, kind, label_field):
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=kind, info={_MARK: True})
        dataset.create_index(f"{path}.label")
        dataset.create_index(f"{path}.confidence")


def check_value_field(view: Collection, field: str, *, kind: Kind) -> None:
    """Make sure that `write_values` can write: to be called before long work.

    Raises:
        FieldError: As for `write_values`.
    """
    _check_writable(dataset_of(view), field, FIELD_TYPES[kind], None)


def add_label_attributes(
    view: Collection, path: str, attributes: Mapping[str, tuple[type[fo.Field], type[fo.Field] | None]]
) -> list[str]:
    """Make attributes of labels, marked as Winnow's, where they do not exist: all of them or, on an error, none.

    Args:
        view: Any collection of the dataset.
        path: Where the labels lie in a sample.
        attributes: Name -> type, and type of the elements of a list.

    Returns:
        The names of those that are new.

    Raises:
        FieldError: As for `write_values`.
    """
    new = [name for name, (kind, _) in attributes.items() if check_label_attribute(view, path, name, kind)]
    for name in new:
        kind, subfield = attributes[name]
        dataset_of(view).add_sample_field(f"{path}.{name}", kind, subfield=subfield, info={_MARK: True})
    return new


def check_label_attribute(view: Collection, path: str, name: str, kind: type[fo.Field] = fo.VectorField) -> bool:
    """Make sure that an attribute can be made, to be called before long work; return whether it is new.

    Raises:
        FieldError: As for `write_values`.
    """
    dataset, attribute = dataset_of(view), f"{path}.{name}"
    is_new = _check_writable(dataset, attribute, kind, None, name=name)
    if is_new and every_image(view).match({attribute: {"$ne": None}}).limit(1).count():
        raise FieldError(_not_ours(dataset, attribute))  # one that nobody declared
    return is_new


def clear_field(view: Collection, field: str) -> None:
    """Remove a field that Winnow made: the field itself for a dataset, its values within a view.

    Raises:
        FieldError: Winnow did not make the field. A field that does not exist is fine.
    """
    dataset = dataset_of(view)
    if not dataset.has_field(field):
        return
    if not is_own(dataset, field):
        raise FieldError(f"field '{field}' of '{dataset.name}' was not made by Winnow, so Winnow does not delete it.")
    if isinstance(view, fo.Dataset):
        dataset.delete_sample_field(field)
    else:
        _replace(view, field, [], [], lambda value: value)


def add_text_list(view: Collection, field: str) -> None:
    """Make a field of lists of strings, marked as Winnow's and indexed, where it does not exist.

    Raises:
        FieldError: It exists and is not Winnow's, or holds something else.
    """
    dataset = dataset_of(view)
    if _check_writable(dataset, field, fo.ListField, None):
        dataset.add_sample_field(field, fo.ListField, subfield=fo.StringField, info={_MARK: True})
        dataset.create_index(field)


def is_own(view: Collection, field: str) -> bool:
    """Whether Winnow made the field."""
    return has_path(view, field) and _MARK in (dataset_of(view).get_field(field).info or {})


def mark_own(view: Collection, field: str) -> None:
    """Mark a field that FiftyOne has just made for Winnow as Winnow's."""
    found = dataset_of(view).get_field(field)
    found.info = {**(found.info or {}), _MARK: True}
    found.save()


def _check_lengths(ids: Sequence[str] | np.ndarray, values: Sequence[Any] | np.ndarray) -> None:
    if len(ids) != len(values):
        raise ValueError(f"{len(ids)} ids, but {len(values)} values")


def _check_writable(
    dataset: fo.Dataset, field: str, wanted: type, label_field: str | None, name: str | None = None
) -> bool:
    """Return whether the field, or attribute `name`, has yet to be made; raise where it can't be written to."""
    if field == label_field:
        raise FieldError(
            f"field '{field}' holds the labels that were read, so no result is written there. Name another."
        )
    name = field if name is None else name
    if not name.isidentifier() or name.startswith("_"):
        raise FieldError(f"'{name}' can't be the name of a field. Use letters, digits and underscores, a letter first.")
    if not has_path(dataset, field):
        return True
    existing = dataset.get_field(field)
    if getattr(existing, "document_type", type(existing)) is not wanted:
        raise FieldError(
            f"field '{field}' of '{dataset.name}' holds {describe_field(existing)}, but the result is "
            f"{wanted.__name__}. Name another field for the result, or delete this one first."
        )
    if not is_own(dataset, field):
        raise FieldError(_not_ours(dataset, field))
    return False


def _not_ours(dataset: fo.Dataset, field: str) -> str:
    return (
        f"field '{field}' of '{dataset.name}' was not made by Winnow, so it is not overwritten. Name another field "
        "for the result, or rename or delete this one first."
    )


def _make_value_field(dataset: fo.Dataset, field: str, kind: Kind, label_field: str | None) -> None:
    """Make a field of plain values, and index it, where it does not exist."""
    if _check_writable(dataset, field, FIELD_TYPES[kind], label_field):
        dataset.add_sample_field(field, FIELD_TYPES[kind], info={_MARK: True})
        if kind != "vector":
            dataset.create_index(field)


def _replace(
    view: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    values: Sequence[Any] | np.ndarray,
    convert: Callable[[Any], Any],
    chunk: int = _CHUNK,
) -> None:
    """Set the values, then empty the field where the view still has one of an earlier run."""
    # Read first and written through the dataset: a view that filters by the field would change under our hands.
    stale = set(view.exists(field).values("id")).difference(ids)
    images = every_image(view)
    _set(images, field, ids, values, convert, chunk)
    empty_values(images, field, sorted(stale))


def _set(
    images: Collection,
    field: str,
    ids: Sequence[str] | np.ndarray,
    values: Sequence[Any] | np.ndarray,
    convert: Callable[[Any], Any],
    chunk: int,
) -> None:
    for start in range(0, len(ids), chunk):
        part = slice(start, start + chunk)
        images.set_values(
            field,
            {str(key): convert(value) for key, value in zip(ids[part], values[part], strict=True)},
            key_field="id",
        )


def empty_values(images: Collection, field: str, ids: list[str]) -> None:
    """Set a field of Winnow's to None for these samples."""
    for start in range(0, len(ids), _CHUNK):
        images.set_values(field, dict.fromkeys(ids[start : start + _CHUNK]), key_field="id")


def chunk_of(kind: Kind) -> int:
    """Return how many values go into the database at a time."""
    return _VECTOR_CHUNK if kind == "vector" else _CHUNK


def converter(kind: Kind) -> Callable[[Any], Any]:
    """Return what turns a value, possibly numpy's, into what MongoDB keeps: NaN there would spoil the App's filters."""
    if kind == "vector":
        return lambda value: [float(number) for number in value]
    plain = _PLAIN_TYPES[kind]
    return lambda value: None if value is None or value != value else plain(value)  # NaN differs from itself


def _classification(prediction: tuple[Any, ...]) -> fo.Classification | None:
    label, confidence, *given = prediction
    if label is None:
        return None
    more = {GIVEN: str(given[0])} if given else {}
    return fo.Classification(label=str(label), confidence=converter("float")(confidence), **more)
