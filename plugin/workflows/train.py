"""Train a classifier on a collection without what curation flagged, and save it as a folder."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.probe import stratified_folds
from ..datasets import runs
from ..datasets.samples import Samples
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..home import winnow_home
from ..progress import Progress, silent
from ..training.classifier import check_folder, save_classifier
from ..training.exclusion import LARGEST_SHARE, excluded_issues
from ..training.recipe import Recipe, preset_recipe
from ..training.training import LabelledImages, Trained, train
from .findings import Findings, read_findings
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

RUN = "winnow_training"
_HELD_OUT_FOLDS = 5


@dataclass(frozen=True)
class TrainParams:
    """Settings of `train_classifier`.

    Attributes:
        label_field: Field of the labels; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        preset: "probe" (a linear layer on the embeddings, seconds) or "quick" (a short fine-tuning from there).
        output: Folder of the classifier; None = below Winnow's home.
        name: Name of the classifier; None = the dataset's.
        seed: Of everything random.
        exclude_label_issues: Leave flagged labels out, up to a quarter of each class.
    """

    label_field: str | None = None
    split_field: str | None = None
    preset: str = "quick"
    output: Path | str | None = None
    name: str | None = None
    seed: int = 0
    exclude_label_issues: bool = True


@dataclass(frozen=True, eq=False)
class Selection:
    """Which samples are trained, validated and tested on: (m,) bool masks, and what was left out of training.

    Attributes:
        train: To train on.
        validation: The validation split, where there is one besides the evaluation split.
        evaluation: The samples that accuracy is measured on.
        evaluated_on: Name of that split, or "held out" where the collection has no splits.
        excluded: Flagged labels left out, by class name, with the class's size before.
        leaked: Training images left out because an evaluation split repeats them.
    """

    train: np.ndarray
    validation: np.ndarray
    evaluation: np.ndarray
    evaluated_on: str
    excluded: dict[str, tuple[int, int]]
    leaked: int


@dataclass(frozen=True, eq=False)
class TrainReport:
    """What `train_classifier` did."""

    classifier_dir: Path
    trained: Trained
    samples: Samples
    selection: Selection
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "classifier": str(self.classifier_dir),
            "version": self.trained.classifier.version,
            "classes": list(self.trained.classifier.classes),
            "kept": self.trained.kept,
            "validation_accuracy": {name: round(x, 4) for name, x in self.trained.validation.items()},
            "training_images": int(self.selection.train.sum()),
            "excluded_label_issues": {name: count for name, (count, _) in self.selection.excluded.items()},
            "excluded_leaks": self.selection.leaked,
            "evaluated_on": self.selection.evaluated_on,
            "failures": len(self.failures),
            "notes": [*self.samples.notes, *self.notes],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        classifier, selection = self.trained.classifier, self.selection
        accuracy = ", ".join(f"{name} {value:.1%}" for name, value in self.trained.validation.items())
        lines = [
            f"**Classifier `{classifier.version}`** for {len(classifier.classes)} classes, trained on "
            f"{counted(int(selection.train.sum()), 'image')}; validation accuracy: {accuracy}; "
            f"kept: {self.trained.kept}.",
            f"Saved in `{self.classifier_dir}`.",
        ]
        if selection.excluded:
            shares = ", ".join(
                f"{name} {count} of {size} ({count / size:.0%})" for name, (count, size) in selection.excluded.items()
            )
            lines.append(f"- Flagged labels left out of training (at most {LARGEST_SHARE:.0%} of a class): {shares}")
        if selection.leaked:
            lines.append(f"- Training images left out because an evaluation split repeats them: {selection.leaked}")
        lines += [f"- {note}" for note in (*self.samples.notes, *self.notes)]
        return "\n".join([*lines, *failure_lines(self.failures), "", "Next: apply it, and evaluate its predictions."])


def train_classifier(view: Collection, params: TrainParams = TrainParams(), progress: Progress = silent) -> TrainReport:
    """Train on a collection.

    Raises:
        DataError: Fewer than two classes, too few images, an unknown preset.
        FieldError: See `embed_collection`.
        ClassifierError: The output folder holds something else.
    """
    recipe, _ = check_params(view, params)
    embedded = embed_collection(
        view,
        VectorParams(backbone=recipe.backbone),
        label_field=params.label_field,
        split_field=params.split_field,
        need_labels=True,
        progress=progress,
    )
    return train_on(view, embedded, params, progress)


def train_on(view: Collection, embedded: Embedded, params: TrainParams, progress: Progress) -> TrainReport:
    """Train on vectors that are at hand."""
    recipe, output = check_params(view, params)
    samples = embedded.samples
    findings = read_findings(view, samples.ids, samples.label_field)
    selection = select_rows(samples, findings, params)
    present = np.unique(samples.labels[selection.train])
    if len(present) < 2:
        raise DataError(
            f"the training split has {len(present)} class{'es' * (len(present) != 1)} "
            f"({', '.join(samples.classes[i] for i in present)}); a classifier needs at least two. Check the label "
            f"field `{samples.label_field}` and the splits."
        )
    classes = [samples.classes[index] for index in present]  # a class that cannot be learnt is no output
    recoded = np.full(len(samples.classes), -1)
    recoded[present] = np.arange(len(present))
    images = LabelledImages(samples.paths, recoded[samples.labels], embedded.vectors, findings.groups)
    validation = images[selection.validation & np.isin(samples.labels, present)]
    trained = train(
        images[selection.train],
        validation if len(validation) else None,
        classes,
        embedded.backbone,
        embedded.preprocessing,
        recipe,
        progress,
    )
    folder = save_classifier(trained.classifier, output)
    missing = sorted(set(samples.classes) - set(classes))
    notes = list(findings.notes)
    if missing:
        notes.append(f"classes without a training image, so never predicted: {', '.join(missing)}")
    report = TrainReport(folder, trained, samples, selection, embedded.failures, tuple(notes))
    runs.save_run(
        view,
        RUN,
        method="train_classifier",
        params={**asdict(params), "output": str(folder)},
        fields=[],
        summary=report.summary(),
    )
    return report


def select_rows(samples: Samples, findings: Findings, params: TrainParams) -> Selection:
    """Choose what to train, validate and evaluate on; see `Selection`."""
    labelled, splits = samples.labels >= 0, samples.splits
    in_training = splits == "train" if "train" in splits else ~np.isin(splits, ["test", "validation"])
    train_rows = labelled & in_training
    judging = [name for name in ("test", "validation") if (labelled & (splits == name)).any()]
    evaluated_on = judging[0] if judging else "held out"
    evaluation = labelled & np.isin(splits, judging[:1])
    validation = labelled & np.isin(splits, judging[1:])
    if evaluated_on == "held out" and train_rows.any():
        rows = np.flatnonzero(train_rows)
        folds = stratified_folds(samples.labels[rows], findings.groups[rows], params.seed, _HELD_OUT_FOLDS)
        evaluation[rows[folds == 0]] = True
        train_rows &= ~evaluation
    leaked = train_rows & findings.leaked
    if evaluated_on != "held out":
        train_rows = train_rows & ~leaked
    excluded: dict[str, tuple[int, int]] = {}
    if params.exclude_label_issues:
        rows = np.flatnonzero(train_rows)
        out = excluded_issues(samples.labels[rows], findings.is_issue[rows], findings.quality[rows])
        for label in np.unique(samples.labels[rows[out]]):
            own = samples.labels[rows] == label
            excluded[samples.classes[label]] = (int((out & own).sum()), int(own.sum()))
        train_rows[rows[out]] = False
    return Selection(train_rows, validation, evaluation, evaluated_on, excluded, int(leaked.sum()))


def check_params(view: Collection, params: TrainParams) -> tuple[Recipe, Path]:
    """Return the recipe and the folder of the classifier; to be called before any work, which would be lost otherwise.

    Raises:
        DataError: No such preset.
        ClassifierError: The folder cannot be written, or holds something else.
    """
    recipe = preset_recipe(params.preset, params.seed)
    output = _output(view, params)
    check_folder(output)
    return recipe, output


def _output(view: Collection, params: TrainParams) -> Path:
    if params.output is not None:
        return Path(params.output).expanduser()
    name = re.sub(r"[^\w.-]+", "-", params.name or dataset_of(view).name).strip("-.") or "classifier"
    return winnow_home() / "classifiers" / name
