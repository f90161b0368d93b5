from __future__ import annotations

import json

import pytest

from winnow.plugin.training.recipe import PRESETS, Recipe, preset_recipe


@pytest.mark.parametrize("name", ["probe", "quick"])
def test_a_preset_is_found_by_name_and_takes_the_seed(name: str) -> None:
    recipe = preset_recipe(name, seed=7)

    assert (recipe.preset, recipe.seed) == (name, 7)
    assert PRESETS[name].seed == 0


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="probe, quick, got 'best'"):
        preset_recipe("best")


def test_a_recipe_is_plain_json() -> None:
    assert json.loads(json.dumps(Recipe().to_dict()))["epochs"] == Recipe().epochs


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"validation_share": 0.0},
        {"validation_share": 0.6},
        {"frozen_share": 1.1},
    ],
)
def test_an_impossible_value_is_refused_by_name(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**wrong)
