"""What a person decided about the labels of images that may have several, remembered on the labels themselves.

A label that is not there can hold no attribute, so decisions lie beside the labels, in the `fo.Classifications`:
`decisions`, at most one a class, says of each `label` whether it was `present` when it was decided about, the
`decision` ("accepted", "kept" or "unsure"), `by` whom, `at` what time (UTC) and in which `run` of the action log. When
somebody adds or removes the label afterwards, the decision is void. `history` lists the labels that were added and
removed, the oldest first. All of this goes where the labels go, and leaves with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import fiftyone as fo

from .fields import add_label_attributes
from .label_changes import ADD, REMOVE
from .label_decisions import ACCEPTED, KEPT, Decision
from .views import Collection, has_path

CONFIRMING = (ACCEPTED, KEPT)

DECISIONS, _HISTORY = "decisions", "history"
_LABELS = "classifications"
# What a decision may change beside the labels. Logits are a model's, about the labels that it gave.
TOUCHED = ("logits", DECISIONS, _HISTORY)


def read_label_set_decisions(view: Collection, label_field: str) -> dict[str, dict[str, str]]:
    """Return sample id -> class -> decision, of those that are not void.

    Args:
        view: The collection.
        label_field: Field of `fo.Classifications`.
    """
    found: dict[str, dict[str, str]] = {}
    for key, names, decisions in _decided(view, label_field):
        valid = {each["label"]: each["decision"] for each in _standing(names, decisions)}
        if valid:
            found[key] = valid
    return found


def decided_labels(view: Collection, label_field: str) -> dict[str, dict[str, bool]]:
    """Return sample id -> class -> whether the label is there, of all that was decided about, void or not."""
    return {
        key: {each["label"]: each["label"] in names for each in decisions}
        for key, names, decisions in _decided(view, label_field)
    }


def names_of(labels: Mapping[str, Any]) -> frozenset[str]:
    """Return the classes of an image's labels, as `fo.Classifications.to_dict` returns these."""
    return frozenset(each["label"] for each in labels.get(_LABELS) or () if each.get("label"))


def standing_decisions(labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the decisions about an image's labels that are not void, as these hold them, the latest last."""
    return sorted(_standing(names_of(labels), labels.get(DECISIONS) or ()), key=lambda each: each["at"])


def declare_decisions(view: Collection, label_field: str) -> None:
    """Tell the dataset of the attributes.

    Raises:
        FieldError: The labels have an attribute of such a name that is not Winnow's.
    """
    lists = dict.fromkeys((DECISIONS, _HISTORY), (fo.ListField, fo.DictField))
    add_label_attributes(view, label_field, lists)


def decide_label_set(held: Mapping[str, Any], cells: Mapping[str, bool], decision: Decision) -> dict[str, Any]:
    """Return the document of an image's labels after a decision about some of its classes.

    Args:
        held: As `fo.Classifications.to_dict` returns it.
        cells: Class -> whether the image has the label from now on, possibly the same as before.
        decision: What was decided; one to forget takes back what was decided about these classes before.
    """
    labels = list(held.get(_LABELS) or [])
    present = {label.get("label") for label in labels}
    added = [name for name, there in sorted(cells.items()) if there and name not in present]
    removed = [name for name, there in sorted(cells.items()) if not there and name in present]
    after = dict(held)
    who = {"by": decision.by, "at": decision.at, "run": decision.run}
    if added or removed:
        new = [fo.Classification(label=name).to_dict() for name in added]
        after[_LABELS] = [label for label in labels if label.get("label") not in removed] + new
        changes = [(name, ADD) for name in added] + [(name, REMOVE) for name in removed]
        made = [{"label": name, "change": change, **who} for name, change in changes]
        after[_HISTORY] = [*(held.get(_HISTORY) or ()), *made]
        after.pop("logits", None)
    after[DECISIONS] = [each for each in held.get(DECISIONS) or () if each["label"] not in cells]
    if decision.decision is not None:
        for name, there in sorted(cells.items()):
            after[DECISIONS].append({"label": name, "present": there, "decision": decision.decision, **who})
    return after


def same_label_set(held: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents hold the same labels by name, and the same decisions."""
    return _names(held) == _names(other) and all(held.get(name) == other.get(name) for name in TOUCHED)


def earlier_label_set(held: Mapping[str, Any], was: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that takes a decision back: the labels of `was`, with what they got since, and its decisions.

    Args:
        held: The labels as they are now.
        was: As they were before the decision.
    """
    now = {label["_id"]: label for label in held.get(_LABELS) or []}
    others = {name: value for name, value in held.items() if name not in TOUCHED}
    labels = {_LABELS: [now.get(label["_id"], label) for label in was[_LABELS]]} if _LABELS in was else {}
    return others | labels | {name: was[name] for name in TOUCHED if name in was}


def _standing(names: Set[str], decisions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in decisions if (each["label"] in names) == each["present"]]


def _names(labels: Mapping[str, Any]) -> list[str]:
    return [label.get("label") for label in labels.get(_LABELS) or []]


def _decided(view: Collection, label_field: str) -> list[tuple[str, set[str], list[dict[str, Any]]]]:
    """Return sample id, labels and decisions of the samples about which anything was decided, by id."""
    path = f"{label_field}.{DECISIONS}"
    if not has_path(view, path):
        return []
    decided = view.match({f"{path}.0": {"$exists": True}}).sort_by("id")
    columns = decided.values(["id", f"{label_field}.{_LABELS}.label", path])
    return [(key, set(names or ()), decisions) for key, names, decisions in zip(*columns, strict=True)]
