"""Train a classifier: a linear probe on the embeddings, then, where the recipe asks for it, the backbone from there.

The fine-tuned network has to earn its place: it is kept only where it beats the probe on validation images that neither
was trained on.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from ..curation.probe import stratified_folds
from ..errors import DataError
from ..progress import Progress, silent
from ..vision.backbones import Backbone
from ..vision.preprocessing import Preprocessing
from ..vision.torch_engine import TorchEngine
from .checkpoint import Checkpoint, remove_old
from .choosing import chosen_metric, likelihood_loss, measure
from .classifier import Classifier
from .earlier import EarlierHead, Prior
from .inference import predict_in_chunks
from .labelled_images import LabelledImages, fingerprint, training_set
from .losses import log_prior
from .network import ClassifierNetwork, set_drop_path
from .probes import LinearHead, fit_head, strata_of, temperature
from .recipe import Recipe
from .reference import Reference
from .reference_sample import ReferenceSample
from .trainer import Outcome, fine_tune


@dataclass(frozen=True, eq=False)
class Trained:
    """The outcome of `train`.

    Attributes:
        classifier: Ready to predict and to save; its temperature is fitted on images it was not trained on.
        kept: "probe" or "fine-tuned".
        metric: Name of what the two were compared by, see `choosing`.
        validation: That metric of each candidate, on the validation images; the probe preset uses its out-of-fold
            scores.
        outcome: How fine-tuning went; None where there was none.
        reference: What the images looked like, to be saved beside the classifier; None where none was asked for.
    """

    classifier: Classifier
    kept: str
    metric: str
    validation: dict[str, float]
    outcome: Outcome | None = None
    reference: Reference | None = None


def train(
    images: LabelledImages,
    validation: LabelledImages | None,
    classes: Sequence[str],
    backbone: Backbone,
    preprocessing: Preprocessing,
    recipe: Recipe,
    progress: Progress = silent,
    *,
    earlier: EarlierHead | None = None,
    states: Path | None = None,
    curves: Path | None = None,
    with_reference: bool = True,
) -> Trained:
    """Train a classifier.

    Where it goes on from an earlier one that knows some of the classes, those that the images lack follow the given
    ones, unless the recipe says otherwise.

    Args:
        images: To train on.
        validation: To choose and calibrate with; None = a part of `images`, by duplicate groups.
        classes: k names.
        backbone: Stays unchanged.
        preprocessing: How files become its input.
        recipe: What to do.
        progress: Told along the way.
        earlier: The last layer of the classifier whose backbone is trained further; None = there is none.
        states: Folder for the state of an unfinished run, from which the next call with the same input goes on; None =
            a killed run begins again.
        curves: Folder for the curves of fine-tuning; None = none are written.
        with_reference: Also return what later images are held against; a classifier that is thrown away needs none.

    Raises:
        DataError: Fewer than two classes, too few images, a loss that diverges, or the same run is going on elsewhere.
    """
    metric = chosen_metric(recipe.metric, images.labels)
    prior = None if earlier is None else earlier.prior(classes, images.labels)
    if earlier is not None and prior is not None and recipe.keep_classes:
        classes = [*classes, *(name for name in earlier.classes if name not in classes)]
        images = images.among(len(classes))
        validation = None if validation is None else validation.among(len(classes))
        prior = earlier.prior(classes, images.labels)
    sample = ReferenceSample(tuple(classes), preprocessing, recipe.seed) if with_reference else None
    task = _Task(tuple(classes), backbone, preprocessing, recipe, metric, prior, sample)
    if recipe.epochs == 0:
        return task.probe_only(images, progress)
    fitting = images
    if validation is None or not len(validation):
        folds = stratified_folds(
            strata_of(images.labels), images.groups, recipe.seed, round(1 / recipe.validation_share)
        )
        fitting, validation = images[folds != 0], images[folds == 0]
    if not len(validation):
        raise DataError("too few images to set any aside for validation; train with preset 'probe'.")
    head = task.fit(fitting, progress)
    key = task.key(fitting, validation)
    with _alone(states, key):
        checkpoint = None if states is None else Checkpoint(states / key)
        tuned, outcome = task.fine_tuned(head, fitting, validation, checkpoint, curves, progress)
        trained = task.better(tuned, outcome, head, images, fitting, validation, progress)
        if checkpoint is not None:
            checkpoint.remove()
    return trained


@dataclass(frozen=True, eq=False)
class _Task:
    """What stays the same over the steps of a training."""

    classes: tuple[str, ...]
    backbone: Backbone
    preprocessing: Preprocessing
    recipe: Recipe
    metric: str
    prior: Prior | None = None
    sample: ReferenceSample | None = None

    def fit(self, images: LabelledImages, progress: Progress) -> LinearHead:
        """Fit the probe."""
        own = images.trusted()
        return fit_head(
            own.vectors,
            own.labels,
            len(self.classes),
            groups=own.groups,
            seed=self.recipe.seed,
            prior=self.prior,
            progress=progress,
        )

    def probe_only(self, images: LabelledImages, progress: Progress) -> Trained:
        """Return the probe as a classifier, judged by its out-of-fold scores."""
        head, own = self.fit(images, progress), images.trusted()
        moved = head.held_out - self._adjustment(own)
        scored = {"probe": measure(self.metric, own.labels[head.held_out_rows], moved)}
        return self._as_probe(head, own, scored, None, progress)

    def network(self, head: LinearHead, images: LabelledImages, *, adjusted: bool) -> ClassifierNetwork:
        """Return the backbone with the probe as its last layer, for `adjusted` with rare classes moved up."""
        network = ClassifierNetwork(copy.deepcopy(self.backbone.network), self.backbone.width, len(self.classes)).eval()
        network.set_head(head.weights, head.bias - (self._adjustment(images) if adjusted else 0))
        return network

    def fine_tuned(
        self,
        head: LinearHead,
        fitting: LabelledImages,
        validation: LabelledImages,
        checkpoint: Checkpoint | None,
        curves: Path | None,
        progress: Progress,
    ) -> tuple[ClassifierNetwork, Outcome]:
        """Return the network that was fine-tuned from the probe."""
        data = training_set(fitting, len(self.classes), self.prior)
        # The loss adds the adjustment, so that the sum starts at what the probe says.
        tuned = self.network(head, fitting, adjusted=True)
        set_drop_path(tuned.backbone, self.recipe.drop_path)

        def judge(network: ClassifierNetwork) -> tuple[float, dict[str, float]]:
            logits, readable = self._predicted(network, validation, progress)
            truth = validation.labels[readable]
            metric = measure(self.metric, truth, logits)
            return metric, {self.metric: metric, "loss": likelihood_loss(truth, logits)}

        outcome = fine_tune(
            tuned,
            data,
            self.preprocessing,
            self.recipe,
            judge,
            checkpoint=checkpoint,
            curves=curves,
            progress=progress,
        )
        set_drop_path(tuned.backbone, 0.0)
        return tuned, outcome

    def better(
        self,
        tuned: ClassifierNetwork,
        outcome: Outcome,
        head: LinearHead,
        images: LabelledImages,
        fitting: LabelledImages,
        validation: LabelledImages,
        progress: Progress,
    ) -> Trained:
        """Return whichever is better on the validation images; a probe is then fitted on those too."""
        logits, readable = self._predicted(tuned, validation, progress)
        truth = validation.labels[readable]
        probe_logits = head.logits(validation.vectors[readable]) - self._adjustment(fitting)
        scored = {
            "probe": measure(self.metric, truth, probe_logits),
            "fine-tuned": measure(self.metric, truth, logits),
        }
        if scored["fine-tuned"] >= scored["probe"]:
            factor = temperature(logits, truth)
            tuned.scale_logits(factor)
            reference = None
            if self.sample is not None:
                engine = TorchEngine(tuned.backbone, self.preprocessing.input)
                reference = self.sample.of_network(engine, validation[readable], logits * factor, fitting, progress)
            return self._finished(tuned, "fine-tuned", scored, outcome, fitting, factor, reference)
        whole, own = self.fit(images, progress), images.trusted()
        return self._as_probe(whole, own, scored, outcome, progress)

    def key(self, fitting: LabelledImages, validation: LabelledImages) -> str:
        """Return what names a run: another input gives another name."""
        parts = [
            json.dumps([self.recipe.to_dict(), self.preprocessing.to_dict(), self.classes], sort_keys=True),
            self.backbone.weights_hash,
            fingerprint(fitting, self.classes),
            fingerprint(validation, self.classes),
            "" if self.prior is None else self.prior.digest(),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]

    def _as_probe(
        self,
        head: LinearHead,
        own: LabelledImages,
        scored: dict[str, float],
        outcome: Outcome | None,
        progress: Progress,
    ) -> Trained:
        reference = None
        if self.sample is not None:
            reference = self.sample.of_probe(own, head, self._adjustment(own), progress)
        network = self.network(head, own, adjusted=True)
        return self._finished(network, "probe", scored, outcome, own, head.factor, reference)

    def _adjustment(self, images: LabelledImages) -> np.ndarray:
        """Return (k,): how far the logits of frequent classes are brought down."""
        counts = torch.from_numpy(training_set(images, len(self.classes), self.prior).counts())
        moved = self.recipe.logit_adjustment * log_prior(counts, multilabel=images.multilabel)
        return np.asarray(moved.double())

    def _predicted(
        self, network: ClassifierNetwork, images: LabelledImages, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (m, k) logits of the images that can be read, and (n,) bool: which ones those are."""
        judged = Classifier(network, self.backbone.architecture, self.backbone.width, self.classes, self.preprocessing)
        judged.use_engine(TorchEngine(network, self.preprocessing.input))
        logits = np.full((len(images), len(self.classes)), np.nan)
        reason = ""
        for found in predict_in_chunks(judged, images.paths, images.boxes, progress=progress):
            logits[found.rows] = found.logits
            reason = reason or next(iter(found.reasons.values()), "")
        readable = np.isfinite(logits).all(axis=1)
        if not readable.any():
            raise DataError(
                f"no validation image can be judged: {reason}. Check that their files are where they were, or, if they "
                "are, try a tenth of the learning rate."
            )
        return logits[readable], readable

    def _finished(
        self,
        network: ClassifierNetwork,
        kept: str,
        scored: dict[str, float],
        outcome: Outcome | None,
        images: LabelledImages,
        factor: float,
        reference: Reference | None,
    ) -> Trained:
        details: dict[str, Any] = {
            "temperature": 1 / factor,  # the logits are divided by it already
            "recipe": self.recipe.to_dict(),
            "kept": kept,
            "metric": self.metric,
            "validation": scored,
            "training_images": len(images),
            "training_fingerprint": fingerprint(images, self.classes),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "timm", "pillow", "numpy")},
            },
        }
        if self.prior is not None and self.prior.lacking.any():
            details["kept_classes"] = [self.classes[number] for number in np.flatnonzero(self.prior.lacking)]
        if outcome is not None:
            details |= {"epochs": outcome.epochs, "best_epoch": outcome.best_epoch}
        classifier = Classifier(
            network,
            self.backbone.architecture,
            self.backbone.width,
            self.classes,
            self.preprocessing,
            multilabel=images.multilabel,
            details=details,
        )
        return Trained(classifier, kept, self.metric, scored, outcome, reference)


@contextlib.contextmanager
def _alone(states: Path | None, key: str) -> Iterator[None]:
    """Keep two processes from going on with the same run."""
    if states is None:
        yield
        return
    states.mkdir(parents=True, exist_ok=True)
    remove_old(states)
    lock = FileLock(states / f"{key}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise DataError(
            "the same classifier is being trained by another process. Wait for it, or change the seed or the recipe."
        ) from None
    try:
        yield
    finally:
        lock.release()
