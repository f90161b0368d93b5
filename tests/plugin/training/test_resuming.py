"""A training that was stopped goes on to the very result that it would have had."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from winnow.plugin.errors import DataError, JobCancelled
from winnow.plugin.training.checkpoint import Checkpoint
from winnow.plugin.training.curves import CURVES, read_curves
from winnow.plugin.training.labelled_images import LabelledImages, training_set
from winnow.plugin.training.network import ClassifierNetwork
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.trainer import Judge, Outcome, fine_tune
from winnow.plugin.training.training import train
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.preprocessing import Preprocessing

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU adds in no fixed order")

# Everything that has a state of its own: momenta, averages, gradients that accumulate, rates that fall by the metric.
RECIPE = Recipe(
    epochs=3, batch_size=8, accumulate=3, ema=0.9, mixup=0.3, cutmix=0.5, rand_augment=5, erase=0.3,
    schedule="plateau", sampling="balanced", class_weights="effective", patience=3, frozen_share=0.0,
)  # fmt: skip
State = dict[str, torch.Tensor]


def fresh(backbone: Backbone) -> ClassifierNetwork:
    network = ClassifierNetwork(copy.deepcopy(backbone.network), backbone.width, 2).eval()
    network.set_head(np.zeros((backbone.width, 2), np.float32), np.zeros(2, np.float32))
    return network


def judge(network: ClassifierNetwork) -> tuple[float, dict[str, float]]:
    """Prefer weights in the middle of the run, so that the best are not simply the last."""
    size = float(network.head.weight.detach().abs().sum())
    return -abs(size - 0.3), {"size": size}


class Tuning:
    """Fine-tunes a fresh network on the stripes, until `stop_at` batches of this call are done."""

    def __init__(self, backbone: Backbone, images: LabelledImages, preprocessing: Preprocessing) -> None:
        self.backbone, self.images, self.preprocessing = backbone, images, preprocessing

    def __call__(
        self, folder: Path | None, stop_at: int | None = None, judged_by: Judge = judge, curves: Path | None = None
    ) -> tuple[State, Outcome]:
        calls = 0

        def progress(step: str, done: int, total: int) -> None:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise JobCancelled

        network = fresh(self.backbone)
        outcome = fine_tune(
            network,
            training_set(self.images, 2),
            self.preprocessing,
            RECIPE,
            judged_by,
            checkpoint=None if folder is None else Checkpoint(folder, seconds=0),
            curves=curves,
            progress=progress,
        )
        return network.state_dict(), outcome


@pytest.fixture
def tuning(backbone: Backbone, stripes: LabelledImages, preprocessing: Preprocessing) -> Tuning:
    return Tuning(backbone, stripes, preprocessing)


def assert_same(found: tuple[State, Outcome], wanted: tuple[State, Outcome]) -> None:
    assert {name for name in wanted[0] if not torch.equal(wanted[0][name], found[0][name])} == set()
    assert found[1].points == wanted[1].points
    assert (found[1].metric, found[1].best_epoch) == (wanted[1].metric, wanted[1].best_epoch)


def test_a_run_that_is_stopped_again_and_again_ends_as_if_it_never_was(tuning: Tuning, tmp_path: Path) -> None:
    wanted = tuning(None)

    for stop_at in (2, 7, 3, 9):  # also between the batches of one step, and at the end of an epoch
        with pytest.raises(JobCancelled):
            tuning(tmp_path / "state", stop_at)
    found = tuning(tmp_path / "state")

    assert_same(found, wanted)


def test_curves_of_a_stopped_run_have_each_point_once(tuning: Tuning, tmp_path: Path) -> None:
    wanted = tuning(None)[1].points
    with pytest.raises(JobCancelled):
        tuning(tmp_path / "state", 11, curves=tmp_path / "curves")

    tuning(tmp_path / "state", curves=tmp_path / "curves")

    steps = [point["step"] for point in read_curves(tmp_path / "curves" / CURVES)]
    assert steps == sorted(set(steps)) == [point["step"] for point in wanted]


def test_a_damaged_state_begins_again(tuning: Tuning, tmp_path: Path) -> None:
    with pytest.raises(JobCancelled):
        tuning(tmp_path / "state", 5)
    (path,) = (tmp_path / "state").iterdir()
    path.write_bytes(path.read_bytes()[:-100])

    found = tuning(tmp_path / "state")

    assert_same(found, tuning(None))


def test_a_disk_that_is_full_keeps_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save({"a": torch.ones(2)}, {"done": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("winnow.plugin.training.checkpoint.save_file", full)  # a full disk cannot be had here
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"a": torch.zeros(2)}, {"done": 2})

    tensors, values = checkpoint.load() or ({}, {})
    assert (tensors["a"].tolist(), values) == ([1, 1], {"done": 1})
    assert len(list((tmp_path / "state").iterdir())) == 1


KILLED = """
import json, os, signal, sys
import numpy as np
from safetensors.torch import save_file
from pathlib import Path
from winnow.plugin.training.recipe import Recipe
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.training.training import train
from winnow.plugin.vision.backbones import load_backbone
from winnow.plugin.vision.preprocessing import Preprocessing
import winnow.plugin.training.training as training
from winnow.plugin.training.checkpoint import Checkpoint

asked = json.loads(sys.argv[1])
backbone = load_backbone("test_efficientnet", Path(asked["weights"]))
with np.load(asked["images"], allow_pickle=False) as file:
    images = LabelledImages(file["paths"].astype(object), file["labels"], file["vectors"], file["groups"])
training.Checkpoint = lambda folder: Checkpoint(folder, seconds=0)

def progress(step, done, total):
    if step == "fine-tuning" and done == asked["kill_at"]:
        os.kill(os.getpid(), signal.SIGKILL)

trained = train(
    images, None, ["lying", "standing"], backbone, Preprocessing(input=backbone.input).with_size(48),
    Recipe(**asked["recipe"]), progress, states=Path(asked["states"]),
)
weights = trained.classifier.network.state_dict()
save_file({name: tensor.contiguous() for name, tensor in weights.items()}, asked["output"])
"""


def test_a_killed_training_goes_on_to_the_same_classifier(
    backbone: Backbone, stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    kill_at = 5
    recipe = Recipe(epochs=2, batch_size=8, learning_rate=3e-3, head_learning_rate=3e-2)
    weights = {name: tensor.contiguous() for name, tensor in backbone.network.state_dict().items()}
    save_file(weights, tmp_path / "weights.safetensors")
    np.savez(
        tmp_path / "images.npz",
        paths=stripes.paths.astype(str),
        labels=stripes.labels,
        vectors=stripes.vectors,
        groups=stripes.groups,
    )
    asked = {
        "weights": str(tmp_path / "weights.safetensors"),
        "images": str(tmp_path / "images.npz"),
        "recipe": recipe.to_dict(),
        "states": str(tmp_path / "states"),
        "output": str(tmp_path / "network.safetensors"),
        "kill_at": kill_at,
    }
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}

    def run(**changes: object) -> int:
        command = [sys.executable, "-c", KILLED, json.dumps(asked | changes)]
        return subprocess.run(command, env=environment, check=False).returncode

    assert run() == -signal.SIGKILL
    (state,) = (tmp_path / "states").glob("*/state.safetensors")
    assert state.stat().st_size > 0
    assert run(kill_at=3) == 0  # it goes on behind that batch, so it does not come by it again
    assert not list((tmp_path / "states").glob("*/state.safetensors"))

    whole = train(stripes, None, ["lying", "standing"], backbone, preprocessing, recipe)
    found, wanted = load_file(tmp_path / "network.safetensors"), whole.classifier.network.state_dict()
    assert {name for name in wanted if not torch.equal(found[name], wanted[name])} == set()


def test_another_recipe_does_not_take_up_the_state(
    backbone: Backbone, stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    told: list[int] = []

    def run(recipe: Recipe, stop_at: int | None) -> None:
        def progress(step: str, done: int, total: int) -> None:
            if step == "fine-tuning":
                told.append(done)
                if done == stop_at:
                    raise JobCancelled

        train(stripes, None, ["a", "b"], backbone, preprocessing, recipe, progress, states=tmp_path)

    recipe = Recipe(epochs=1, batch_size=8)
    with pytest.raises(JobCancelled):
        run(recipe, 3)
    told.clear()

    run(replace(recipe, seed=1), None)

    assert told[0] == 1


def test_two_processes_do_not_train_the_same_classifier(
    backbone: Backbone, stripes: LabelledImages, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=1, batch_size=8)
    refused: list[str] = []

    def again(step: str, done: int, total: int) -> None:
        if step == "fine-tuning" and not refused:
            with pytest.raises(DataError) as error:
                train(stripes, None, ["a", "b"], backbone, preprocessing, recipe, states=tmp_path)
            refused.append(str(error.value))

    train(stripes, None, ["a", "b"], backbone, preprocessing, recipe, again, states=tmp_path)

    assert "being trained by another process" in refused[0]
