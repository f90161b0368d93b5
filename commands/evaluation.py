"""`winnow compare` and `thresholds`: which of two classifiers is better, and when one should rather abstain."""

from __future__ import annotations

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection


def compare(
    target: opt.Target,
    other_field: opt.OtherField,
    prediction_field: opt.PredictionField = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    output_field: opt.OutputField = None,
    seed: opt.Seed = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare two fields of predictions on the same images, with a paired test."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.compare import CompareParams, compare_predictions

        given = given_options(
            prediction_field=prediction_field,
            label_field=label_field,
            split_field=split_field,
            output_field=output_field,
            seed=seed,
        )
        params = CompareParams(other_field, **given)
        return compare_predictions(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


def thresholds(
    target: opt.Target,
    classifier: opt.ClassifierFolder,
    precision: opt.Precision = None,
    recall: opt.Recall = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    batch_size: opt.BatchSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Give a classifier thresholds that reach a precision or a recall; below them it abstains."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.thresholds import ThresholdParams, set_thresholds

        given = given_options(
            precision=precision, recall=recall, label_field=label_field, split_field=split_field, batch_size=batch_size
        )
        params = ThresholdParams(classifier=classifier, **given)
        return set_thresholds(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)
