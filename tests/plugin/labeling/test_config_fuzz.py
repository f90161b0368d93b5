"""Labeling configs that nobody wrote on purpose, and what is predicted for them, against the SDK's validator."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from winnow.plugin.labeling.class_mapping import map_classes
from winnow.plugin.labeling.labeling_config import LabelingConfigError, parse_labeling_config
from winnow.plugin.labeling.predictions import answer_for, chosen, is_importable, to_prediction

CLASSES = ("cat", "Dog", "a / b", "🦊", "Ä\"'<&>", "other")
NAMES = st.sampled_from([*CLASSES, "CAT", "dog", "a", "b", "$image", "", " ", "x" * 300, "img", "c0", "choices"])
TEXTS = NAMES | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
IMAGE = '<Image name="img" value="$image"/>'
# Attributes that change what is written, and those for which a control is declined.
HARMLESS = ["choice=single", "choice=multiple", "allowNested=true", "leafsOnly=true", "maxUsages=1", "maxUsages=2"]
DECLINED = [
    "perRegion=true",
    "perItem=TRUE",
    "visibleWhen=region-selected",
    "value=$image",
    "apiUrl=x",
    "labeling=true",
]


def tag(name: str, attributes: dict[str, str], inside: str = "") -> str:
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{inside}</{name}>"


def attributes(written: list[str], most: int) -> st.SearchStrategy[dict[str, str]]:
    return st.lists(st.sampled_from(written), max_size=most).map(lambda pairs: dict(pair.split("=") for pair in pairs))


def choices() -> st.SearchStrategy[str]:
    leaf = st.builds(lambda value, more: tag("Choice", {"value": value} | more), TEXTS, names_of("alias", "hint"))
    return st.recursive(
        leaf | st.just("<!-- c --><Header value='h'/>"),
        lambda inner: st.builds(
            lambda kind, value, more, inside: tag(kind, {"value": value} | more, "".join(inside)),
            st.sampled_from(["Choice", "View"]),
            TEXTS,
            names_of("alias"),
            st.lists(inner, max_size=4),
        ),
        max_leaves=8,
    )


def names_of(*keys: str) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(keys), TEXTS, max_size=1)


def control(number: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda kind, name, to_name, more, declined, inside: tag(
            kind, {"name": name, "toName": to_name} | more | declined, "".join(inside)
        ),
        st.sampled_from(["Choices", "Choices", "Taxonomy", "Taxonomy", "Labels"]),
        st.sampled_from([f"c{number}"] * 5 + ["c0", "choices"]),
        st.sampled_from(["img"] * 6 + ["second", "nowhere", "img,second"]),
        attributes(HARMLESS, 3),
        st.just({}) | st.just({}) | attributes(DECLINED, 1),
        st.lists(choices(), min_size=1, max_size=5),
    )


CONFIGS = st.builds(
    lambda controls, images, depth: "<View>" * depth + "".join([images, *controls]) + "</View>" * depth,
    st.tuples(control(0), control(1), control(2)),
    st.sampled_from([IMAGE, IMAGE + '<Text name="second" value="$text"/>']),
    st.integers(1, 30),
)


@seed(0)
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(xml=CONFIGS, multilabel=st.booleans(), draw=st.integers(0, 2**32 - 1))
def test_each_config_is_refused_or_filled_in_as_label_studio_takes_it(xml: str, multilabel: bool, draw: int) -> None:
    try:
        config = parse_labeling_config(xml)
    except LabelingConfigError:
        return
    probabilities = np.random.default_rng(draw).dirichlet(np.ones(len(CLASSES)))
    answers = [
        answer
        for mapping in map_classes(CLASSES, config)
        if (answer := answer_for(mapping, probabilities, multilabel=multilabel)) is not None
    ]
    if not answers:
        return

    prediction = to_prediction(answers, "v1")

    for answer in answers:
        assert chosen(prediction["result"], answer.mapping.control) == (answer.chosen or None)
    if is_importable(prediction):
        assert LabelInterface(xml).validate_prediction(prediction, return_errors=True) == []


@seed(0)
@settings(max_examples=200, deadline=None, database=None)
@given(
    xml=st.text(max_size=60) | st.binary(max_size=60).map(lambda data: "<View>" + data.decode("latin-1") + "</View>")
)
def test_text_that_is_no_config_is_refused(xml: str) -> None:
    try:
        parse_labeling_config(xml)
    except LabelingConfigError:
        return
    raise AssertionError(f"a config of nothing was accepted: {xml!r}")


def test_deep_nesting_is_refused_or_read_but_never_overflows() -> None:
    for depth in (100, 300, 50_000):
        inner = '<Choice value="a">' * depth + "</Choice>" * depth
        xml = f'<View><Image name="img" value="$image"/><Taxonomy name="t" toName="img">{inner}</Taxonomy></View>'
        try:
            assert len(parse_labeling_config(xml).controls[0].choices) == depth
        except LabelingConfigError:
            assert depth > 200
