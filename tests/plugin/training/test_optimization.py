from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import timm
import torch
from timm.layers import DropPath

from winnow.plugin.training.network import ClassifierNetwork, set_drop_path
from winnow.plugin.training.optimization import Schedule, layers_of, make_optimizer
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.trainer import set_mode
from winnow.plugin.vision.backbones import Backbone

RECIPE = Recipe(frozen_share=0.0)


@pytest.fixture
def network(backbone: Backbone) -> ClassifierNetwork:
    return ClassifierNetwork(copy.deepcopy(backbone.network), backbone.width, 2).eval()


def rates(network: ClassifierNetwork, recipe: Recipe) -> dict[str, float]:
    """Return the peak rate of each parameter that learns."""
    optimizer = make_optimizer(network, recipe)
    of = {id(each): group["peak"] for group in optimizer.param_groups for each in group["params"]}
    return {name: of[id(each)] for name, each in network.named_parameters() if id(each) in of}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_each_optimizer_steps_down_the_gradient(name: str, network: ClassifierNetwork) -> None:
    optimizer = make_optimizer(network, replace(RECIPE, optimizer=name, head_learning_rate=0.1))
    Schedule(optimizer, replace(RECIPE, warmup=0.0), 10).set(0)
    before = network.head.bias.detach().clone()

    (network.head.bias.sum() + 0 * network.head.weight.sum()).backward()
    optimizer.step()

    assert (network.head.bias < before).all()


def test_layers_further_from_the_output_learn_slower(network: ClassifierNetwork) -> None:
    found = rates(network, replace(RECIPE, layer_decay=0.5, learning_rate=1.0, head_learning_rate=2.0))

    layers = layers_of(network.backbone)
    last = max(layers.values())
    assert found["head.weight"] == 2.0
    assert {found[f"backbone.{name}"] == 0.5 ** (last - layer) for name, layer in layers.items()} == {True}
    assert min(layers.values()) == 0 and last >= 3


def test_vectors_are_not_pulled_towards_zero(network: ClassifierNetwork) -> None:
    optimizer = make_optimizer(network, replace(RECIPE, weight_decay=0.3))

    for group in optimizer.param_groups[1:]:
        matrices = {each.ndim > 1 for each in group["params"]}
        assert matrices == {group["weight_decay"] == 0.3}


def test_a_network_whose_layers_timm_does_not_know_has_one_rate() -> None:
    network = ClassifierNetwork(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4)), 4, 2)

    found = rates(network, replace(RECIPE, layer_decay=0.5, learning_rate=0.1))

    assert found["backbone.1.weight"] == 0.1


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("cosine", [0, 1, 0.75, 0.25, 0]), ("step", [0, 1, 1, 0.1, 0.01]), ("plateau", [0, 1, 1, 1, 1])],
)
def test_rates_rise_and_fall_as_the_schedule_says(
    schedule: str, shares: list[float], network: ClassifierNetwork
) -> None:
    made = Schedule(make_optimizer(network, RECIPE), replace(RECIPE, schedule=schedule, warmup=0.1), 1000)

    found = [made.set(step) for step in (0, 100, 400, 700, 1000)]

    assert found == pytest.approx(shares, abs=0.011)


def test_a_plateau_lowers_the_rates(network: ClassifierNetwork) -> None:
    optimizer = make_optimizer(network, RECIPE)
    made = Schedule(optimizer, replace(RECIPE, schedule="plateau", warmup=0.0), 10)

    made.metric_stood_still()
    made.set(5)

    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * RECIPE.head_learning_rate)


def test_branches_are_left_out_more_often_towards_the_output() -> None:
    with torch.random.fork_rng():
        backbone = timm.create_model("test_vit", num_classes=0)

    set_drop_path(backbone, 0.3)
    found = [each.drop_prob for each in backbone.modules() if isinstance(each, DropPath)]
    set_drop_path(backbone, 0.0)

    assert found == sorted(found) and len(found) >= 6
    assert found[-1] == pytest.approx(0.3)
    assert not [each for each in backbone.modules() if isinstance(each, DropPath)]


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_are_learnt_only_where_the_recipe_says_so(frozen: bool, network: ClassifierNetwork) -> None:
    recipe = replace(RECIPE, freeze_batch_norm=frozen, frozen_share=0.5)
    make_optimizer(network, recipe)

    set_mode(network, recipe)

    assert network.backbone.bn1.training is False  # of the stem, which is frozen
    assert network.backbone.bn2.training is not frozen
