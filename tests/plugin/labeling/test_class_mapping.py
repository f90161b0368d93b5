"""Classes -> choices."""

from __future__ import annotations

from winnow.plugin.labeling.choice_trees import Choice
from winnow.plugin.labeling.class_mapping import map_classes, map_to_control
from winnow.plugin.labeling.labeling_config import Control, LabelingConfig


def control(*choices: Choice | str, name: str = "c", data_key: str = "image") -> Control:
    made = tuple(Choice(choice, choice) if isinstance(choice, str) else choice for choice in choices)
    return Control(name=name, image_name="img", data_key=data_key, kind="choices", most=1, choices=made)


def test_class_maps_by_alias_by_value_and_regardless_of_case() -> None:
    choices = control(Choice("Katze", "cat"), Choice("Dog", "d"), "Äpfel")

    mapping = map_to_control(("cat", "Dog", "äpfel"), choices)

    assert mapping.written == ("cat", "d", "Äpfel")
    assert mapping.notes() == []


def test_case_is_not_ignored_where_two_choices_would_fit() -> None:
    mapping = map_to_control(("CAT",), control("Cat", "cat"))

    assert mapping.written == (None,)
    assert mapping.unmapped_classes == ("CAT",)


def test_exact_match_wins_over_a_class_of_other_case() -> None:
    mapping = map_to_control(("CAT", "cat"), control("cat"))

    assert mapping.written == (None, "cat")


def test_two_classes_never_share_a_choice() -> None:
    mapping = map_to_control(("KITTY", "CAT"), control(Choice("Kitty", "cat")))

    assert mapping.written == (None, None)


def test_what_does_not_match_is_told_on_both_sides() -> None:
    mapping = map_to_control(("cat", "yak"), control("cat", "cow"))

    assert mapping.notes() == [
        "no choice of 'c' matches the class(es) 'yak'",
        "no class matches the choice(s) 'cow' of 'c'",
    ]


def test_only_the_control_that_most_classes_fit_is_filled_in() -> None:
    quality = control("sharp", "other", name="quality")
    animal = control("cat", "dog", "other", name="animal")

    mappings = map_classes(("cat", "dog", "other"), LabelingConfig((quality, animal), ()))

    assert [mapping.control.name for mapping in mappings] == ["animal"]


def test_same_question_about_two_images_is_answered_twice() -> None:
    left, right = control("cat", name="left", data_key="a"), control("cat", name="right", data_key="b")

    mappings = map_classes(("cat",), LabelingConfig((left, right), ()))

    assert [mapping.control.name for mapping in mappings] == ["left", "right"]


def test_nothing_is_filled_in_where_no_class_fits() -> None:
    assert map_classes(("yak",), LabelingConfig((control("cat"),), ())) == ()


def test_class_maps_to_a_path_by_the_whole_of_it_or_by_its_last_name() -> None:
    cat, fish = Choice(("Animal", "Cat"), ("a", "c")), Choice(("Animal", "Sea", "Fish"), ("a", "s", "f"))

    for classes in (
        ("a / c", "a/s/f"),
        ("Animal/Cat", "Animal / Sea / Fish"),
        ("c", "Fish"),
        ("CAT", "animal/sea/fish"),
    ):
        assert map_to_control(classes, control(cat, fish)).written == (("a", "c"), ("a", "s", "f"))


def test_last_name_that_two_paths_end_in_is_not_guessed_at() -> None:
    paths = [Choice((branch, "Other"), (branch, "Other")) for branch in ("Cat", "Dog")]

    assert map_to_control(("Other",), control(*paths)).written == (None,)
    assert map_to_control(("Dog/Other",), control(*paths)).written == (("Dog", "Other"),)


def test_letters_that_unicode_composes_differently_are_the_same() -> None:
    mapping = map_to_control(("a\u0308pfel",), control("\u00c4pfel"))

    assert mapping.written == ("\u00c4pfel",)
