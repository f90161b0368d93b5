"""Class names -> a labeling config with one question for each label field.

From a dozen classes on, a search box above narrows them down. Names may hold anything that
XML can hold, in any script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from .class_mapping import ClassMapping, map_to_control
from .labeling_config import MAX_CONFIG_CHARACTERS, LabelingConfigError, parse_labeling_config

IMAGE_KEY = "image"
_FEW = 12
# The choices stay in sight beside the image, however tall it is and however many they are.
_ABOVE = (
    '<View style="display: flex; gap: 1em">',
    '  <View style="flex: 1 1 auto; min-width: 0">',
    f'    <Image name="{IMAGE_KEY}" value="${IMAGE_KEY}" zoom="true"/>',
    "  </View>",
    '  <View style="flex: 0 0 16em; max-height: 80vh; overflow-y: auto">',
)
_BELOW = ("  </View>", "</View>")
# What XML 1.0 can't hold, not even escaped.
_IMPOSSIBLE = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_CONTROL_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Question:
    """One thing that annotators are asked about an image.

    Attributes:
        name: Of the control: an identifier, different from others and from "image".
        classes: What they choose from, in this order.
        multiple: Whether several may apply, or none of them.
    """

    name: str
    classes: tuple[str, ...]
    multiple: bool = False


def write_labeling_config(questions: Sequence[Question]) -> str:
    """Return a labeling config that asks these questions about one image.

    Raises:
        LabelingConfigError: No question or class; a name that a config can't hold; more than Label Studio is sent.
    """
    if not questions or not all(question.classes for question in questions):
        raise LabelingConfigError("there is no class to choose from. Name the classes, separated by commas.")
    controls = [control for question in questions for control in _lines(question, titled=len(questions) > 1)]
    config = "\n".join([*_ABOVE, *controls, *_BELOW])
    if len(config) > MAX_CONFIG_CHARACTERS:
        count = sum(len(question.classes) for question in questions)
        raise LabelingConfigError(
            f"{count:,} classes make a labeling config of {len(config):,} characters, more than the "
            f"{MAX_CONFIG_CHARACTERS:,} that are read. Label in several rounds, coarse classes first."
        )
    for mapping, question in zip(written_classes(config, questions), questions, strict=True):
        if mapping.unmapped_classes:
            raise LabelingConfigError(
                f"these classes of '{question.name}' can't stand side by side in a labeling config: "
                f"{', '.join(repr(name) for name in mapping.unmapped_classes[:20])}. Rename them."
            )
    return config


def written_classes(config: str, questions: Sequence[Question]) -> list[ClassMapping]:
    """Return how the classes of each question are written in a config, a control of the question's name being needed.

    Raises:
        LabelingConfigError: The config cannot be read, or has no such control that an image classifier can fill in.
    """
    parsed = parse_labeling_config(config)
    controls = {control.name: control for control in parsed.controls}
    for question in questions:
        if question.name not in controls:
            declined = "".join(f" {sentence}." for sentence in parsed.declined)
            raise LabelingConfigError(
                f"the labeling config has no control '{question.name}'; its controls about an image are: "
                f"{', '.join(controls) or 'none'}.{declined} Name one of these."
            )
    return [map_to_control(question.classes, controls[question.name]) for question in questions]


def _lines(question: Question, *, titled: bool) -> list[str]:
    if not _CONTROL_NAME.fullmatch(question.name) or question.name == IMAGE_KEY:
        raise LabelingConfigError(f"'{question.name}' can't be the name of a control. Use letters, digits and _.")
    lines = [f"    <Header value={_attribute(question.name)}/>"] if titled else []
    if len(question.classes) > _FEW:
        lines.append(
            f'    <Filter name="{question.name}_filter" toName="{question.name}" minlength="0" placeholder="Find"/>'
        )
    kind = "multiple" if question.multiple else "single"
    lines.append(f'    <Choices name="{question.name}" toName="{IMAGE_KEY}" choice="{kind}" showInline="false">')
    lines += [f"      <Choice {_choice(name)}/>" for name in question.classes]
    return [*lines, "    </Choices>"]


def _choice(name: str) -> str:
    if "$" not in name:
        return f"value={_attribute(name)}"
    # The editor puts the task's data in place of $word in what is shown, never in what is written.
    return f"value={_attribute(name.replace('$', '＄'))} alias={_attribute(name)}"  # noqa: RUF001


def _attribute(text: str) -> str:
    if found := _IMPOSSIBLE.search(text):
        raise LabelingConfigError(
            f"the class {text!r} holds the character {found[0]!r}, which no labeling config can hold. Rename it."
        )
    return quoteattr(text)
