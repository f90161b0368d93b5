"""`winnow train`, `predict`, `evaluate` and `onnx`: from labels to a classifier, and what it is worth."""

from __future__ import annotations

from typing import Any

from .. import options as opt
from ..plugin.progress import Progress
from ..plugin.training.processes import leading
from ..terminal import Report, run_job, shown_errors
from .arguments import given_options, open_collection, root_of
from .recipe_options import takes_recipe


@takes_recipe
def train(
    target: opt.Target,
    changes: dict[str, Any],
    output: opt.Output = None,
    preset: opt.Preset = None,
    recipe: opt.RecipeFile = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    patches: opt.PatchesField = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    seed: opt.Seed = None,
    label_issues: opt.FlaggedLabels = None,
    train_on_leaks: opt.TrainOnLeaks = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Train a classifier on the training split and save it as a folder."""

    def job(progress: Progress) -> Report:
        from ..plugin.training.recipe import RecipeChanges
        from ..plugin.workflows.train import TrainParams, train_classifier

        given = given_options(
            label_field=label_field,
            split_field=split_field,
            patches_field=patches,
            preset=preset,
            recipe_file=recipe,
            output=output,
            seed=seed,
            label_issues=label_issues,
        )
        params = TrainParams(**given, changes=RecipeChanges(**changes), train_on_leaks=train_on_leaks)
        return train_classifier(open_collection(target, label_delimiter, group_slice), params, progress)

    with shown_errors(as_json=json, debug=debug), leading() as leads:
        if leads:
            run_job(job, as_json=json, debug=debug)


def predict(
    target: opt.Target,
    classifier: opt.ChosenClassifier = None,
    output: opt.PredictionsFile = None,
    prediction_field: opt.PredictionField = None,
    patches: opt.PatchesField = None,
    logits: opt.Logits = False,
    batch_size: opt.BatchSize = None,
    cluster: opt.Cluster = None,
    store: opt.VectorStore = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write a classifier's predictions into a field, and into a CSV file."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.predict import PredictParams, apply_classifier

        given = given_options(prediction_field=prediction_field, patches_field=patches, batch_size=batch_size)
        given |= given_options(cluster=cluster, store=store)
        params = PredictParams(classifier=classifier, logits=logits, **given)
        report = apply_classifier(open_collection(target, label_delimiter, group_slice), params, progress)
        if output is not None:
            report.write_csv(output, root_of(target))
        return report

    run_job(job, as_json=json, debug=debug)


def evaluate(
    target: opt.Target,
    prediction_field: opt.PredictionField = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    slice_by: opt.SliceBy = None,
    classifier: opt.EvaluatedClassifier = None,
    cluster: opt.Cluster = None,
    store: opt.VectorStore = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare predictions with labels, on the test split as given and on its clean part."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.evaluate import EvaluateParams, evaluate_predictions

        given = given_options(prediction_field=prediction_field, label_field=label_field, split_field=split_field)
        given |= given_options(classifier=classifier, cluster=cluster, store=store)
        params = EvaluateParams(slices=tuple(slice_by or ()), **given)
        return evaluate_predictions(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


def onnx(
    classifier: opt.ExportedClassifier, output: opt.OnnxFile, json: opt.Json = False, debug: opt.Debug = False
) -> None:
    """Write a classifier as an ONNX file, for programs without Winnow."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.export import ExportParams, export_classifier

        return export_classifier(None, ExportParams(classifier, output), progress)

    run_job(job, as_json=json, debug=debug)
