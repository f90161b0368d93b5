"""Label Studio's labeling config, reduced to what an image classifier can answer: Choices about an Image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from label_studio_sdk.label_interface import LabelInterface

from ..errors import WinnowError

# A config of 1,000 choices is about 50 kB, and Label Studio sends the config with every call.
MAX_CONFIG_CHARACTERS = 1_000_000

# The SDK's parser expands entities. A labeling config has no use for a document type, so none is let through to it.
_DOCUMENT_TYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class LabelingConfigError(WinnowError):
    """A labeling config that is not XML, or in which an image classifier finds nothing to answer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a Choices control.

    Attributes:
        shown: What the annotator reads (`value`).
        written: What Label Studio stores in results: the alias where there is one, else the value.
    """

    shown: str
    written: str


@dataclass(frozen=True, slots=True)
class ChoicesControl:
    """One Choices control about one Image.

    Attributes:
        name: The control's name, `from_name` in results.
        image_name: The Image's name, `to_name` in results.
        data_key: Key of a task's `data` under which the image's address is found.
        multiple: Whether an annotator may pick several choices.
        choices: In the order of the config; no two are written alike.
    """

    name: str
    image_name: str
    data_key: str
    multiple: bool
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class LabelingConfig:
    """What an image classifier can answer in a labeling config.

    Attributes:
        controls: At least one.
        declined: A sentence for each other control that asks about an image, saying why it is left alone.
    """

    controls: tuple[ChoicesControl, ...]
    declined: tuple[str, ...]


@lru_cache(maxsize=64)
def parse_labeling_config(xml: str) -> LabelingConfig:
    """Parse a labeling config as Label Studio sends it; the last ones are remembered.

    Raises:
        LabelingConfigError: Too large, not XML, with a document type, or without a usable control; the message then
            names each control that was declined, and why.
    """
    # The SDK declares everything about a tag optional, but fills it in for those of a parsed config.
    tags: list[Any] = list(_parse_xml(xml).controls)
    controls: list[ChoicesControl] = []
    declined: list[str] = []
    for tag in tags:
        if tag.tag.lower() not in ("choices", "taxonomy"):
            continue
        reasons = list(_reasons_to_decline(tag))
        if reasons:
            declined.append(f"{tag.tag} '{tag.name}' {', and '.join(reasons)}")
        else:
            controls.append(_choices_control(tag))
    if not controls:
        found = "; ".join(declined) if declined else "there is none"
        raise LabelingConfigError(
            f"the labeling config has no Choices control that an image classifier can fill in: {found}. "
            'Add e.g. <Choices name="label" toName="image"> with a <Choice> per class to <Image name="image" '
            'value="$image"/>.'
        )
    return LabelingConfig(tuple(controls), tuple(declined))


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


def _reasons_to_decline(tag: Any) -> Iterator[str]:
    """Yield why a Choices or Taxonomy control can't be filled in; each reason continues 'Choices 'name' ...'."""
    if tag.tag.lower() == "taxonomy":
        yield "is a Taxonomy, which this version does not fill in (use Choices)"
        return
    if _is_true(tag, "perRegion"):
        yield "asks about regions (perRegion), not about the image"
    if _is_true(tag, "perItem"):
        yield "asks about each item of a list (perItem), not about one image"
    if _is_true(tag, "allowNested"):
        yield "nests its choices (allowNested), which this version does not fill in"
    if tag.dynamic_value:
        yield f'takes its choices from the task\'s data (value="{tag.attr.get("value", "")}"), so they differ by task'
    elif not tag.labels:
        yield "has no choices"
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


def _is_true(tag: Any, attribute: str) -> bool:
    return str(tag.get_attr(attribute, "false")).lower() == "true"


def _choices_control(tag: Any) -> ChoicesControl:
    image = tag.objects[0]
    # The SDK keys choices by what is written in results (alias, else value); what is shown is in the attributes.
    choices = tuple(
        Choice(shown=choice.attr.get("value") or written, written=written)
        for written, choice in tag.labels_attrs.items()
    )
    return ChoicesControl(
        name=tag.name,
        image_name=image.name,
        data_key=image.value_name,
        multiple=tag.attr.get("choice") == "multiple",
        choices=choices,
    )
