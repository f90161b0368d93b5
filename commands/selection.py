"""`winnow select`: which images to label next."""

from __future__ import annotations

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection, vector_params


def select(
    target: opt.Target,
    count: opt.ChosenCount = None,
    strategy: opt.SelectionStrategy = None,
    predictions: opt.SelectionPredictions = None,
    classes: opt.TargetClasses = None,
    relabel: opt.Relabel = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    seed: opt.Seed = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Choose the images to label next; fields of the samples tell rank, score and reason."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.select import SelectParams, select_for_labeling

        given = given_options(count=count, strategy=strategy, predictions_field=predictions, relabel=relabel, seed=seed)
        given |= given_options(label_field=label_field, split_field=split_field)
        params = SelectParams(vectors=vector_params(backbone, image_size), target_classes=tuple(classes or ()), **given)
        return select_for_labeling(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)
