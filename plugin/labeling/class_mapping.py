"""Which choice of a labeling config stands for which class of a classifier."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .choice_trees import Choice, Written, in_words
from .labeling_config import Control, LabelingConfig

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """How k classes are written in one control.

    Attributes:
        control: The control.
        written: (k,) What to write for each class, None where the control has no choice for it; no choice twice.
        unmapped_classes: The classes without a choice.
        unused_choices: The choices, as shown, that the classifier will never pick.
    """

    control: Control
    written: tuple[Written | None, ...]
    unmapped_classes: tuple[str, ...]
    unused_choices: tuple[str, ...]

    @property
    def mapped(self) -> int:
        """Number of classes that have a choice."""
        return len(self.written) - len(self.unmapped_classes)

    def notes(self) -> list[str]:
        """Return what the operator should know of the mapping, one sentence each; empty when all matches."""
        name = self.control.name
        notes = []
        if self.unmapped_classes:
            notes.append(f"no choice of '{name}' matches the class(es) {_listed(self.unmapped_classes)}")
        if self.unused_choices:
            notes.append(f"no class matches the choice(s) {_listed(self.unused_choices)} of '{name}'")
        return notes


def map_classes(classes: Sequence[str], config: LabelingConfig) -> tuple[ClassMapping, ...]:
    """Map classes to the controls that they answer.

    A config may hold controls that the classifier knows nothing of, such as "is this image sharp?". Therefore only the
    control into which most classes fit is filled in; several when they tie, e.g. the same question about two images.

    Returns:
        One mapping for each control to fill in; empty when no class fits anywhere.
    """
    mappings = [map_to_control(classes, control) for control in config.controls]
    most = max(mapping.mapped for mapping in mappings)
    return tuple(mapping for mapping in mappings if mapping.mapped == most) if most else ()


def _spellings(name: Written) -> set[str]:
    """Return how a class may be named to mean a choice: a path with its separators, as in `Animal / Cat`."""
    return {name} if isinstance(name, str) else {" / ".join(name), "/".join(name)}


def _last(name: Written) -> str:
    return name if isinstance(name, str) else name[-1]


def _any_spelling(choice: Choice) -> set[str]:
    names = (choice.written, choice.shown)
    return {spelling for name in names for spelling in (*_spellings(name), _last(name))}


def _composed(text: str) -> str:
    """Return a text in one of the ways in which Unicode lets it be written: ä may be one character or two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


_WAYS_TO_MATCH: tuple[tuple[Callable[[str], str], Callable[[Choice], set[str]]], ...] = (
    (str, lambda choice: _spellings(choice.written)),
    (str, lambda choice: _spellings(choice.shown)),
    (str, lambda choice: {_last(choice.written)}),
    (str, lambda choice: {_last(choice.shown)}),
    (str.casefold, lambda choice: {spelling.casefold() for spelling in _any_spelling(choice)}),
    (_composed, lambda choice: {_composed(spelling) for spelling in _any_spelling(choice)}),
)


def map_to_control(classes: Sequence[str], control: Control) -> ClassMapping:
    """Map classes to one control's choices.

    By what is written first (alias or value), then by what is shown, each of these as a whole path and then by its last
    name alone; then by any of it regardless of case, and at last of how Unicode composes its letters. Each time only
    where exactly one class and one choice, not taken before, fit each other.
    """
    written: dict[str, Written] = {}
    for class_key, choice_keys in _WAYS_TO_MATCH:
        if len(written) == len(classes):
            break  # most often after the first one; each takes milliseconds for a thousand classes
        taken = set(written.values())
        free_classes = _grouped((class_key(name), name) for name in classes if name not in written)
        free_choices = _grouped(
            (key, choice.written)
            for choice in control.choices
            if choice.written not in taken
            for key in choice_keys(choice)
        )
        pairs = {
            names[0]: free_choices[key][0]
            for key, names in free_classes.items()
            if len(names) == 1 and len(free_choices.get(key, ())) == 1
        }
        rivals = Counter(pairs.values())
        written.update({name: choice for name, choice in pairs.items() if rivals[choice] == 1})
    taken = set(written.values())
    return ClassMapping(
        control=control,
        written=tuple(written.get(name) for name in classes),
        unmapped_classes=tuple(name for name in classes if name not in written),
        unused_choices=tuple(in_words(choice.shown) for choice in control.choices if choice.written not in taken),
    )


def _grouped(pairs: Iterable[tuple[str, Item]]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups


def _listed(names: Sequence[str], most: int = 20) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
