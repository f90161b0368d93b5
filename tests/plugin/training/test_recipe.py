from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from winnow.plugin.errors import DataError
from winnow.plugin.training.recipe import (
    PRESETS,
    Recipe,
    RecipeChanges,
    changed_recipe,
    describe_settings,
    preset_recipe,
    read_recipe,
)


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_is_found_by_name_and_takes_the_seed(name: str) -> None:
    recipe = preset_recipe(name, seed=7)

    assert (recipe.preset, recipe.seed) == (name, 7)
    assert PRESETS[name].seed == 0


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="probe, quick, strong, got 'best'"):
        preset_recipe("best")


def test_a_recipe_is_plain_json() -> None:
    assert json.loads(json.dumps(Recipe().to_dict()))["epochs"] == Recipe().epochs


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": -1}, "epochs must be at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, "batch_size must be of type int, got 2.5"),
        ({"validation_share": 0.6}, "validation_share must be from 0.01 to 0.5, got 0.6"),
        ({"frozen_share": 1.1}, "frozen_share must be from 0 to 1"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0, got nan"),
        ({"optimizer": "lion"}, "optimizer must be one of adamw, adam, sgd, got 'lion'"),
        ({"freeze_batch_norm": 1}, "freeze_batch_norm must be of type bool"),
        ({"epochs": True}, "epochs must be of type int"),
        ({"image_size": 8}, "image_size must be at least 16"),
    ],
)
def test_an_impossible_value_is_refused_by_name(wrong: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Recipe(**wrong)


def test_every_setting_says_what_it_does() -> None:
    for setting in describe_settings():
        assert setting.metadata["text"].endswith("."), setting.name
        assert setting.metadata["group"] in ("network", "steps", "loss", "augmentation")


def test_a_recipe_survives_yaml(tmp_path: Path) -> None:
    recipe = replace(PRESETS["strong"], epochs=7, image_size=192, learning_rate=3e-4)
    path = tmp_path / "recipe.yml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")

    assert read_recipe(path) == recipe


def test_what_a_file_leaves_out_is_as_its_preset_says(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text("preset: strong\nlearning_rate: 1e-4\n", encoding="utf-8")  # to YAML, 1e-4 is a text

    assert read_recipe(path) == replace(PRESETS["strong"], learning_rate=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 0.1", "recipe.yml.*no setting 'lr'.*learning_rate"),
        ("epochs: many", "recipe.yml.*epochs must be of type int, got 'many'"),
        ("- epochs", "holds no recipe"),
        ("epochs: [", "cannot read a recipe"),
        ("!!python/object/apply:os.system ['true']", "cannot read a recipe"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=message):
        read_recipe(path)


def test_changes_leave_alone_what_is_open() -> None:
    recipe = changed_recipe(PRESETS["strong"], {"epochs": 3, "mixup": None})

    assert recipe == replace(PRESETS["strong"], epochs=3)


def test_changes_cover_all_settings_but_preset_and_seed() -> None:
    names = {each.name for each in fields(RecipeChanges)}

    assert names == {each.name for each in fields(Recipe)} - {"preset", "seed"}
