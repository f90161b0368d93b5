"""Fine-tuning: the backbone's later blocks and the head, from the probe's solution.

A run is a row of steps, each of which depends only on the weights before it and on numbers drawn for that step. So a
run that was killed goes on from its last saved state to the same result, and several processes share each batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import nn

from ..errors import DataError
from ..progress import Progress, silent
from ..vision.preprocessing import Preprocessing
from ..vision.torch_engine import ImageNetwork
from .augmentation import augment, mixed
from .batches import Batch, TrainingSet, batches_an_epoch, read_batches
from .checkpoint import Checkpoint, State, load_optimizer, optimizer_tensors
from .curves import Curves
from .losses import Objective
from .network import ClassifierNetwork
from .optimization import Schedule, make_optimizer
from .processes import ask_for_help, make_accelerator
from .randomness import seeded
from .recipe import Recipe

_POINTS_AN_EPOCH = 10

# Judges a network on the validation images: the metric to choose by, and whatever else is worth a curve.
Judge = Callable[[ClassifierNetwork], tuple[float, dict[str, float]]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a fine-tuning went.

    Attributes:
        metric: Of the best epoch, whose weights the network has now; None where nobody judged.
        best_epoch: Counted from 1; 0 where nobody judged.
        epochs: How many there were.
        points: The curve, see `curves.Curves`.
    """

    metric: float | None
    best_epoch: int
    epochs: int
    points: list[dict[str, float]]


def fine_tune(
    network: ClassifierNetwork,
    data: TrainingSet,
    preprocessing: Preprocessing,
    recipe: Recipe,
    judge: Judge | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    curves: Path | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Train `network` in place; it comes back on the CPU, in evaluation mode, with the best epoch's weights.

    Args:
        network: Its head already solves the task on the pretrained features.
        data: What to train on. An image that cannot be read is passed over.
        preprocessing: Of the classifier.
        recipe: What to do.
        judge: Called after each epoch; None = the last epoch's weights are kept.
        checkpoint: Where a state is saved once a minute, and taken up from; None = nowhere.
        curves: Folder for the curves; None = none are written.
        progress: Told after each batch. What it raises ends the run, which can be gone on with.

    Raises:
        DataError: The loss is no longer finite.
    """
    state = None if checkpoint is None else checkpoint.load()
    ask_for_help(network, data, preprocessing, recipe, state, judge is not None)
    run = _Run(network, data, preprocessing, recipe, state, curves)
    try:
        run.go(judge, checkpoint, progress)
    finally:
        run.curves.close()
    return run.finish()


def help_to_fine_tune(
    network: ClassifierNetwork,
    data: TrainingSet,
    preprocessing: Preprocessing,
    recipe: Recipe,
    state: State | None,
    judged: bool,
) -> None:
    """Work on this process's part of each batch, while the first process calls `fine_tune`.

    Raises:
        DataError: As there.
    """
    run = _Run(network, data, preprocessing, recipe, state, None)
    run.go(_judged_elsewhere if judged else None, None, silent)


def _judged_elsewhere(network: ClassifierNetwork) -> tuple[float, dict[str, float]]:
    """Stand for the first process's judge, which is never called here."""
    return 0.0, {}


class _Run:
    """One run, from its first step or its last saved state on."""

    def __init__(
        self,
        network: ClassifierNetwork,
        data: TrainingSet,
        preprocessing: Preprocessing,
        recipe: Recipe,
        state: State | None,
        curves: Path | None,
    ) -> None:
        self._network, self._data, self._preprocessing, self._recipe = network, data, preprocessing, recipe
        self._accelerator = make_accelerator()
        self._device = self._accelerator.device
        model = ImageNetwork(network, preprocessing.input).to(self._device).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(network, recipe)
        set_mode(network, recipe)
        self._model, self._optimizer = self._accelerator.prepare(model, optimizer)
        self._ema = ModelEmaV3(network, decay=recipe.ema, use_warmup=True) if recipe.ema else None
        counts = torch.from_numpy(data.counts())
        self._objective = Objective(recipe, counts, multilabel=data.multilabel).to(self._device)
        self._per_epoch = batches_an_epoch(len(data), recipe)
        self._batches = self._per_epoch * recipe.epochs
        self._schedule = Schedule(self._optimizer, recipe, self._batches)
        self._done = 0  # batches
        self._stood_still = 0  # epochs
        self._best: dict[str, torch.Tensor] = {}
        self._metric: float | None = None
        self._best_epoch = 0
        self._losses = [0.0, 0.0]  # sum and number since the last point
        self._unseen: tuple[torch.Tensor, int, float] | None = None  # a loss with its batch and its share of the rates
        self.curves = Curves(curves, recipe, [] if state is None else self._take_up(*state))

    def go(self, judge: Judge | None, checkpoint: Checkpoint | None, progress: Progress) -> None:
        """Work off the batches that are left."""
        recipe, accelerator = self._recipe, self._accelerator
        if self._done:
            progress("fine-tuning", self._done, self._batches)
        for batch in read_batches(
            self._data,
            self._preprocessing,
            recipe,
            start=self._done,
            rank=accelerator.process_index,
            processes=accelerator.num_processes,
            on_gpu=self._device.type == "cuda",
        ):
            self._learn(batch)
            self._done += 1
            ends_epoch = self._done % self._per_epoch == 0
            if ends_epoch or self._done % max(self._per_epoch // _POINTS_AN_EPOCH, 1) == 0:
                self._look_at_loss()
                self._draw(self._judged(judge, batch.epoch) if ends_epoch else {})
            progress("fine-tuning", self._done, self._batches)
            if ends_epoch and recipe.patience and self._stood_still >= recipe.patience:
                return
            if checkpoint is not None and checkpoint.is_due():
                self._look_at_loss()  # before a diverged state is saved
                checkpoint.save(*self._state())

    def finish(self) -> Outcome:
        """Give the network the best weights, or the averaged ones where nobody judged."""
        if self._best:
            self._network.load_state_dict(self._best)
        elif self._ema is not None:
            self._network.load_state_dict(self._ema.module.state_dict())
        self._network.to("cpu").to(memory_format=torch.contiguous_format).eval().requires_grad_(True)
        epochs = -(-self._done // self._per_epoch)
        return Outcome(self._metric, self._best_epoch, epochs, self.curves.points)

    def _learn(self, batch: Batch) -> None:
        recipe, number = self._recipe, self._done
        rate = self._schedule.set(number)
        last = (batch.number + 1) % recipe.accumulate == 0 or batch.number + 1 == self._per_epoch
        with seeded(recipe.seed, batch.epoch, batch.number, self._accelerator.process_index):
            images = augment(batch.images.to(self._device, non_blocking=True), recipe)
            targets, weights = (each.to(self._device, non_blocking=True) for each in (batch.targets, batch.weights))
            images, targets, weights = mixed(images, targets, weights, recipe)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=recipe.amp and self._device.type == "cuda"):
                logits = self._model(images)
        loss = self._objective(logits.float(), targets, weights)
        self._accelerator.backward(loss / recipe.accumulate)
        self._look_at_loss()
        self._unseen = (self._accelerator.reduce(loss.detach(), "mean"), number, rate)
        if self._device.type == "cpu":
            self._look_at_loss()
        if last:
            if recipe.clip_norm:
                self._accelerator.clip_grad_norm_(self._network.parameters(), recipe.clip_norm)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            if self._ema is not None:
                self._ema.update(self._network, step=self._done)

    def _look_at_loss(self) -> None:
        """Note the last step's loss, on a GPU when the next step is queued: to look at it is to wait for it."""
        if self._unseen is None:
            return
        loss, number, rate = self._unseen
        self._unseen = None
        value = float(loss)
        if not value < float("inf"):  # NaN too
            raise DataError(
                f"training diverged at batch {number + 1} of {self._batches}, at {rate:.0%} of the peak rates: try a "
                f"tenth of the learning rate ({self._recipe.learning_rate / 10:g})."
            )
        self._losses[0] += value
        self._losses[1] += 1

    def _judged(self, judge: Judge | None, epoch: int) -> dict[str, float]:
        """Judge the weights after an epoch, keep them where they are the best so far, and return what was measured."""
        if judge is None:
            return {}
        candidate = self._network if self._ema is None else self._ema.module
        metric, measured = judge(candidate) if self._accelerator.is_main_process else (0.0, {})
        metric = self._from_first(metric)
        set_mode(self._network, self._recipe)
        if self._metric is None or metric > self._metric:
            self._metric, self._best_epoch, self._stood_still = metric, epoch + 1, 0
            self._best = {name: tensor.detach().cpu().clone() for name, tensor in candidate.state_dict().items()}
        else:
            self._stood_still += 1
            self._schedule.metric_stood_still()
        return {f"validation_{name}": value for name, value in measured.items()}

    def _draw(self, measured: dict[str, float]) -> None:
        total, number = self._losses
        self._losses = [0.0, 0.0]
        rate = self._optimizer.param_groups[0]["lr"]
        point = {"step": self._done, "epoch": self._done / self._per_epoch, "learning_rate": rate}
        self.curves.add({**point, "loss": total / max(number, 1), **measured})

    def _from_first(self, value: float) -> float:
        """Return the first process's number in each of them."""
        tensor = torch.tensor(value if self._accelerator.is_main_process else 0.0, dtype=torch.float64)
        return float(self._accelerator.reduce(tensor.to(self._device), "sum"))

    def _state(self) -> State:
        """Return all that the next step depends on."""
        parts = {"network": self._network.state_dict(), "best": self._best}
        if self._ema is not None:
            parts["ema"] = self._ema.module.state_dict()
        parts["optimizer"], plain = optimizer_tensors(self._optimizer)
        # Gradients that accumulate over batches belong to the state between two steps.
        parts["gradient"] = {
            name: parameter.grad for name, parameter in self._network.named_parameters() if parameter.grad is not None
        }
        values = {
            "done": self._done,
            "stood_still": self._stood_still,
            "metric": self._metric,
            "best_epoch": self._best_epoch,
            "losses": self._losses,
            "schedule": self._schedule.factor,
            "optimizer": plain,
            "points": self.curves.points,
        }
        return {f"{part}/{name}": tensor for part, found in parts.items() for name, tensor in found.items()}, values

    def _take_up(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> list[dict[str, float]]:
        """Go on from a saved state; return the points of its curve."""

        def part(name: str) -> dict[str, torch.Tensor]:
            return {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}

        self._network.load_state_dict(part("network"))
        if self._ema is not None:
            self._ema.module.load_state_dict(part("ema"))
        load_optimizer(self._optimizer, part("optimizer"), values["optimizer"])
        for name, gradient in part("gradient").items():
            parameter = self._network.get_parameter(name)
            parameter.grad = torch.empty_like(parameter).copy_(gradient)  # in the parameter's own memory format
        self._best, self._done, self._losses = part("best"), values["done"], values["losses"]
        self._metric, self._best_epoch = values["metric"], values["best_epoch"]
        self._stood_still, self._schedule.factor = values["stood_still"], values["schedule"]
        return list(values["points"])


def set_mode(network: ClassifierNetwork, recipe: Recipe) -> None:
    """Put a network into training mode, batch normalisation into what the recipe says; frozen layers always keep it."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            learns = any(parameter.requires_grad for parameter in module.parameters())
            module.train(learns and not recipe.freeze_batch_norm)
