"""Label Studio's labeling config, reduced to what an image classifier can answer: Choices, Taxonomies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from label_studio_sdk.label_interface import LabelInterface

from ..errors import WinnowError
from .choice_trees import Choice, read_choices

# A config of 1,000 choices is about 50 kB, and Label Studio sends the config with every call.
MAX_CONFIG_CHARACTERS = 1_000_000

# The SDK's parser expands entities. A labeling config has no use for a document type, so none is let through to it.
_DOCUMENT_TYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class LabelingConfigError(WinnowError):
    """A labeling config that is not XML, or in which an image classifier finds nothing to answer."""


@dataclass(frozen=True, slots=True)
class Control:
    """One control about one Image.

    Attributes:
        name: The control's name, `from_name` in results.
        image_name: The Image's name, `to_name` in results.
        data_key: Key of a task's `data` under which the image's address is found.
        kind: `choices` or `taxonomy`: the `type` of results, and the key of their value.
        most: How many choices an annotator may pick; None = any number.
        choices: In the order of the config; no two are written alike.
    """

    name: str
    image_name: str
    data_key: str
    kind: Literal["choices", "taxonomy"]
    most: int | None
    choices: tuple[Choice, ...]

    @property
    def multiple(self) -> bool:
        """Whether an annotator may pick several choices."""
        return self.most != 1


@dataclass(frozen=True, slots=True)
class LabelingConfig:
    """What an image classifier can answer in a labeling config.

    Attributes:
        controls: At least one.
        declined: A sentence for each other control that asks about an image, saying why it is left alone.
        remarks: A sentence for each choice of `controls` that can't be filled in, and for other things worth knowing.
    """

    controls: tuple[Control, ...]
    declined: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def parse_labeling_config(xml: str) -> LabelingConfig:
    """Parse a labeling config as Label Studio sends it; the last ones are remembered.

    Raises:
        LabelingConfigError: Too large, not XML, with a document type, or without a usable control; the message then
            names each control that was declined, and why.
    """
    interface = _parse_xml(xml)
    # The SDK declares everything about a tag optional, but fills it in for those of a parsed config. It flattens nested
    # choices, so these are read from the tree.
    tags: list[Any] = list(interface.controls)
    elements: dict[str, list[Any]] = {}
    for node in interface._tree.iter():
        elements.setdefault(node.get("name"), []).append(node)
    controls: list[Control] = []
    declined: list[str] = []
    remarks: list[str] = []
    for tag in tags:
        if tag.tag.lower() not in ("choices", "taxonomy"):
            continue
        element = elements[tag.name][0]
        reasons = list(_reasons_to_decline(tag, elements))
        if not reasons:
            control, left_out = _control(tag, element)
            remarks += [f"{tag.tag} '{tag.name}': {sentence}" for sentence in (*left_out, *_remarks(element))]
            reasons = [] if control.choices else ["has no choices that can be filled in"]
        if reasons:
            declined.append(f"{tag.tag} '{tag.name}' {', and '.join(reasons)}")
        else:
            controls.append(control)
    if not controls:
        found = "; ".join(declined) if declined else "there is none"
        raise LabelingConfigError(
            f"the labeling config has no Choices control or Taxonomy that an image classifier can fill in: {found}. "
            'Add e.g. <Choices name="label" toName="image"> with a <Choice> per class to <Image name="image" '
            'value="$image"/>.'
        )
    return LabelingConfig(tuple(controls), tuple(declined), tuple(remarks))


def _parse_xml(xml: str) -> LabelInterface:
    if len(xml) > MAX_CONFIG_CHARACTERS:
        raise LabelingConfigError(
            f"the labeling config has {len(xml):,} characters; at most {MAX_CONFIG_CHARACTERS:,} are read. Shorten it."
        )
    if _DOCUMENT_TYPE.search(xml):
        raise LabelingConfigError(
            "the labeling config declares a document type or an entity, which is refused. Remove <!DOCTYPE ...>."
        )
    try:
        return LabelInterface(xml)
    except Exception as error:  # the SDK lets errors of lxml, pydantic and its own through, of no common type
        raise LabelingConfigError(
            f"cannot parse the labeling config: {error}. Check it in Settings > Labeling Interface of the project."
        ) from error


def _reasons_to_decline(tag: Any, elements: dict[str, list[Any]]) -> Iterator[str]:
    """Yield why a Choices or Taxonomy control can't be filled in; each reason continues 'Choices 'name' ...'."""
    if _is_true(tag, "perRegion"):
        yield "asks about regions (perRegion), not about the image"
    if _is_true(tag, "perItem"):
        yield "asks about each item of a list (perItem), not about one image"
    if _is_true(tag, "labeling"):
        yield "labels regions (labeling), not the image"
    if "region-selected" in _visible_when(elements[tag.name][0]):
        yield "is shown only while a region is selected (visibleWhen), so it is not about the image"
    if tag.dynamic_value or _attribute(tag, "apiUrl"):
        source = _attribute(tag, "apiUrl") or _attribute(tag, "value")
        yield f'takes its choices from elsewhere ("{source}"), so they differ by task'
    elif not tag.labels:
        yield "has no choices"
    if any(len(elements.get(name, ())) > 1 for name in (tag.name, *tag.to_name)):
        yield "or its image has a name that stands in the config twice"
    yield from _reasons_to_decline_objects(tag)


def _reasons_to_decline_objects(tag: Any) -> Iterator[str]:
    if len(tag.to_name) > 1:
        yield f'is about several objects at once (toName="{",".join(tag.to_name)}")'
    elif not tag.objects:
        yield f"is about '{tag.to_name[0]}', which the config does not have"
    elif tag.objects[0].tag.lower() != "image":
        yield f"is about a {tag.objects[0].tag}, not an Image"
    elif "valueList" in tag.objects[0].attr:
        yield f"is about a list of images (valueList of '{tag.to_name[0]}')"
    elif not tag.objects[0].value_is_variable:
        yield f"is about an Image whose value is '{tag.objects[0].value}' rather than a variable such as '$image'"


def _remarks(element: Any) -> Iterator[str]:
    """Yield what to know of a control that is filled in.

    One that is not always shown is filled in all the same: Label Studio shows the answer as soon as the control
    appears, and stores none for a control that does not.
    """
    if _visible_when(element):
        yield "is not always shown (visibleWhen); the prediction appears together with it"


def _visible_when(element: Any) -> set[str]:
    """Return the conditions on which an element is shown: its own, and those of the tags around it."""
    around = (element, *element.iterancestors())
    return {value for tag in around for name, value in tag.attrib.items() if name.lower() == "visiblewhen"}


def _attribute(tag: Any, name: str) -> str:
    """Return an attribute, "" without it; the editor does not look at the case of its name."""
    return next((value for key, value in tag.attr.items() if key.lower() == name.lower()), "")


def _is_true(tag: Any, name: str) -> bool:
    return _attribute(tag, name).lower() == "true"


def _control(tag: Any, element: Any) -> tuple[Control, tuple[str, ...]]:
    """Return a control, and what is left out of it."""
    image = tag.objects[0]
    taxonomy = tag.tag.lower() == "taxonomy"
    nested = _is_true(tag, "allowNested")
    choices, left_out = read_choices(
        element,
        taxonomy=taxonomy,
        paths=taxonomy or nested,
        # in nested Choices, a choice with others below it is picked by picking all of these
        leaves_only=_is_true(tag, "leafsOnly") if taxonomy else True,
    )
    control = Control(
        name=tag.name,
        image_name=image.name,
        data_key=image.value_name,
        kind="taxonomy" if taxonomy else "choices",
        most=_max_usages(tag) if taxonomy else None if _attribute(tag, "choice") == "multiple" else 1,
        choices=choices,
    )
    return control, left_out


def _max_usages(tag: Any) -> int | None:
    most = _attribute(tag, "maxUsages").strip()
    return int(most) if most.isascii() and most.isdigit() and int(most) > 0 else None
