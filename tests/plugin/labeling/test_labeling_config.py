"""Labeling configs: what is understood, and what is declined with a reason."""

from __future__ import annotations

import pytest

from winnow.plugin.labeling.choice_trees import Choice
from winnow.plugin.labeling.labeling_config import (
    MAX_CONFIG_CHARACTERS,
    Control,
    LabelingConfigError,
    parse_labeling_config,
)

IMAGE = '<Image name="img" value="$image"/>'
CHOICE = '<Choice value="a"/>'


def test_alias_is_what_is_written_and_value_is_what_is_shown() -> None:
    xml = (
        f'<View>{IMAGE}<Choices name="c" toName="img"><Choice value="Cat" alias="cat"/>'
        '<Choice value="Dög"/></Choices></View>'
    )

    (control,) = parse_labeling_config(xml).controls

    assert control.choices == (Choice("Cat", "cat"), Choice("Dög", "Dög"))


@pytest.mark.parametrize(("choice", "multiple"), [("single", False), ("single-radio", False), ("multiple", True)])
def test_several_choices_are_allowed_only_where_the_config_says_multiple(choice: str, multiple: bool) -> None:
    xml = f'<View>{IMAGE}<Choices name="c" toName="img" choice="{choice}">{CHOICE}</Choices></View>'

    (control,) = parse_labeling_config(xml).controls

    assert control.multiple is multiple


def test_control_knows_its_image_and_where_the_task_keeps_it() -> None:
    xml = (
        '<View><Image name="left" value="$photo"/><Image name="right" value="$scan.url"/>'
        f'<Choices name="c" toName="right">{CHOICE}</Choices></View>'
    )

    (control,) = parse_labeling_config(xml).controls

    assert (control.name, control.image_name, control.data_key) == ("c", "right", "scan.url")


def test_text_control_beside_an_image_control_is_declined_not_dropped() -> None:
    xml = (
        f'<View>{IMAGE}<Text name="txt" value="$text"/><Choices name="good" toName="img">{CHOICE}</Choices>'
        f'<Choices name="bad" toName="txt">{CHOICE}</Choices></View>'
    )

    config = parse_labeling_config(xml)

    assert [control.name for control in config.controls] == ["good"]
    assert config.declined == ("Choices 'bad' is about a Text, not an Image",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'{IMAGE}<Choices name="c" toName="img" perRegion="true">{CHOICE}</Choices>', "perRegion"),
        (f'{IMAGE}<Choices name="c" toName="img" perItem="true">{CHOICE}</Choices>', "perItem"),
        (f'{IMAGE}<Choices name="c" toName="img" value="$options"/>', r'from elsewhere \("\$options"\)'),
        (f'{IMAGE}<Taxonomy name="c" toName="img" apiUrl="https://x.org"/>', r'from elsewhere \("https://x.org"\)'),
        (f'{IMAGE}<Taxonomy name="c" toName="img" labeling="true">{CHOICE}</Taxonomy>', "labels regions"),
        (f'{IMAGE}<Choices name="c" toName="img" visibleWhen="region-selected">{CHOICE}</Choices>', "visibleWhen"),
        (
            f'{IMAGE}<View visibleWhen="region-selected"><Choices name="c" toName="img">{CHOICE}</Choices></View>',
            "visibleWhen",
        ),
        (f'{IMAGE}<Choices name="c" toName="img"><Choice value="$a"/></Choices>', "no choices that can be filled in"),
        (f'{IMAGE}<Header name="c"/><Choices name="c" toName="img">{CHOICE}</Choices>', "stands in the config twice"),
        (f'{IMAGE}<Choices name="c" toName="img"/>', "has no choices"),
        (f'{IMAGE}<Choices name="c" toName="nowhere">{CHOICE}</Choices>', "'nowhere', which the config does not have"),
        (f'{IMAGE}<Choices name="c" toName="img,other">{CHOICE}</Choices>', "several objects"),
        (f'<Image name="i" valueList="$images"/><Choices name="c" toName="i">{CHOICE}</Choices>', "list of images"),
        (f'<Image name="i" value="x.png"/><Choices name="c" toName="i">{CHOICE}</Choices>', "rather than a variable"),
        (IMAGE, "there is none"),
    ],
)
def test_config_without_a_usable_control_is_refused_with_the_reason(body: str, reason: str) -> None:
    with pytest.raises(LabelingConfigError, match=reason):
        parse_labeling_config(f"<View>{body}</View>")


@pytest.mark.parametrize(
    "xml", ["", "<View", "no xml", "<View>\0</View>", '<?xml version="1.0" encoding="utf-8"?><View/>']
)
def test_text_that_is_not_xml_is_refused(xml: str) -> None:
    with pytest.raises(LabelingConfigError, match="cannot parse the labeling config"):
        parse_labeling_config(xml)


def test_entities_are_refused_before_the_parser_sees_them() -> None:
    bomb = '<!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><View>&b;</View>'

    with pytest.raises(LabelingConfigError, match="document type"):
        parse_labeling_config(bomb)


def test_huge_config_is_refused() -> None:
    with pytest.raises(LabelingConfigError, match="at most 1,000,000"):
        parse_labeling_config("x" * (MAX_CONFIG_CHARACTERS + 1))


def test_same_config_is_parsed_once() -> None:
    xml = f'<View>{IMAGE}<Choices name="once" toName="img">{CHOICE}</Choices></View>'

    first = parse_labeling_config(xml)

    assert parse_labeling_config(xml) is first


TREE = (
    '<Choice value="Animal" alias="a"><Choice value="Cat" alias="c"/><View><Choice value="Dog"/></View></Choice>'
    '<Choice value="Other"/>'
)


def only_control(attributes: str, choices: str, tag: str = "Choices") -> Control:
    (control,) = parse_labeling_config(
        f'<View>{IMAGE}<{tag} name="c" toName="img" {attributes}>{choices}</{tag}></View>'
    ).controls
    return control


def test_choices_of_a_taxonomy_are_paths_of_what_is_shown_and_of_what_is_written() -> None:
    control = only_control("", TREE, "Taxonomy")

    assert control.kind == "taxonomy"
    assert control.choices == (
        Choice(("Animal",), ("a",)),
        Choice(("Animal", "Cat"), ("a", "c")),
        Choice(("Animal", "Dog"), ("a", "Dog")),
        Choice(("Other",), ("Other",)),
    )


def test_only_leaves_of_a_taxonomy_are_picked_where_it_says_so() -> None:
    control = only_control('leafsOnly="true"', TREE, "Taxonomy")

    assert [choice.written for choice in control.choices] == [("a", "c"), ("a", "Dog"), ("Other",)]


@pytest.mark.parametrize(("attributes", "most"), [("", None), ('maxUsages="2"', 2), ('maxUsages="many"', None)])
def test_taxonomy_takes_as_many_paths_as_it_says(attributes: str, most: int | None) -> None:
    assert only_control(attributes, TREE, "Taxonomy").most == most


def test_nested_choices_are_paths_to_leaves() -> None:
    control = only_control('allowNested="true"', TREE)

    assert [choice.written for choice in control.choices] == [("a", "c"), ("a", "Dog"), ("Other",)]


@pytest.mark.parametrize(
    ("choices", "written", "remark"),
    [
        (TREE, ["a", "Other"], "Choices 'c': 'Cat' is nested, which Label Studio neither shows nor writes"),
        (f'{CHOICE}<Choice value="$b"/>', ["a"], "Choices 'c': '$b' takes its text from the task's data"),
        (f'{CHOICE}<Choice value="b" alias=""/>', ["a"], "Choices 'c': 'b' has an empty alias"),
        (f'{CHOICE}<Choice value="b"/><Choice value="B" alias="b"/>', ["a"], "Choices 'c': 'b' is there 2 times"),
    ],
)
def test_choice_that_label_studio_would_not_show_is_left_out_and_told(
    choices: str, written: list[str], remark: str
) -> None:
    config = parse_labeling_config(f'<View>{IMAGE}<Choices name="c" toName="img">{choices}</Choices></View>')

    assert [choice.written for choice in config.controls[0].choices] == written
    assert remark in config.remarks[0]


def test_control_that_appears_with_an_answer_to_another_is_filled_in_and_told() -> None:
    condition = 'visibleWhen="choice-selected" whenTagName="other" whenChoiceValue="x"'

    config = parse_labeling_config(f'<View>{IMAGE}<Choices name="c" toName="img" {condition}>{CHOICE}</Choices></View>')

    assert [control.name for control in config.controls] == ["c"]
    assert "not always shown" in config.remarks[0]


@pytest.mark.parametrize(
    ("choices", "written"),
    [
        ('<Choice value="US$100"/>', [("US$100",)]),
        ('<Choice value="a" alias="x"/><Choice value="a" alias="y"/>', [("x",)]),
        ('<Choice value="a" alias="x"/><Choice value="b" alias="x"/><Choice value="c"/>', [("c",)]),
        (f'<Choices name="other" toName="img">{CHOICE}</Choices><Choice value="b"/>', [("b",)]),
    ],
)
def test_taxonomy_takes_what_its_editor_shows(choices: str, written: list[tuple[str, ...]]) -> None:
    xml = f'<View>{IMAGE}<Taxonomy name="c" toName="img">{choices}</Taxonomy></View>'

    control = next(control for control in parse_labeling_config(xml).controls if control.name == "c")

    assert [choice.written for choice in control.choices] == written


def test_attributes_are_read_however_their_names_are_written() -> None:
    control = only_control('leafsonly="TRUE" MAXUSAGES="1"', TREE, "Taxonomy")

    assert (control.most, len(control.choices)) == (1, 3)
