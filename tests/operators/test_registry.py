"""FiftyOne finds the plugin, loads it without an error and offers every operator."""

from __future__ import annotations

from pathlib import Path

import fiftyone.operators as foo
import pytest
import yaml
from fiftyone.operators.registry import OperatorRegistry

import winnow
from winnow.operators import OPERATORS, PANELS

ROOT = Path(winnow.__file__).parent


@pytest.fixture
def described() -> dict:
    return yaml.safe_load((ROOT / "fiftyone.yml").read_text())


def test_registry_has_no_load_errors() -> None:
    registry = OperatorRegistry()

    errors = registry.list_errors()

    assert errors == []


def test_every_operator_is_registered(described: dict) -> None:
    names = [
        operator.name for operator in foo.list_operators(builtin=False) if operator.plugin_name == "@winnow/curation"
    ]

    assert sorted(names) == sorted(described["operators"] + described["panels"])
    assert len(names) == len(OPERATORS) + len(PANELS)


def test_version_in_fiftyone_yml_is_the_packages(described: dict) -> None:
    assert described["version"] == winnow.__version__


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_label_begins_with_winnow_and_has_an_icon(operator: type[foo.Operator]) -> None:
    config = operator().config

    assert config.label.startswith("Winnow: ")
    assert config.icon
