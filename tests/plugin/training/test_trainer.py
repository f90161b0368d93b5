from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from winnow.plugin.errors import DataError, JobCancelled
from winnow.plugin.training.labelled_images import LabelledImages, training_set
from winnow.plugin.training.network import ClassifierNetwork
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.trainer import fine_tune
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine

RECIPE = Recipe(epochs=2, batch_size=16, flip=0.0)
State = dict[str, torch.Tensor]


@pytest.fixture
def network(backbone: Backbone) -> ClassifierNetwork:
    """Return a classifier that cannot tell two classes apart yet."""
    network = ClassifierNetwork(copy.deepcopy(backbone.network), backbone.width, 2).eval()
    network.set_head(np.zeros((backbone.width, 2), np.float32), np.zeros(2, np.float32))
    return network


@pytest.fixture
def tune(stripes: LabelledImages, preprocessing: Preprocessing) -> Callable[..., State]:
    """Return a function that fine-tunes a network on the stripes and gives its weights and buffers."""

    def run(network: ClassifierNetwork, recipe: Recipe = RECIPE, **settings: object) -> State:
        fine_tune(network, training_set(stripes, 2), preprocessing, recipe, **settings)
        return network.state_dict()

    return run


def changed(before: State, after: State) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def copied(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def loss_of(network: ClassifierNetwork, images: LabelledImages, preprocessing: Preprocessing) -> float:
    logits = TorchEngine(network, preprocessing.input, "cpu")(np.stack([preprocessing(path) for path in images.paths]))
    return float(nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(images.labels)))


def test_the_loss_falls(
    network: ClassifierNetwork, tune: Callable[..., State], stripes: LabelledImages, preprocessing: Preprocessing
) -> None:
    before = loss_of(network, stripes, preprocessing)

    tune(network, replace(RECIPE, epochs=4, learning_rate=3e-3, head_learning_rate=3e-2))

    assert before == pytest.approx(np.log(2))
    assert loss_of(network, stripes, preprocessing) < 0.5 * before


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds in no fixed order")
def test_the_seed_decides_the_weights(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    first, again, other = (tune(copy.deepcopy(network), replace(RECIPE, seed=seed)) for seed in (1, 1, 2))

    assert changed(first, again) == set()
    assert "head.weight" in changed(first, other)


def test_the_first_blocks_and_the_stem_stay_as_pretrained(
    network: ClassifierNetwork, tune: Callable[..., State]
) -> None:
    before = copied(network)
    n_blocks = len(network.backbone.blocks)

    after = tune(network, replace(RECIPE, frozen_share=0.5))

    trained = changed(before, after)
    frozen = tuple(
        f"backbone.{part}." for part in ("conv_stem", "bn1", *(f"blocks.{i}" for i in range(round(n_blocks / 2))))
    )
    assert not [name for name in trained if name.startswith(frozen)]
    assert any(name.startswith(f"backbone.blocks.{n_blocks - 1}.") for name in trained)
    assert {"head.weight", "head.bias"} <= trained


def test_nothing_is_frozen_where_the_recipe_says_so(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    before = copied(network)

    after = tune(network, replace(RECIPE, frozen_share=0.0))

    assert {"backbone.conv_stem.weight", "backbone.blocks.0.0.conv.weight"} <= changed(before, after)


def test_batch_normalisation_keeps_its_statistics(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    before = copied(network)

    after = tune(network, replace(RECIPE, frozen_share=0.0))

    statistics = [name for name in before if "running_" in name or "num_batches" in name]
    assert statistics
    assert not changed(before, after) & set(statistics)


def test_a_transformer_is_tuned_too(stripes: LabelledImages) -> None:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ClassifierNetwork(timm.create_model("test_vit", num_classes=0), 64, 2).eval()
    before = copied(network)

    fine_tune(network, training_set(stripes[np.arange(16)], 2), Preprocessing().with_size(160), RECIPE)

    trained = changed(before, network.state_dict())
    assert "backbone.pos_embed" not in trained
    assert any(name.startswith("backbone.blocks.") for name in trained)


def test_first_half_of_a_resnet_is_frozen(stripes: LabelledImages) -> None:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = timm.create_model("test_resnet", num_classes=0)
        network = ClassifierNetwork(backbone, backbone.num_features, 2).eval()
    before = copied(network)

    fine_tune(network, training_set(stripes[np.arange(16)], 2), Preprocessing().with_size(160), RECIPE)

    trained = changed(before, network.state_dict())
    assert not [name for name in trained if name.startswith(("backbone.conv1", "backbone.layer1", "backbone.layer2"))]
    assert any(name.startswith("backbone.layer4.") for name in trained)


def test_a_diverging_loss_is_an_error(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    with pytest.raises(DataError, match=r"diverged at batch \d+ of 8.*learning rate"):
        tune(network, replace(RECIPE, learning_rate=1e30, head_learning_rate=1e30))


def test_the_network_comes_back_ready_to_use(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    state = tune(network)

    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in state.values())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_unreadable_images_are_passed_over(
    network: ClassifierNetwork, stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    images = stripes[np.arange(36)]
    images.paths[18:] = str(tmp_path / "gone.png")
    before = copied(network)

    fine_tune(network, training_set(images, 2), preprocessing, replace(RECIPE, batch_size=4, epochs=1))

    assert "head.weight" in changed(before, network.state_dict())
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_labels_stay_with_their_images(
    network: ClassifierNetwork, stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    images = stripes[np.arange(60)]
    images.paths[images.labels == 0] = str(tmp_path / "gone.png")

    fine_tune(network, training_set(images, 2), preprocessing, replace(RECIPE, head_learning_rate=0.1))

    assert network.head.bias[1] > network.head.bias[0]  # all that it has seen is of class 1


def test_progress_is_told_at_each_step(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    told: list[tuple[str, int, int]] = []

    tune(network, progress=lambda *call: told.append(call))

    assert told == [("fine-tuning", step, 8) for step in range(1, 9)]


def test_it_can_be_cancelled(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    def cancel(step: str, done: int, total: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        tune(network, progress=cancel)


def test_global_generators_are_left_alone(network: ClassifierNetwork, tune: Callable[..., State]) -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())

    tune(network)

    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
