"""Probabilities -> predictions; what is sent is held against the SDK's own validator."""

from __future__ import annotations

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface

from winnow.plugin.labeling.class_mapping import ClassMapping, map_classes
from winnow.plugin.labeling.labeling_config import parse_labeling_config
from winnow.plugin.labeling.predictions import Answer, answer_for, chosen, is_importable, to_prediction

CLASSES = ("cat", "dog", "yak")
TREE = (
    '<Choice value="Animal" alias="a"><Choice value="Cat" alias="cat"/><Choice value="Dog"/></Choice>'
    '<Choice value="Yak"/>'
)


def config(choice: str = "single") -> str:
    return (
        f'<View><Image name="img" value="$image"/><Choices name="c" toName="img" choice="{choice}">'
        '<Choice value="Cat" alias="cat"/><Choice value="Dog"/></Choices></View>'
    )


def mapping(choice: str = "single") -> ClassMapping:
    return map_classes(CLASSES, parse_labeling_config(config(choice)))[0]


def tree_config(tag: str, attributes: str = "") -> str:
    return f'<View><Image name="img" value="$image"/><{tag} name="c" toName="img" {attributes}>{TREE}</{tag}></View>'


def tree(tag: str, attributes: str = "") -> ClassMapping:
    return map_classes(CLASSES, parse_labeling_config(tree_config(tag, attributes)))[0]


def test_single_choice_is_the_most_probable_class_with_its_probability_as_score() -> None:
    answer = answer_for(mapping(), np.array([0.2, 0.7, 0.1], dtype=np.float32))

    assert answer is not None
    prediction = to_prediction([answer], "v1")
    assert prediction == {
        "result": [
            {"from_name": "c", "to_name": "img", "type": "choices", "value": {"choices": ["Dog"]}, "score": 0.7}
        ],
        "score": 0.7,
        "model_version": "v1",
    }


def test_no_answer_where_the_most_probable_class_is_no_choice() -> None:
    assert answer_for(mapping(), np.array([0.2, 0.1, 0.7])) is None


def test_several_choices_are_those_above_their_thresholds() -> None:
    answer = answer_for(
        mapping("multiple"), np.array([0.4, 0.9, 0.99]), multilabel=True, thresholds=np.array([0.3, 0.5, 0.5])
    )

    assert answer is not None
    assert answer.chosen == ("cat", "Dog")


def test_score_of_several_is_the_probability_of_the_least_sure_decision() -> None:
    answer = answer_for(mapping("multiple"), np.array([0.35, 0.9, 0.5]), multilabel=True)

    assert answer is not None
    assert answer.score == pytest.approx(0.65)


def test_task_without_any_class_keeps_an_honest_score_and_an_empty_result() -> None:
    answer = answer_for(mapping("multiple"), np.array([0.1, 0.2, 0.0]), multilabel=True)

    assert answer is not None
    assert to_prediction([answer], "v1") == {"result": [], "score": pytest.approx(0.8), "model_version": "v1"}


def test_multilabel_classifier_fills_a_single_choice_with_one_class() -> None:
    answer = answer_for(mapping("single"), np.array([0.8, 0.9, 0.1]), multilabel=True)

    assert answer is not None
    assert answer.chosen == ("Dog",)


def test_score_of_a_task_is_the_lowest_of_its_controls() -> None:
    answers = [Answer(mapping(), ("cat",), 0.9), Answer(mapping(), ("Dog",), 0.6)]

    assert to_prediction(answers, "v1")["score"] == 0.6


@pytest.mark.parametrize("choice", ["single", "multiple"])
def test_random_predictions_pass_the_validator_of_the_sdk(choice: str) -> None:
    rng = np.random.default_rng(0)
    interface = LabelInterface(config(choice))

    for probabilities in rng.dirichlet(np.ones(3) / 5, size=50).astype(np.float32):
        answer = answer_for(mapping(choice), probabilities, multilabel=choice == "multiple")
        if answer is not None:
            assert interface.validate_prediction(to_prediction([answer], "v1"), return_errors=True) == []


@pytest.mark.parametrize(
    "probabilities", [[0.5, 0.5], [0.5, np.nan, 0.5], [0.5, 1.2, 0], [0.5, -0.1, 0], [np.inf, 0, 0]]
)
def test_probabilities_that_are_none_are_refused(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities must"):
        answer_for(mapping(), np.array(probabilities))


def test_rounding_noise_above_one_is_cut_off() -> None:
    answer = answer_for(mapping(), np.array([1.0000001, 0, 0], dtype=np.float32))

    assert answer is not None
    assert answer.score == 1.0


@pytest.mark.parametrize(
    ("chosen", "score", "problem"),
    [
        (("cow",), 0.5, "no choice"),
        (("cat", "Dog"), 0.5, "takes at most 1"),
        (("cat",), float("nan"), "from 0 to 1"),
    ],
)
def test_answer_that_label_studio_would_store_but_not_show_is_refused(
    chosen: tuple[str, ...], score: float, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        Answer(mapping(), chosen, score)


@pytest.mark.parametrize(("answers", "version"), [([], "v1"), ([Answer(mapping(), ("cat",), 0.5)], "")])
def test_prediction_needs_an_answer_and_a_version(answers: list[Answer], version: str) -> None:
    with pytest.raises(ValueError, match="a prediction needs"):
        to_prediction(answers, version)


def test_taxonomy_is_written_as_paths_of_its_own_type() -> None:
    answer = answer_for(tree("Taxonomy"), np.array([0.7, 0.2, 0.1]))

    assert answer is not None
    (region,) = to_prediction([answer], "v1")["result"]
    assert (region["type"], region["value"]) == ("taxonomy", {"taxonomy": [["a", "cat"]]})


def test_nested_choices_are_written_as_paths() -> None:
    answer = answer_for(tree("Choices", 'allowNested="true"'), np.array([0.2, 0.7, 0.1]))

    assert answer is not None
    (region,) = to_prediction([answer], "v1")["result"]
    assert (region["type"], region["value"]) == ("choices", {"choices": [["a", "Dog"]]})


def test_no_more_paths_are_written_than_a_taxonomy_takes() -> None:
    answer = answer_for(tree("Taxonomy", 'maxUsages="2"'), np.array([0.7, 0.6, 0.9]), multilabel=True)

    assert answer is not None
    assert answer.chosen == (("a", "cat"), ("Yak",))


@pytest.mark.parametrize("mapped", [tree("Taxonomy"), mapping("multiple"), tree("Choices", 'allowNested="true"')])
def test_what_was_written_is_read_back(mapped: ClassMapping) -> None:
    written = tuple(name for name in mapped.written if name is not None)[: mapped.control.most]

    prediction = to_prediction([Answer(mapped, written, 0.5)], "v1")

    assert chosen(prediction["result"], mapped.control) == written


@pytest.mark.parametrize(
    "result",
    [[], [None], [{"from_name": "other", "value": {"choices": ["cat"]}}], [{"from_name": "c", "value": {}}],
     [{"from_name": "c", "value": {"choices": []}}], [{"from_name": "c", "value": {"choices": [1, {}, []]}}],
     [{"from_name": "c"}]],
)  # fmt: skip
def test_control_without_an_answer_is_told_from_one_with(result: list[object]) -> None:
    assert chosen(result, mapping().control) is None


def test_nested_choice_whose_children_are_all_picked_is_not_an_answer_of_its_own() -> None:
    result = [{"from_name": "c", "value": {"choices": [["a"], ["a", "cat"], ["a", "Dog"]]}}]

    assert chosen(result, tree("Choices", 'allowNested="true"').control) == (("a", "cat"), ("a", "Dog"))


@pytest.mark.parametrize(
    ("xml", "importable"),
    [(config(), True), (tree_config("Taxonomy"), True), (tree_config("Choices", 'allowNested="true"'), False)],
)
def test_prediction_is_importable_where_the_validator_of_bulk_imports_takes_it(xml: str, importable: bool) -> None:
    (mapped,) = map_classes(CLASSES, parse_labeling_config(xml))
    answer = answer_for(mapped, np.array([0.7, 0.2, 0.1]))
    assert answer is not None

    prediction = to_prediction([answer], "v1")

    assert is_importable(prediction) is importable
    assert LabelInterface(xml).validate_prediction(prediction) is importable
