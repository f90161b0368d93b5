"""Labels by kind: one an image, several, or those of detections. How each kind is read, written and brought back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import fiftyone as fo
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
from .views import Collection, dataset_of, every_image, has_path, single_images


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


class LabelKind:
    """Labels of which an image has one; the other kinds say in what they differ.

    Keys are ids of samples, of detections those of the labels.
    """

    def path(self, view: Collection, label_field: str) -> str:
        """Return where single labels lie in a sample, such as `ground_truth.detections`."""
        return label_field

    def declare(self, view: Collection, label_field: str) -> None:
        """Tell the dataset of the attributes of decisions.

        Raises:
            FieldError: The labels have an attribute of such a name that is not Winnow's.
        """
        declare_attributes(view, label_field)

    def read(
        self, view: Collection, label_field: str, keys: Sequence[str], findings: Iterable[str] = ()
    ) -> Iterator[tuple[ObjectId, Held]]:
        """Yield those that exist and have a label, in ascending order of their samples."""
        names = list(findings)
        for key, held in read_documents(view, keys, [label_field, *names], self._labelled(label_field)):
            yield key, Held(held[label_field], {name: held.get(name) for name in names})

    def write(
        self,
        view: Collection,
        label_field: str,
        after: Mapping[ObjectId, Held],
        before: Mapping[ObjectId, Document],
    ) -> int:
        """Put labels and findings in the place of what is there, and return how many were written.

        Args:
            view: Any collection of the dataset.
            label_field: The field.
            after: Key -> what is held from now on.
            before: Key -> the label as it was read: one that somebody else has changed since is passed over.
        """
        unchanged = {key: {label_field: label} for key, label in before.items()}
        return write_documents(
            view, {key: {label_field: held.label} | held.findings for key, held in after.items()}, unchanged
        )

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        """Return those of a view about whose label, as it is now, a person is unsure, in ascending order."""
        return unsure_ids(single_images(view), label_field)

    def count_unsure(self, view: Collection, label_field: str) -> int:
        """Return how many labels of the whole dataset a person is unsure about."""
        return len(self.unsure(every_image(view), label_field))

    def has_finding(self, view: Collection, label_field: str, name: str) -> bool:
        """Tell whether the dataset still has a field of findings."""
        return bool(dataset_of(view).has_field(name))

    def alike(self, label: Document, other: Document) -> bool:
        """Tell whether two documents of a label are the same in all that a decision may change."""
        return all(label.get(name) == other.get(name) for name in TOUCHED)

    def earlier(self, label: Document, was: Document) -> Document:
        """Return the document that takes a decision back; what a person attached to the label since stays."""
        others = {name: value for name, value in label.items() if name not in TOUCHED}
        return others | {name: was[name] for name in TOUCHED if name in was}

    def _labelled(self, label_field: str) -> Document:
        return {f"{label_field}.label": {"$ne": None}}


class _SeveralAnImage(LabelKind):
    def path(self, view: Collection, label_field: str) -> str:
        return f"{label_field}.classifications"

    def declare(self, view: Collection, label_field: str) -> None:
        declare_decisions(view, label_field)

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        decided = read_label_set_decisions(single_images(view), label_field)
        return sorted(key for key, of_sample in decided.items() if UNSURE in of_sample.values())

    def count_unsure(self, view: Collection, label_field: str) -> int:
        decided = read_label_set_decisions(every_image(view), label_field)
        return sum(list(of_sample.values()).count(UNSURE) for of_sample in decided.values())

    def alike(self, label: Document, other: Document) -> bool:
        return same_label_set(label, other)

    def earlier(self, label: Document, was: Document) -> Document:
        return earlier_label_set(label, was)

    def _labelled(self, label_field: str) -> Document:
        return {label_field: {"$ne": None}}


class _OfDetections(LabelKind):
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
        before: Mapping[ObjectId, Document],
    ) -> int:
        path, collection = self.path(view, label_field), dataset_of(view)._sample_collection
        is_list = path != label_field
        place = f"{path}.$" if is_list else path
        samples = {label["_id"]: sample_id for sample_id, label in detections(view, label_field, map(str, after))}
        changes = []
        for key, sample_id in samples.items():
            # None is also what MongoDB takes a missing attribute for.
            unchanged = {"_id": key} | {name: before[key].get(name) for name in TOUCHED}
            here = {path: {"$elemMatch": unchanged}} if is_list else _below(path, unchanged)
            changes.append(UpdateOne({"_id": sample_id, **here}, _setting(place, after[key])))
        if not changes:
            return 0
        written = collection.bulk_write(changes, ordered=False).matched_count
        fo.Sample._reload_docs(collection.name, sample_ids=sorted({str(key) for key in samples.values()}))
        renew_patches(view)
        return int(written)

    def unsure(self, view: Collection, label_field: str) -> list[str]:
        return unsure_patches(single_images(view), label_field)

    def has_finding(self, view: Collection, label_field: str, name: str) -> bool:
        return bool(dataset_of(view).has_field(f"{self.path(view, label_field)}.{name}"))


ONE_AN_IMAGE, SEVERAL_AN_IMAGE, OF_DETECTIONS = LabelKind(), _SeveralAnImage(), _OfDetections()


def _setting(place: str, after: Held) -> Document:
    """Return the update of MongoDB's that puts a label and its findings in a place, and touches nothing else there."""
    values = {name: after.label.get(name) for name in TOUCHED} | after.findings
    held = {name: value for name, value in values.items() if value is not None}
    return {
        "$set": _below(place, held) | {"last_modified_at": datetime.now(UTC)},
        "$unset": _below(place, dict.fromkeys(values.keys() - held.keys(), "")),
    }


def _below(place: str, values: Document) -> Document:
    return {f"{place}.{name}": value for name, value in values.items()}


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
    back = kind.write(view, label_field, returning, {key: now[key].label for key in returning})
    return back, missing + len(returning) - back


def detections(view: Collection, label_field: str, keys: Iterable[str]) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those detections of the dataset that exist and have a label, each with the id of its sample."""
    path, collection = label_path(view, label_field), dataset_of(view)._sample_collection
    for chunk in chunks(keys, CHUNK):
        wanted = {ObjectId(key) for key in chunk}
        for document in collection.find({f"{path}._id": {"$in": list(wanted)}}, [label_field]).sort("_id"):
            held = document[label_field] if path == label_field else document[label_field]["detections"]
            for label in [held] if path == label_field else held:
                if label["_id"] in wanted and label.get("label") is not None:
                    yield document["_id"], plain(label)
