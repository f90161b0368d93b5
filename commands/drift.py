"""`winnow drift`: whether images still look like those that a classifier was made for."""

from __future__ import annotations

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, open_collection, vector_params


def drift(
    target: opt.Target,
    classifier: opt.SeenBy = None,
    reference: opt.ReferenceTarget = None,
    reference_split: opt.ReferenceSplit = None,
    reference_view: opt.ReferenceView = None,
    reference_tag: opt.ReferenceTag = None,
    view: opt.CheckedView = None,
    current_split: opt.CheckedSplit = None,
    current_tag: opt.CheckedTag = None,
    slice_by: opt.SliceBy = None,
    predictions: opt.PredictionsWithLogits = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    alpha: opt.FalseAlarms = None,
    seed: opt.Seed = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Tell whether images have drifted away from a split, a view, a dataset, or what a classifier was made for."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.drift import check_drift_of
        from ..plugin.workflows.drift_settings import DriftParams

        given = given_options(
            classifier=classifier,
            reference=reference,
            reference_split=reference_split,
            reference_view=reference_view,
            reference_tag=reference_tag,
            current_split=current_split,
            current_tag=current_tag,
        )
        given |= given_options(label_field=label_field, split_field=split_field, predictions_field=predictions)
        given |= given_options(alpha=alpha, seed=seed)
        params = DriftParams(vectors=vector_params(backbone, image_size), slice_by=tuple(slice_by or ()), **given)
        return check_drift_of(open_collection(target, label_delimiter, group_slice, view), params, progress)

    run_job(job, as_json=json, debug=debug)
