"""From a form's flat values to the params dataclass of a workflow, whose defaults are the only ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar

from ..plugin.errors import DataError

T = TypeVar("T")

# What an operator works on: FiftyOne's own way of choosing, and the slice of a grouped dataset.
_OF_ANY_OPERATOR = {"view_target", "custom_view_target", "group_slice"}


def defaults_of(params_type: type) -> dict[str, Any]:
    """Return name -> default for the fields of a params dataclass that have one; nested ones flattened."""
    defaults: dict[str, Any] = {}
    for field in fields(params_type):
        default = _default(field)
        if is_dataclass(default):
            defaults.update(defaults_of(type(default)))
        elif default is not MISSING:
            defaults[field.name] = default
    return defaults


def params_from(params_type: type[T], values: Mapping[str, Any]) -> T:
    """Build a params dataclass from a form's values.

    Args:
        params_type: The dataclass; fields that are dataclasses themselves take their values from the same flat form.
        values: The form. Absent and empty values mean the default; other names are the App's own affair.

    Raises:
        DataError: A required value is absent.
    """
    return _build(params_type, {name: value for name, value in values.items() if value is not None and value != ""})


def check_names(params_type: type, values: Mapping[str, Any]) -> None:
    """Make sure that the job knows each parameter of a call from Python: a misspelt one must not be passed over.

    Raises:
        DataError: It does not know one.
    """
    known = _names(params_type) | _OF_ANY_OPERATOR
    for name in values:
        if name not in known:
            names = ", ".join(sorted(_names(params_type)))
            raise DataError(f"unknown parameter '{name}': this job takes {names}. Correct or remove it.")


def _build(params_type: type, given: Mapping[str, Any]) -> Any:
    arguments: dict[str, Any] = {}
    for field in fields(params_type):
        default = _default(field)
        if is_dataclass(default):
            arguments[field.name] = _build(type(default), given)
        elif field.name in given:
            value = given[field.name]
            arguments[field.name] = tuple(value) if isinstance(default, tuple) else value
        elif default is MISSING:
            raise DataError(f"parameter '{field.name}' is required: pass {field.name}=... or fill it in in the form.")
    return params_type(**arguments)


def _names(params_type: type) -> set[str]:
    names: set[str] = set()
    for field in fields(params_type):
        default = _default(field)
        names |= _names(type(default)) if is_dataclass(default) else {field.name}
    return names


def _default(field: Field) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
