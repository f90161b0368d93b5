"""An option of the command line for each setting of a recipe."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field
from typing import Annotated, Any

import typer

from ..plugin.training.recipe import describe_settings
from .arguments import given_options

_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str, "int | None": int}
_ASIDE = ("preset", "seed")  # options of their own
_PANELS = {
    "network": "Recipe: network",
    "steps": "Recipe: steps",
    "loss": "Recipe: loss",
    "augmentation": "Recipe: augmentation",
}


def takes_recipe(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting; it gets those that the user gave as a dictionary `changes`."""
    settings = [each for each in describe_settings() if each.name not in _ASIDE]
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "changes"]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        changes = given_options(**{each.name: values.pop(each.name) for each in settings})
        command(**values, changes=changes)

    # Typer reads a command's options from its signature, and from its annotations where it has any.
    parameters = [*own, *(_parameter(each) for each in settings)]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameter(setting: Field) -> inspect.Parameter:
    about, flag = setting.metadata, f"--{setting.name.replace('_', '-')}"
    kind = _TYPES[str(setting.type)]
    choices = f" One of {', '.join(about['choices'])}." if about["choices"] else ""
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
        help=about["text"] + choices,
        rich_help_panel=_PANELS[about["group"]],
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )
