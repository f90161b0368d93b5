"""Train a classifier on a collection without what curation flagged, and save it as a folder."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import runs
from ..datasets.patches import Patches
from ..datasets.samples import Samples
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..home import winnow_home
from ..progress import Progress, silent
from ..training.as_backbone import earlier_head
from ..training.classifier import check_folder, save_classifier
from ..training.classifier_files import DESCRIPTION, LOGS
from ..training.exclusion import LARGEST_SHARE
from ..training.labelled_images import LabelledImages
from ..training.recipe import AS_IT_IS, Recipe, changed_recipe, preset_recipe, read_recipe
from ..training.training import Trained, train
from ..vision.backbones import LAYERS
from .findings import read_findings, read_suggested_changes
from .job_rates import timed
from .multi_label_issues import field_of_several
from .patch_groups import read_patch_findings
from .patch_vectors import WHOLE_IMAGES, chosen_patches, embed_patches
from .training_rows import Labels, Selection, audit_classes, read_labels, select_rows, without_flagged
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

RUN = "winnow_training"


@dataclass(frozen=True)
class TrainParams:
    """Settings of `train_classifier`.

    Attributes:
        label_field: Field of the labels, `fo.Classification` or `fo.Classifications`; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        patches_field: Field of detections whose boxes and labels are learnt instead, each box as an image of its own;
            "whole images" = those are, unless the view shows patches.
        preset: "probe" (a linear layer on the embeddings, seconds), "quick" (a short fine-tuning from there) or
            "strong" (a long one).
        recipe_file: YAML with settings of a recipe, instead of a preset.
        changes: Settings that are to be different from those of the preset or the file.
        output: Folder of the classifier; None = a new one below Winnow's home.
        name: Name of the classifier; None = the dataset's.
        seed: Of everything random.
        label_issues: Flagged labels are left out, up to a quarter of each class ("exclude"), count by the probability
            that they are right ("down-weight"), or like others ("keep"). Of several labels an image only the flagged
            ones are left out, either way: an image has one weight.
        train_on_leaks: Train on images that an evaluation or validation split repeats, too.
    """

    label_field: str | None = None
    split_field: str | None = None
    patches_field: str = WHOLE_IMAGES
    preset: str = "quick"
    recipe_file: Path | str | None = None
    changes: Any = AS_IT_IS  # mypy does not know classes that are made of others
    output: Path | str | None = None
    name: str | None = None
    seed: int = 0
    label_issues: str = "exclude"
    train_on_leaks: bool = False


@dataclass(frozen=True, eq=False)
class TrainReport:
    """What `train_classifier` did."""

    classifier_dir: Path
    trained: Trained
    samples: Samples
    labels: Labels
    selection: Selection
    label_issues: str
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    unit: str = "image"

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        outcome = self.trained.outcome
        return {
            "classifier": str(self.classifier_dir),
            "version": self.trained.classifier.version,
            "classes": list(self.trained.classifier.classes),
            "multilabel": self.trained.classifier.multilabel,
            "kept": self.trained.kept,
            "metric": self.trained.metric,
            "validation": {name: round(value, 4) for name, value in self.trained.validation.items()},
            "epochs": outcome.epochs if outcome else 0,
            "best_epoch": outcome.best_epoch if outcome else 0,
            "training_images": int(self.selection.train.sum()),
            "unit": self.unit,
            "training_fingerprint": self.trained.classifier.details["training_fingerprint"],
            "label_issues": self.label_issues,
            "excluded_label_issues": {name: count for name, (count, _) in self.selection.excluded.items()},
            "excluded_leaks": self.selection.leaked,
            "evaluated_on": self.selection.evaluated_on,
            "images_by_class": self._images_by_class(),
            "failures": len(self.failures),
            "notes": [*self.samples.notes, *self.notes],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        classifier, selection = self.trained.classifier, self.selection
        scores = ", ".join(f"{name} {value:.1%}" for name, value in self.trained.validation.items())
        used, metric = int(classifier.details["training_images"]), self.trained.metric.replace("_", " ")
        aside = int(selection.train.sum()) - used
        trained_on = counted(used, *self._units()) + (f" ({aside:,} others set aside to choose by)" if aside else "")
        lines = [
            f"**Classifier `{classifier.version}`** for {len(classifier.classes)} classes, trained on {trained_on}; "
            f"{metric} on validation images: {scores}; kept: {self.trained.kept}.",
            f"Saved in `{self.classifier_dir}`.",
        ]
        if outcome := self.trained.outcome:
            lines.append(f"- Epochs: {outcome.epochs}, the best one being number {outcome.best_epoch}")
        if selection.excluded:
            shares = ", ".join(
                f"{name} {count} of {size} ({count / size:.0%})" for name, (count, size) in selection.excluded.items()
            )
            counts_less = self.label_issues == "down-weight" and not self.labels.several
            what = "that count for less" if counts_less else "left out of training"
            lines.append(f"- Flagged labels {what} (at most {LARGEST_SHARE:.0%} of a class): {shares}")
        if selection.leaked:
            lines.append(f"- Training images left out because an evaluation split repeats them: {selection.leaked}")
        lines += [f"- {note}" for note in (*self.samples.notes, *self.notes)]
        failed = failure_lines(self.failures, *self._units())
        return "\n".join([*lines, *failed, "", "Next: apply it, and evaluate its predictions."])

    def _images_by_class(self) -> dict[str, dict[str, int]]:
        """Return how many images of each class were trained, validated and tested on."""
        sides = {
            "train": self.selection.train,
            "validation": self.selection.validation,
            self.selection.evaluated_on: self.selection.evaluation,
        }
        counts = {side: self.labels.counts(rows) for side, rows in sides.items() if rows.any()}
        return {
            name: {side: int(found[number]) for side, found in counts.items()}
            for number, name in enumerate(self.labels.classes)
        }

    def _units(self) -> tuple[str, str]:
        return (self.unit, "images" if self.unit == "image" else "patches")


@timed("train_classifier")
def train_classifier(view: Collection, params: TrainParams = TrainParams(), progress: Progress = silent) -> TrainReport:
    """Train on a collection.

    A run that was killed goes on from its last minute when it is started again with the same settings.

    Raises:
        DataError: Fewer than two classes, too few images, an unknown preset, a recipe that cannot be.
        FieldError: See `embed_collection`.
        ClassifierError: The output folder holds something else.
    """
    recipe, _ = check_params(view, params)
    vectors = VectorParams(backbone=recipe.backbone, image_size=recipe.image_size)
    if (patches_field := chosen_patches(view, params.patches_field)) is not None:
        patches = embed_patches(
            view, patches_field, vectors, split_field=params.split_field, need_labels=True, progress=progress
        )
        return train_on(view, patches.embedded, params, progress, patches.patches)
    several = field_of_several(view, params.label_field)
    embedded = embed_collection(
        view,
        vectors,
        label_field=None if several else params.label_field,
        split_field=params.split_field,
        need_labels=several is None,
        progress=progress,
    )
    return train_on(view, embedded, params, progress)


def train_on(
    view: Collection, embedded: Embedded, params: TrainParams, progress: Progress, patches: Patches | None = None
) -> TrainReport:
    """Train on vectors that are at hand: of images, or of these patches, row for row."""
    recipe, output = check_params(view, params)
    recipe = replace(recipe, backbone=embedded.backbone.name)
    _check_backbone(recipe.backbone)
    samples = embedded.samples
    if patches is None:
        labels = read_labels(view, samples, field_of_several(view, params.label_field))
        findings = read_findings(view, samples.ids, labels.field)
    else:
        labels = read_labels(view, samples, None)
        findings = read_patch_findings(view, patches, samples)
    selection = select_rows(
        labels,
        samples.splits,
        findings,
        seed=params.seed,
        label_issues=params.label_issues,
        leaks=params.train_on_leaks,
    )
    if labels.several and params.label_issues != "keep":
        changes = read_suggested_changes(view, samples.ids, labels.field)
        labels, excluded = without_flagged(labels, changes, samples.ids, selection.train)
        selection = replace(selection, excluded=excluded)
    present = np.flatnonzero(labels.counts(selection.train))
    _check_enough(present, labels, several_needed=1 if labels.several else 2)
    classes = [labels.classes[index] for index in present]  # a class that cannot be learnt is no output
    images = LabelledImages(
        samples.paths,
        _recoded(labels, present),
        embedded.vectors,
        findings.groups,
        selection.weights,
        None if patches is None else patches.boxes,
    )
    learnable = labels.several or np.isin(labels.values, present)
    validation = images[selection.validation & learnable]
    trained = train(
        images[selection.train],
        validation if len(validation) else None,
        classes,
        embedded.backbone,
        embedded.preprocessing,
        recipe,
        progress,
        earlier=earlier_head(recipe.backbone),
        states=winnow_home() / "training",
        curves=output / LOGS,
    )
    trained.classifier.details |= {
        "dataset": dataset_of(view).name,
        "label_field": labels.field,
        **({} if patches is None else {"patches_field": patches.field}),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    folder = save_classifier(trained.classifier, output, trained.reference)
    notes = [*findings.notes, *audit_classes(labels, selection, flips=bool(recipe.epochs and recipe.flip))]
    known = trained.classifier.classes
    if kept := trained.classifier.details.get("kept_classes"):
        notes.append(f"classes without a training image, kept as the earlier classifier knew them: {', '.join(kept)}")
    if missing := sorted(set(labels.classes) - set(known)):
        notes.append(f"classes without a training image, so never predicted: {', '.join(missing)}")
    report = TrainReport(
        folder,
        trained,
        samples,
        labels,
        selection,
        params.label_issues,
        embedded.failures,
        tuple(notes),
        "image" if patches is None else "patch",
    )
    changed = {name: value for name, value in asdict(params.changes).items() if value is not None}
    runs.save_run(
        view,
        RUN,
        method="train_classifier",
        params={
            **asdict(params),
            "changes": changed,
            "recipe_file": str(params.recipe_file) if params.recipe_file else None,
            "output": str(folder),
        },
        fields=[],
        summary=report.summary(),
    )
    return report


def check_params(view: Collection, params: TrainParams) -> tuple[Recipe, Path]:
    """Return the recipe and the folder of the classifier; to be called before any work, which would be lost otherwise.

    Raises:
        DataError: No such preset, or a recipe that cannot be.
        ClassifierError: The folder cannot be written, or holds something else.
    """
    if params.recipe_file:
        recipe = read_recipe(Path(params.recipe_file).expanduser())
        recipe = replace(recipe, seed=params.seed or recipe.seed)
    else:
        recipe = preset_recipe(params.preset, params.seed)
    recipe = changed_recipe(recipe, asdict(params.changes))
    _check_backbone(recipe.backbone)
    output = _output(view, params)
    check_folder(output)
    return recipe, output


def _check_backbone(name: str) -> None:
    if name.endswith(LAYERS):
        raise DataError(
            f"'{name}' looks closer at images to judge their labels; a classifier of it cannot be saved. Train "
            f"'{name.removesuffix(LAYERS)}'."
        )


def _check_enough(present: np.ndarray, labels: Labels, *, several_needed: int) -> None:
    if len(present) < several_needed:
        raise DataError(
            f"the training split has {len(present)} class{'es' * (len(present) != 1)} "
            f"({', '.join(labels.classes[i] for i in present)}); a classifier needs at least two. Check the label "
            f"field `{labels.field}` and the splits."
        )


def _recoded(labels: Labels, present: np.ndarray) -> np.ndarray:
    """Return the labels of the classes that are present alone, by their new numbers."""
    if labels.several:
        return labels.values[:, present]
    new = np.full(len(labels.classes) + 1, -1)  # the last one stands for -1, no label
    new[present] = np.arange(len(present))
    return new[labels.values]


def _output(view: Collection, params: TrainParams) -> Path:
    """Return the folder that is asked for, or the first one of the name that holds no classifier yet."""
    if params.output is not None:
        return Path(params.output).expanduser()
    name = re.sub(r"[^\w.-]+", "-", params.name or dataset_of(view).name).strip("-.") or "classifier"
    folder, number = winnow_home() / "classifiers" / name, 1
    while (folder / DESCRIPTION).exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder
