"""The settings of a training recipe in a form: what a preset leaves as it is stays empty."""

from __future__ import annotations

from dataclasses import Field

from fiftyone.operators import types

from ..plugin.training.recipe import PRESETS, Recipe, describe_settings
from .forms import Form

_GROUPS = {"network": "Network", "steps": "Steps", "loss": "Loss", "augmentation": "Augmentation"}
_SHOWN = "recipe_group"
_ASIDE = ("preset", "seed")  # parts of the form of their own


def add_recipe(form: Form, groups: tuple[str, ...] = tuple(_GROUPS)) -> None:
    """Offer the settings of a recipe, a group at a time where there are several."""
    preset = PRESETS.get(str(form.chosen("preset")), Recipe())
    chosen = groups[0]
    if len(groups) > 1:
        labels = {"none": "as the preset says", **{name: _GROUPS[name] for name in groups}}
        form.choice(_SHOWN, list(labels), "Recipe", "Settings to look at and to change.", labels=labels, default="none")
        chosen = form.ctx.params.get(_SHOWN)
    for setting in describe_settings():
        about, filled = setting.metadata, form.ctx.params.get(setting.name) not in (None, "")
        if setting.name not in _ASIDE and (about["group"] == chosen or filled):
            _add(form, setting, getattr(preset, setting.name))


def _add(form: Form, setting: Field, of_preset: object) -> None:
    about, name = setting.metadata, setting.name
    label = name.replace("_", " ").capitalize()
    description = f"{about['text']} As the preset says: {_shown(of_preset)}."
    if about["choices"]:
        form.choice(name, list(about["choices"]), label, description, default=str(of_preset))
    elif setting.type == "bool":
        view = types.SwitchView(label=label, description=description)
        form.inputs.bool(name, label=label, description=description, default=of_preset, view=view)
    elif setting.type == "str":
        form.inputs.str(name, label=label, description=description, allow_empty=True)
    else:
        make = form.inputs.float if setting.type == "float" else form.inputs.int
        make(name, label=label, description=description, min=about["low"], max=about["high"])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
