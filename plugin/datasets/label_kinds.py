"""Labels by kind: one an image, several, or those of detections. How each kind is read, written and brought back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from bson import ObjectId
from pymongo import UpdateOne

from .action_log import chunks
from .documents import CHUNK, Document, plain, read_documents, write_documents
from .group_views import renew_patches
from .label_decisions import TOUCHED, UNSURE, declare_attributes, unsure_ids
from .multi_label_decisions import declare_decisions, earlier_label_set, read_label_set_decisions, same_label_set
from .multi_labels import multi_label_fields
from .patch_decisions import unsure_patches
from .patches import label_path, patch_fields
from .views import Collection, dataset_of, every_image, has_path


@dataclass(frozen=True)
class Held:
    """What the database holds.

    Attributes:
        label: The label's document; that of all labels of an image where it may have several.
        findings: Field of Winnow's, of detections an attribute -> what it says of the label.
    """

    label: Document
    findings: Document = field(default_factory=dict)


@dataclass(frozen=True)
class LabelChange:
    """What was made of a label, and of the findings about it.

    Attributes:
        was: The label's document before.
        after: The label's document after.
        findings: What the findings held before, as in `Held`.
    """

    was: Document
    after: Document
    findings: Document


class LabelKind(Protocol):
    """What tells one kind of labels from another. Keys are ids of samples, of detections those of the labels."""

    def path(self, view: Collection, label_field: str) -> str:
        """Return where single labels lie in a sample, such as `ground_truth.detections`."""

    def declare(self, view: Collection, label_field: str) -> None:
        """Tell the dataset of the attributes of decisions.

        Raises:
            FieldError: The labels have an attribute of such a name that is not Winnow's.
        """

    def read(
        self, view: Collection, label_field: str, keys: Sequence[str], findings: Iterable[str] = ()
    ) -> Iterator[tuple[ObjectId, Held]]:
        """Yield those that exist and have a label, in ascending order of their samples."""

    def write(
        self,
        view: Collection,
        label_field: str,
        after: Mapping[ObjectId, Held],
        before: Mapping[ObjectId, Document] | None = None,
    ) -> int:
        """Put labels and findings in the place of what is there, and return how many were written.

        Args:
            view: Any collection of the dataset.
            label_field: The field.
            after: Key -> what is held from now on.
            before: Key -> the label as it was read: one that somebody else has changed since is passed over.
        """

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        """Return those of a view about whose label, as it is now, a person is unsure, in ascending order."""

    def has_finding(self, view: Collection, label_field: str, name: str) -> bool:
        """Tell whether the dataset still has a field of findings."""

    def alike(self, label: Document, other: Document) -> bool:
        """Tell whether two documents of a label are the same in all that a decision may change."""

    def earlier(self, label: Document, was: Document) -> Document:
        """Return the document that takes a decision back; what a person attached to the label since stays."""


class _OneAnImage:
    def path(self, view: Collection, label_field: str) -> str:
        return label_field

    def declare(self, view: Collection, label_field: str) -> None:
        declare_attributes(view, label_field)

    def read(
        self, view: Collection, label_field: str, keys: Sequence[str], findings: Iterable[str] = ()
    ) -> Iterator[tuple[ObjectId, Held]]:
        names = list(findings)
        for key, held in read_documents(view, keys, [label_field, *names], self._labelled(label_field)):
            yield key, Held(held[label_field], {name: held.get(name) for name in names})

    def write(
        self,
        view: Collection,
        label_field: str,
        after: Mapping[ObjectId, Held],
        before: Mapping[ObjectId, Document] | None = None,
    ) -> int:
        unchanged = None if before is None else {key: {label_field: label} for key, label in before.items()}
        values = {key: {label_field: held.label} | held.findings for key, held in after.items()}
        return write_documents(view, values, unchanged)

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        return unsure_ids(view, label_field)

    def has_finding(self, view: Collection, label_field: str, name: str) -> bool:
        return bool(dataset_of(view).has_field(name))

    def alike(self, label: Document, other: Document) -> bool:
        return all(label.get(name) == other.get(name) for name in TOUCHED)

    def earlier(self, label: Document, was: Document) -> Document:
        others = {name: value for name, value in label.items() if name not in TOUCHED}
        return others | {name: was[name] for name in TOUCHED if name in was}

    def _labelled(self, label_field: str) -> Document:
        return {f"{label_field}.label": {"$ne": None}}


class _SeveralAnImage(_OneAnImage):
    def path(self, view: Collection, label_field: str) -> str:
        return f"{label_field}.classifications"

    def declare(self, view: Collection, label_field: str) -> None:
        declare_decisions(view, label_field)

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        decided = read_label_set_decisions(view, label_field)
        return sorted(key for key, of_sample in decided.items() if UNSURE in of_sample.values())

    def alike(self, label: Document, other: Document) -> bool:
        return same_label_set(label, other)

    def earlier(self, label: Document, was: Document) -> Document:
        return earlier_label_set(label, was)

    def _labelled(self, label_field: str) -> Document:
        return {label_field: {"$ne": None}}


class _OfDetections(_OneAnImage):
    def path(self, view: Collection, label_field: str) -> str:
        return label_path(view, label_field)

    def declare(self, view: Collection, label_field: str) -> None:
        declare_attributes(view, self.path(view, label_field))

    def read(
        self, view: Collection, label_field: str, keys: Sequence[str], findings: Iterable[str] = ()
    ) -> Iterator[tuple[ObjectId, Held]]:
        names = list(findings)
        for _, label in detections(view, label_field, keys):
            yield label["_id"], Held(label, {name: label.get(name) for name in names})

    def write(
        self,
        view: Collection,
        label_field: str,
        after: Mapping[ObjectId, Held],
        before: Mapping[ObjectId, Document] | None = None,
    ) -> int:
        path = self.path(view, label_field)
        place = path if path == label_field else f"{path}.$"
        changes, samples = [], set()
        for sample_id, held in detections(view, label_field, [str(key) for key in after]):
            key = held["_id"]
            if before is not None and not self.alike(held, before[key]):
                continue
            label, findings = after[key].label, after[key].findings
            changed = {name: value for name, value in held.items() if name not in (*TOUCHED, *findings)}
            changed |= {name: label[name] for name in TOUCHED if name in label}
            changed |= {name: value for name, value in findings.items() if value is not None}
            setting = {"$set": {place: changed, "last_modified_at": datetime.now(UTC)}}
            changes.append(UpdateOne({"_id": sample_id, f"{path}._id": key}, setting))
            samples.add(str(sample_id))
        if changes:
            dataset_of(view)._bulk_write(changes, ids=sorted(samples))
            renew_patches(view)
        return len(changes)

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        return unsure_patches(view, label_field)

    def has_finding(self, view: Collection, label_field: str, name: str) -> bool:
        return bool(dataset_of(view).has_field(f"{self.path(view, label_field)}.{name}"))


ONE_AN_IMAGE: LabelKind = _OneAnImage()
SEVERAL_AN_IMAGE: LabelKind = _SeveralAnImage()
OF_DETECTIONS: LabelKind = _OfDetections()


def kind_of(view: Collection, label_field: str) -> LabelKind:
    """Return the kind of labels that a field holds."""
    if label_field in patch_fields(view):
        return OF_DETECTIONS
    return SEVERAL_AN_IMAGE if label_field in multi_label_fields(view) else ONE_AN_IMAGE


def known_classes(view: Collection, label_field: str) -> list[str]:
    """Return the classes of a label field that may be yet to be made: those that occur and those listed, sorted."""
    dataset = dataset_of(view)
    path = f"{kind_of(view, label_field).path(view, label_field)}.label"
    occurring = every_image(view).distinct(path) if has_path(view, path) else []
    listed = [*dataset.classes.get(label_field, ()), *dataset.default_classes]
    return sorted({str(name) for name in [*occurring, *listed] if name})


def bring_back(view: Collection, label_field: str, changes: Mapping[ObjectId, LabelChange]) -> tuple[int, int]:
    """Undo changes of labels, where nobody has changed or judged them since.

    Returns:
        How many labels are as before again, and how many are gone, or were changed or judged again since.
    """
    kind, missing = kind_of(view, label_field), 0
    now = dict(kind.read(view, label_field, [str(key) for key in changes]))
    returning: dict[ObjectId, Held] = {}
    for key, change in changes.items():
        held = now.get(key)
        if held is None or not kind.alike(held.label, change.after):
            missing += held is None or not kind.alike(held.label, change.was)  # as it was: it was cut off before it
            continue
        findings = {name: value for name, value in change.findings.items() if kind.has_finding(view, label_field, name)}
        returning[key] = Held(kind.earlier(held.label, change.was), findings)
    kind.write(view, label_field, returning)
    return len(returning), missing


def detections(view: Collection, label_field: str, keys: Sequence[str]) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those detections of the dataset that exist and have a label, each with the id of its sample."""
    path, collection = label_path(view, label_field), dataset_of(view)._sample_collection
    for chunk in chunks(keys, CHUNK):
        wanted = {ObjectId(key) for key in chunk}
        for document in collection.find({f"{path}._id": {"$in": list(wanted)}}, [label_field]).sort("_id"):
            held = document[label_field] if path == label_field else document[label_field]["detections"]
            for label in [held] if path == label_field else held:
                if label["_id"] in wanted and label.get("label") is not None:
                    yield document["_id"], plain(label)
