"""Labels that annotators gave, as documents of the database: who gave them, when, and what was there before.

Flat attributes of the label say `annotator` (several: their names, with commas), `annotated_at` (UTC), `agreement`
(share of several annotators who say so), `lead_time` (seconds, of all of them together), `blind` (nobody had a
prediction in sight) and `from_prediction` (somebody started from one). Where an image may have several labels, the list
of them has these attributes too, as an image with none of the classes was annotated all the same. `history` is that of
`label_decisions` and `multi_label_decisions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo

from ..errors import FieldError
from ..labeling.reconciling import PlainLabel
from .documents import Document
from .fields import add_label_attributes, is_own
from .label_decisions import TOUCHED as TOUCHED_BY_DECISIONS
from .label_decisions import Decision, decide
from .multi_label_decisions import decide_label_set, earlier_label_set, same_label_set
from .relabelling import check_editable
from .views import Collection, dataset_of, describe_field

ATTRIBUTES: dict[str, tuple[type[fo.Field], None]] = {
    "annotator": (fo.StringField, None),
    "annotated_at": (fo.DateTimeField, None),
    "agreement": (fo.FloatField, None),
    "lead_time": (fo.FloatField, None),
    "blind": (fo.BooleanField, None),
    "from_prediction": (fo.BooleanField, None),
}
_ELEMENTS = "classifications"
_TOUCHED = (*TOUCHED_BY_DECISIONS, *ATTRIBUTES)


def holds_several(view: Collection, field: str) -> bool | None:
    """Return whether a field holds several labels an image; None where it does not exist.

    Raises:
        FieldError: It holds something else than labels of whole images, results of Winnow's, or is read-only.
    """
    found = dataset_of(view).get_field(field)
    if found is None:
        return None
    kind = getattr(found, "document_type", None)
    if kind not in (fo.Classification, fo.Classifications):
        raise FieldError(
            f"field '{field}' of '{dataset_of(view).name}' holds {describe_field(found)}, so no labels of images go "
            "there. Name a field of Classification or Classifications, or a new one, with --field CONTROL=FIELD."
        )
    if is_own(view, field):
        raise FieldError(
            f"field '{field}' holds results of Winnow's, not labels. Name another with --field CONTROL=FIELD."
        )
    check_editable(view, field)
    return kind is fo.Classifications


def make_label_field(view: Collection, field: str, *, several: bool) -> None:
    """Make a field for labels, which is the user's and not Winnow's, where it does not exist, and its attributes.

    Raises:
        FieldError: Its labels have an attribute of such a name that is not Winnow's.
    """
    dataset = dataset_of(view)
    if dataset.get_field(field) is None:
        kind = fo.Classifications if several else fo.Classification
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=kind)
    add_label_attributes(dataset, field, {**ATTRIBUTES, "history": (fo.ListField, fo.DictField)})
    if several:
        add_label_attributes(dataset, f"{field}.{_ELEMENTS}", ATTRIBUTES)


def plain_label(document: Mapping[str, Any] | None, *, several: bool) -> PlainLabel:
    """Return what a label's document says, in plain JSON."""
    if document is None:
        return None
    if several:
        return sorted(each["label"] for each in document.get(_ELEMENTS) or [] if each.get("label"))
    return document.get("label") or None


def labelled(
    held: Mapping[str, Any] | None, label: PlainLabel, attributes: Mapping[str, Any], decision: Decision
) -> Document | None:
    """Return a label's document after annotators gave it.

    Args:
        held: What is there, as the database keeps it.
        label: What it says from now on; None = there is none.
        attributes: Some of `ATTRIBUTES`.
        decision: Who changed it, when, and in which run; its `decision` is None, as nobody has judged it.
    """
    if label is None:
        return None
    return (
        _set(held, label, attributes, decision) if isinstance(label, list) else _one(held, label, attributes, decision)
    )


def same_label(held: Mapping[str, Any] | None, other: Mapping[str, Any] | None, *, several: bool) -> bool:
    """Whether two documents hold the same labels, from the same annotators, with the same decisions."""
    if held is None or other is None:
        return held is other
    if any(held.get(name) != other.get(name) for name in ATTRIBUTES):
        return False
    if several:
        return same_label_set(held, other)
    return all(held.get(name) == other.get(name) for name in TOUCHED_BY_DECISIONS)


def earlier_label(held: Mapping[str, Any] | None, was: Mapping[str, Any] | None, *, several: bool) -> Document | None:
    """Return the document that takes it back: the label of `was`, with what else it got since."""
    if was is None or held is None:
        return None if was is None else dict(was)
    if several:
        kept = {name: was[name] for name in ATTRIBUTES if name in was}
        back = earlier_label_set(_without(held), was)
        elements = {each["_id"]: each for each in was.get(_ELEMENTS) or []}
        back[_ELEMENTS] = [_element_back(each, elements[each["_id"]]) for each in back.get(_ELEMENTS) or []]
        return back | kept
    others = {name: value for name, value in held.items() if name not in _TOUCHED}
    return others | {name: was[name] for name in _TOUCHED if name in was}


def _one(held: Mapping[str, Any] | None, label: str, attributes: Mapping[str, Any], decision: Decision) -> Document:
    if held is None or not held.get("label"):
        after = {**(held or {}), **fo.Classification(label=label).to_dict()}
    else:
        after = decide(held, label, decision) if held["label"] != label else dict(held)
    return {**_without(after), **attributes}


def _set(
    held: Mapping[str, Any] | None, names: list[str], attributes: Mapping[str, Any], decision: Decision
) -> Document:
    there = dict(held) if held is not None else fo.Classifications(classifications=[]).to_dict()
    now = {each.get("label") for each in there.get(_ELEMENTS) or []}
    changed = {name: name in names for name in now.symmetric_difference(names) if name}
    after = decide_label_set(there, changed, decision) if changed and held is not None else there
    if held is None:
        after[_ELEMENTS] = [fo.Classification(label=name).to_dict() for name in names]
    after[_ELEMENTS] = [{**_without(each), **attributes} for each in after.get(_ELEMENTS) or []]
    return {**_without(after), **attributes}


def _without(document: Mapping[str, Any]) -> Document:
    """Return a label without what earlier annotators left on it."""
    return {name: value for name, value in document.items() if name not in ATTRIBUTES}


def _element_back(now: Mapping[str, Any], was: Mapping[str, Any]) -> Document:
    return _without(now) | {name: was[name] for name in ATTRIBUTES if name in was}
