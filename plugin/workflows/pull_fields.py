"""Which controls are read into which label fields, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..datasets.annotated_labels import holds_several
from ..datasets.label_kinds import known_classes
from ..datasets.labeling_batches import BatchEntry
from ..datasets.multi_labels import multi_label_field
from ..datasets.samples import DEFAULT_LABEL_FIELD, chosen_label_field, label_fields
from ..datasets.views import Collection
from ..errors import DataError
from ..labeling.asked import Asked, asked_control
from ..labeling.labeling_config import Control
from .pull_sources import Source

# Stands for the one control that there is.
_ONLY = ""


def parse_fields(given: Sequence[str]) -> dict[str, str]:
    """Return control -> field of "CONTROL=FIELD"; a "FIELD" alone is that of the only control.

    Raises:
        DataError: A field has no name, or a control stands there twice.
    """
    fields: dict[str, str] = {}
    for each in given:
        control, _, name = each.rpartition("=")
        control, name = control.strip(), name.strip()
        if not name or control in fields:
            raise DataError(f"'{each}' does not say where answers go. Write CONTROL=FIELD, each control once.")
        fields[control] = name
    return fields


class AskedControls:
    """Finds out how the controls of a source are read.

    Args:
        view: Any collection of the dataset.
        entries: Its batches.
        given: Control -> field, as the user says; goes before what the batches say.

    Attributes:
        several: Label field -> whether it holds several labels an image, of all that was read.
        all: What was read, each control and field once.
        notes: Sentences for the user.
    """

    def __init__(self, view: Collection, entries: Sequence[BatchEntry], given: Mapping[str, str]) -> None:
        self._view, self._given = view, given
        self._entries = {entry.name: entry for entry in entries}
        self._known: dict[tuple[str, str | None], tuple[Asked, ...]] = {}
        self._classes: dict[str, list[str]] = {}
        self.several: dict[str, bool] = {}
        self.all: dict[tuple[str, str], Asked] = {}
        self.notes: list[str] = []

    def names(self) -> set[str]:
        """Return the controls that are known by name before a source is read."""
        named = {name for entry in self._entries.values() for name in entry.fields}
        return {name for name in (*named, *self._given) if name != _ONLY}

    def of(self, source: Source, batch: str | None) -> tuple[Asked, ...]:
        """Return how the controls of a source are read for samples of a batch.

        Raises:
            DataError: It is open which control goes where.
            FieldError: A field can't hold the labels.
        """
        key = (source.name, batch if batch in self._entries else None)
        if key not in self._known:
            self._known[key] = self._find(source, key[1])
        return self._known[key]

    def _find(self, source: Source, batch: str | None) -> tuple[Asked, ...]:
        controls = {control.name: control for control in source.controls}
        fields = self._fields(source, controls, batch)
        found = tuple(self._asked(controls[name], field) for name, field in fields.items())
        self.all |= {(each.control.name, each.field): each for each in found}
        if unread := sorted(set(controls) - set(fields)):
            note = f"not read: {', '.join(unread)} of {source.name}; --field CONTROL=FIELD reads a control"
            self.notes += [note] * (note not in self.notes)
        return found

    def _fields(self, source: Source, controls: Mapping[str, Control], batch: str | None) -> dict[str, str]:
        if unknown := sorted(name for name in self._given if name != _ONLY and name not in controls):
            raise DataError(
                f"{source.name} has no control '{unknown[0]}'; its controls are: {', '.join(controls) or 'none'}."
            )
        if self._given:
            wanted = dict(self._given)
        elif batch is not None:
            wanted = dict(self._entries[batch].fields)
        else:
            entries = [entry for entry in self._entries.values() if source.project in (0, entry.project_id)]
            wanted = {name: field for entry in entries for name, field in entry.fields.items()}
        found = {name: field for name, field in wanted.items() if name in controls}
        if len(controls) == 1 and not found:
            # A table, or a control that has another name by now: there is only one that can be meant.
            field = wanted.get(_ONLY) or (next(iter(wanted.values())) if len(wanted) == 1 else self._default())
            found = {next(iter(controls)): field}
        if not found and controls:
            raise DataError(
                f"{source.name} asks several things ({', '.join(controls)}). Say where the answers go: --field "
                "CONTROL=FIELD, for each that is to be read."
            )
        if len(set(found.values())) < len(found):
            raise DataError(f"several controls of {source.name} would go into one field. Give each a field of its own.")
        return found

    def _default(self) -> str:
        if several := multi_label_field(self._view, None):
            return several
        return chosen_label_field(self._view, None) if label_fields(self._view) else DEFAULT_LABEL_FIELD

    def _asked(self, control: Control, field: str) -> Asked:
        held = self.several.get(field)
        several = holds_several(self._view, field) if held is None else held
        several = control.multiple if several is None else several
        self.several[field] = several
        if field not in self._classes:
            self._classes[field] = known_classes(self._view, field)
        return asked_control(control, field, several=several, classes=self._classes[field])
