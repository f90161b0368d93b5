"""Which controls of a project are read into which label fields, and what class each choice stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from .agreement import Choices
from .choice_trees import Choice, Written, in_words
from .class_mapping import map_to_control
from .labeling_config import Control
from .predictions import chosen

_KINDS = ("choices", "taxonomy")


@dataclass(frozen=True, slots=True)
class Asked:
    """A control whose answers become labels.

    Attributes:
        control: As it is read: where the field holds one label an image, it takes one choice.
        field: Field for the labels.
        names: What is written for a choice -> class.
    """

    control: Control
    field: str
    names: Mapping[Written, str]

    @property
    def several(self) -> bool:
        """Whether the field holds several labels an image."""
        return self.control.multiple

    def classes(self, choices: Choices) -> list[str]:
        """Return the classes of choices, sorted; one that the config does not have goes by what is written."""
        names = {self.names.get(choice) or in_words(choice) for choice in choices}
        # JSON can escape half a character, which the database can't keep.
        return sorted(name.encode(errors="replace").decode() for name in names)


def asked_control(control: Control, field: str, *, several: bool, classes: Sequence[str]) -> Asked:
    """Return how a control is read.

    Args:
        control: Of the labeling config.
        field: Field for the labels.
        several: Whether the field holds several labels an image.
        classes: Those that the dataset knows; see `class_mapping.map_to_control` for how they find their choices. A
            choice that none of them means becomes a class of its own, called by what is written for it.
    """
    written = map_to_control(classes, control).written
    names = {choice.written: in_words(choice.written) for choice in control.choices}
    names |= {choice: name for name, choice in zip(classes, written, strict=True) if choice is not None}
    most = (None if control.most == 1 else control.most) if several else 1
    return Asked(replace(control, most=most), field, names)


def controls_in(tasks: Iterable[Mapping[str, Any]]) -> tuple[Control, ...]:
    """Return the controls that annotations speak of, as far as they can be told without the labeling config.

    Args:
        tasks: As a JSON export holds them.
    """
    found: dict[str, Control] = {}
    for task in tasks:
        for annotation in task.get("annotations") or []:
            for region in annotation.get("result") or []:
                _add(found, region)
    return tuple(found.values())


def _add(found: dict[str, Control], region: Any) -> None:
    if not isinstance(region, Mapping) or region.get("type") not in _KINDS:
        return
    name = str(region.get("from_name"))
    kind = cast('Literal["choices", "taxonomy"]', region["type"])
    control = found.get(name) or Control(name, str(region.get("to_name")), "", kind, 1, ())
    written = chosen([region], control) or ()
    known = {choice.written for choice in control.choices}
    new = tuple(Choice(each, each) for each in written if each not in known)
    if new or len(written) > 1 or name not in found:
        most = None if len(written) > 1 else control.most
        found[name] = replace(control, most=most, choices=(*control.choices, *new))
