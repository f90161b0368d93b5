"""What a person decided about labels, remembered on the labels themselves.

A decision is a few attributes of the user's own `fo.Classification`: `decision` ("accepted", "kept", "corrected" or
"unsure"), `decided_by`, `decided_at` (UTC), and `decided_label`, the label that it is about: when somebody changes the
label afterwards, the decision is void. `history` holds the labels that were replaced, the oldest first. Being part of
the labels, all of this goes where these go: into clones, exports and the App's sidebar, and it leaves with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fiftyone as fo
import numpy as np

from .fields import add_label_attributes
from .views import Collection, dataset_of, has_path

ACCEPTED, KEPT, CORRECTED, UNSURE = "accepted", "kept", "corrected", "unsure"
# Decisions after which a label is known to be right: the suggested class, the given one, or one that a person named.
CONFIRMING = (ACCEPTED, KEPT, CORRECTED)

DECISION, BY, _AT, ABOUT, _HISTORY = "decision", "decided_by", "decided_at", "decided_label", "history"
_ATTRIBUTES: dict[str, tuple[type[fo.Field], type[fo.Field] | None]] = {
    DECISION: (fo.StringField, None),
    BY: (fo.StringField, None),
    _AT: (fo.DateTimeField, None),
    ABOUT: (fo.StringField, None),
    _HISTORY: (fo.ListField, fo.DictField),
}
# What a decision may change of a label. Confidence and logits are a model's, about the label that it gave.
TOUCHED = ("label", "confidence", "logits", *_ATTRIBUTES)


@dataclass(frozen=True, eq=False)
class LabelDecisions:
    """What a person decided about n labels.

    Attributes:
        confirmed: (n,) bool. The label is right: it was accepted, kept or corrected, and is the same since.
        unsure: (n,) bool. A person looked at the label, which is the same since, and could not tell.
    """

    confirmed: np.ndarray
    unsure: np.ndarray


@dataclass(frozen=True)
class Decision:
    """One person's decision about labels.

    Attributes:
        decision: "accepted", "kept", "corrected" or "unsure"; None = what was decided before is forgotten.
        by: Name of the person.
        at: When, in UTC, whole seconds.
        run: Key of the action in the log.
    """

    decision: str | None
    by: str
    at: datetime
    run: str


def read_label_decisions(view: Collection, ids: np.ndarray, label_field: str | None) -> LabelDecisions:
    """Return what was decided about the labels of these samples.

    Args:
        view: The collection.
        ids: (n,) sample ids, in any order.
        label_field: Field of `fo.Classification`; None = there are no labels, and no decisions.
    """
    decided = _decided(view, label_field)

    def among(*decisions: str) -> np.ndarray:
        return np.fromiter((decided.get(key) in decisions for key in ids), dtype=bool, count=len(ids))

    return LabelDecisions(confirmed=among(*CONFIRMING), unsure=among(UNSURE))


def decided_ids(view: Collection, label_field: str) -> list[str]:
    """Return the samples of a view about whose label anything was decided, void or not, in ascending order."""
    if not _are_declared(view, label_field):
        return []
    return sorted(_with_decision(view, label_field).values("id"))


def unsure_ids(view: Collection, label_field: str) -> list[str]:
    """Return the samples of a view about whose label, as it is now, a person is unsure, in ascending order."""
    return sorted(key for key, decision in _decided(view, label_field).items() if decision == UNSURE)


def declare_attributes(view: Collection, label_field: str) -> None:
    """Tell the dataset of the attributes, so that the App shows and filters them.

    Raises:
        FieldError: The labels have an attribute of such a name that is not Winnow's.
    """
    if DECISION in add_label_attributes(view, label_field, _ATTRIBUTES):
        dataset_of(view).create_index(f"{label_field}.{DECISION}")


def decide(label: Mapping[str, Any], new: str, decision: Decision) -> dict[str, Any]:
    """Return a label's document after a decision; `label` is what it was before.

    Args:
        label: As `fo.Classification.to_dict` returns it.
        new: The label that it is to be from now on, possibly the same as before.
        decision: What was decided.
    """
    after = dict(label)
    if new != label["label"]:
        was = {"label": label["label"], "by": decision.by, "at": decision.at, "run": decision.run}
        after |= {"label": new, _HISTORY: [*label.get(_HISTORY, ()), was]}
        after.pop("confidence", None)
        after.pop("logits", None)
    for name in (DECISION, BY, _AT, ABOUT):
        after.pop(name, None)
    if decision.decision is not None:
        after |= {DECISION: decision.decision, BY: decision.by, _AT: decision.at, ABOUT: new}
    return after


def _decided(view: Collection, label_field: str | None) -> dict[str, str]:
    """Return sample id -> decision, where the label is still the one that it is about."""
    if label_field is None or not _are_declared(view, label_field):
        return {}
    paths = [f"{label_field}.{name}" for name in ("label", ABOUT, DECISION)]
    found = _with_decision(view, label_field).values(["id", *paths])
    return {key: decision for key, label, about, decision in zip(*found, strict=True) if label == about}


def _with_decision(view: Collection, label_field: str) -> Collection:
    return view.match({f"{label_field}.{DECISION}": {"$ne": None}})


def _are_declared(view: Collection, label_field: str) -> bool:
    return all(has_path(view, f"{label_field}.{name}") for name in (DECISION, ABOUT))
