"""Which choice of a labeling config stands for which class of a classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .labeling_config import Choice, ChoicesControl, LabelingConfig


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """How k classes are written in one control.

    Attributes:
        control: The control.
        written: (k,) What to write for each class, None where the control has no choice for it; no choice twice.
        unmapped_classes: The classes without a choice.
        unused_choices: The choices, as shown, that the classifier will never pick.
    """

    control: ChoicesControl
    written: tuple[str | None, ...]
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


_WAYS_TO_MATCH: tuple[tuple[Callable[[str], str], Callable[[Choice], set[str]]], ...] = (
    (str, lambda choice: {choice.written}),
    (str, lambda choice: {choice.shown}),
    (str.casefold, lambda choice: {choice.written.casefold(), choice.shown.casefold()}),
)


def map_to_control(classes: Sequence[str], control: ChoicesControl) -> ClassMapping:
    """Map classes to one control's choices.

    By what is written first (alias or value), then by what is shown, then by either regardless of case, each time only
    where exactly one class and one choice, not taken before, fit each other.
    """
    written: dict[str, str] = {}
    for class_key, choice_keys in _WAYS_TO_MATCH:
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
        unused_choices=tuple(choice.shown for choice in control.choices if choice.written not in taken),
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups


def _listed(names: Sequence[str], most: int = 20) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
