"""Labeling configs made of class names."""

from __future__ import annotations

import pytest

from winnow.plugin.labeling.config_writing import Question, write_labeling_config, written_classes
from winnow.plugin.labeling.labeling_config import LabelingConfigError, parse_labeling_config

ODD_NAMES = ("猫", "قطة", 'say "a" & <b>', "it's", "two\nlines\tand a tab", " spaces ", "$5", "a/b", "🐈", "A", "a")


def test_any_class_name_is_written_back_as_it_is() -> None:
    config = write_labeling_config([Question("label", ODD_NAMES)])

    (mapping,) = written_classes(config, [Question("label", ODD_NAMES)])

    assert mapping.written == ODD_NAMES


@pytest.mark.parametrize("multiple", [True, False])
def test_several_choices_are_allowed_where_several_classes_may_apply(multiple: bool) -> None:
    config = write_labeling_config([Question("label", ("a", "b"), multiple)])

    (control,) = parse_labeling_config(config).controls

    assert control.multiple is multiple


@pytest.mark.parametrize(("classes", "searchable"), [(5, False), (500, True)])
def test_many_classes_can_be_searched(classes: int, searchable: bool) -> None:
    config = write_labeling_config([Question("label", tuple(f"class {number}" for number in range(classes)))])

    assert ("<Filter" in config) is searchable


def test_several_questions_are_asked_about_one_image() -> None:
    config = write_labeling_config([Question("species", ("cat", "dog")), Question("quality", ("sharp", "blurred"))])

    controls = parse_labeling_config(config).controls

    assert [(control.name, control.data_key) for control in controls] == [("species", "image"), ("quality", "image")]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question("label", ()), "no class"),
        (Question("label", ("a\0b",)), "holds the character"),
        (Question("image", ("a",)), "name of a control"),
        (Question("label", tuple(f"{number:050}" for number in range(20_000))), "coarse classes first"),
    ],
)
def test_what_no_config_can_hold_is_told(question: Question, said: str) -> None:
    with pytest.raises(LabelingConfigError, match=said):
        write_labeling_config([question])


def test_a_missing_control_is_told_with_those_that_there_are() -> None:
    config = write_labeling_config([Question("label", ("a",))])

    with pytest.raises(LabelingConfigError, match="no control 'kind'; its controls about an image are: label"):
        written_classes(config, [Question("kind", ("a",))])
