"""Writes what came back from labelling, all of a sample at once, and takes it back again.

Beside labels and the fields of `labeling_batches`, a sample holds `labeling_note`, a few words for people, and
`labeling_answers`: of each label field, what was brought back last and a signature of the answers. That is how the next
pull knows what is new, and it goes where the sample goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
from bson import ObjectId

from ..errors import FieldError
from ..labeling.reconciling import PlainLabel
from .action_log import Done, chunks, mark_undone, read_records, record_action
from .annotated_labels import earlier_label, labelled, make_label_field, same_label
from .documents import CHUNK, Document, plain, read_documents, write_documents
from .fields import is_own, mark_own, set_own_values
from .label_decisions import Decision
from .labeling_batches import BATCH_FIELD, STATE_FIELD, mark_samples
from .relabelling import changed_meanwhile, notes_on_missing
from .runs import SavedRun
from .views import Collection, dataset_of

METHOD = "bring_back_labels"
NOTE_FIELD, ANSWERS_FIELD = "labeling_note", "labeling_answers"
MARKS = (STATE_FIELD, NOTE_FIELD, ANSWERS_FIELD)


@dataclass(frozen=True, slots=True)
class NewLabel:
    """What annotators say of an image in one field.

    Attributes:
        label: The label; None = there is none any more.
        attributes: Some of `annotated_labels.ATTRIBUTES`.
    """

    label: PlainLabel
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleChange:
    """What becomes of one sample.

    Attributes:
        labels: Label field -> its new label; other fields are left alone.
        marks: Field among `MARKS` -> its new value.
    """

    labels: Mapping[str, NewLabel] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)


def make_fields(view: Collection, several: Mapping[str, bool]) -> None:
    """Make the fields that are written, where they do not exist.

    Args:
        view: Any collection of the dataset.
        several: Label field -> whether it holds several labels an image.

    Raises:
        FieldError: A field or an attribute of such a name is not Winnow's.
    """
    dataset = dataset_of(view)
    for name, of_several in several.items():
        make_label_field(dataset, name, several=of_several)
    mark_samples(dataset, [], None, None)
    set_own_values(dataset, NOTE_FIELD, [], [], kind="str")
    if dataset.get_field(ANSWERS_FIELD) is None:
        dataset.add_sample_field(ANSWERS_FIELD, fo.DictField)
        mark_own(dataset, ANSWERS_FIELD)
    elif not is_own(dataset, ANSWERS_FIELD):
        raise FieldError(
            f"field '{ANSWERS_FIELD}' of '{dataset.name}' was not made by Winnow, so it is not overwritten. Rename it."
        )


def read_back(view: Collection, ids: Sequence[str], label_fields: Sequence[str]) -> Iterator[tuple[str, Document]]:
    """Yield the samples that exist, by id, with their labels and everything else that a pull looks at.

    Args:
        view: A dataset, or a view to which the samples have to belong.
        ids: Sample ids.
        label_fields: Those whose labels are read.
    """
    paths = ["filepath", BATCH_FIELD, *MARKS, *label_fields]
    for chunk in chunks(sorted(ids), CHUNK):
        shown = chunk if isinstance(view, fo.Dataset) else view.select(chunk).values("id")
        for key, document in read_documents(view, shown, paths, {}):
            yield str(key), document


def bring_back(
    view: Collection,
    changes: Mapping[str, SampleChange],
    several: Mapping[str, bool],
    *,
    by: str,
    source: str,
) -> Done:
    """Write labels and marks; samples that are gone are passed over.

    Args:
        view: Any collection of the dataset.
        changes: Sample id -> what becomes of it.
        several: Label field -> whether it holds several labels an image.
        by: Who brings them back, for the history of labels.
        source: Where they come from, for people.

    Raises:
        FieldError: As for `make_fields`.
    """
    fields = [*several, *MARKS]
    found = [key for key, _ in read_back(dataset_of(view), list(changes), ())] if changes else []
    if not found:
        return Done(None, 0)
    make_fields(view, several)
    at = datetime.now(UTC).replace(microsecond=0)
    labels = sum(bool(changes[key].labels) for key in found)
    params = {"by": by, "at": at.isoformat(), "source": source, "several": dict(several), "labels": labels}
    records = (
        {"_id": key, "was": {name: held.get(name) for name in fields}, **_record(changes[str(key)])}
        for key, held in read_documents(view, found, fields, {})
    )
    run = record_action(view, METHOD, params, len(found), records)
    written = 0
    for chunk in chunks(read_records(view, run), CHUNK):
        held = {record["_id"]: {name: record["was"][name] for name in record["new"]} for record in chunk}
        written += write_documents(view, {record["_id"]: _after(record, params, run) for record in chunk}, held)
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_bring_back(view: Collection, run: SavedRun) -> Done:
    """Bring back labels and marks of the samples whose label nobody has changed or judged since."""
    several = {name: each for name, each in run.params["several"].items() if dataset_of(view).has_field(name)}
    marks = [name for name in MARKS if dataset_of(view).has_field(name)]
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        held = dict(read_documents(view, [str(each["_id"]) for each in chunk], [*several, *marks], {}))
        returning: dict[ObjectId, Document] = {}
        for record in chunk:
            now, after = held.get(record["_id"]), plain(_after(record, run.params, run.key))
            if now is None or not _is_as_written(now, after, record["was"], several):
                missing += 1
                continue
            labels = {
                name: earlier_label(now.get(name), record["was"].get(name), several=several[name])
                for name in several
                if name in after
            }
            same = [name for name in marks if name in after and now.get(name) == after[name]]  # not sent out again
            returning[record["_id"]] = labels | {name: record["was"].get(name) for name in same}
        write_documents(view, returning)
        back += len(returning)
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing))


def _record(change: SampleChange) -> Document:
    new = {name: {"label": each.label, "attributes": dict(each.attributes)} for name, each in change.labels.items()}
    return {"new": new, "marks": dict(change.marks)}


def _after(record: Mapping[str, Any], params: Mapping[str, Any], run: str) -> Document:
    """Return the fields of a sample as the action leaves them."""
    decision = Decision(None, params["by"], datetime.fromisoformat(params["at"]), run)
    labels = {
        name: labelled(record["was"][name], each["label"], each["attributes"], decision)
        for name, each in record["new"].items()
    }
    return labels | dict(record["marks"])


def _is_as_written(
    now: Mapping[str, Any], after: Mapping[str, Any], was: Mapping[str, Any], several: Mapping[str, bool]
) -> bool:
    """Whether a sample's labels are those that the action wrote, or, where it was cut off, those before it."""
    written = [name for name in several if name in after]
    return all(same_label(now.get(name), after[name], several=several[name]) for name in written) or all(
        same_label(now.get(name), was.get(name), several=several[name]) for name in written
    )
