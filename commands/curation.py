"""`winnow embed`, `duplicates`, `leaks`, `split` and `label-issues`: what is wrong with a dataset."""

from __future__ import annotations

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, names_in, open_collection, root_of, vector_params


def embed(
    target: opt.Target,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    batch_size: opt.BatchSize = None,
    patches: opt.PatchesField = None,
    vector_field: opt.VectorField = None,
    projection: opt.ProjectionMethod = None,
    no_similarity: opt.NoSimilarity = False,
    index: opt.Index = None,
    storage: opt.Storage = None,
    verify: opt.Verify = False,
    cluster: opt.Cluster = None,
    store: opt.VectorStore = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compute one vector an image (or a patch); they are cached by file content and serve every other command."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.embed import EmbedParams, compute_embeddings

        given = given_options(backbone=backbone, image_size=image_size, batch_size=batch_size, storage=storage)
        given |= given_options(vector_field=vector_field, projection=projection, patches_field=patches, index=index)
        given |= given_options(cluster=cluster, store=store)
        params = EmbedParams(**given, verify=verify, similarity=not no_similarity)
        return compute_embeddings(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


def duplicates(
    target: opt.Target,
    pairs: opt.Pairs = None,
    threshold: opt.Threshold = None,
    keep: opt.Keep = None,
    keep_path: opt.KeepPaths = None,
    label_field: opt.LabelField = None,
    neighbors: opt.Neighbors = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Find groups of near-duplicates."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.duplicates import DuplicateParams, find_duplicates

        given = given_options(threshold=threshold, label_field=label_field, keep=names_in(keep))
        given |= given_options(neighbors=neighbors)
        params = DuplicateParams(
            vectors=vector_params(backbone, image_size), keep_paths=tuple(keep_path or ()), **given
        )
        report = find_duplicates(open_collection(target, label_delimiter, group_slice), params, progress)
        if pairs is not None:
            report.write_pairs(pairs, root_of(target))
        return report

    run_job(job, as_json=json, debug=debug)


def leaks(
    target: opt.Target,
    pairs: opt.Pairs = None,
    split_field: opt.SplitField = None,
    group_by: opt.GroupBy = None,
    label_field: opt.LabelField = None,
    threshold: opt.Threshold = None,
    neighbors: opt.Neighbors = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Find images of the evaluation splits that the training split repeats."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.leaks import LeakParams, find_leaks

        given = given_options(split_field=split_field, label_field=label_field, threshold=threshold)
        given |= given_options(neighbors=neighbors)
        params = LeakParams(vectors=vector_params(backbone, image_size), group_by=tuple(group_by or ()), **given)
        report = find_leaks(open_collection(target, label_delimiter, group_slice), params, progress)
        if pairs is not None:
            report.write_pairs(pairs, root_of(target))
        return report

    run_job(job, as_json=json, debug=debug)


def split(
    target: opt.Target,
    fractions: opt.Fractions = None,
    group_by: opt.GroupBy = None,
    freeze: opt.Freeze = None,
    repair: opt.Repair = False,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    output_field: opt.OutputField = None,
    threshold: opt.Threshold = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    seed: opt.Seed = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Make splits that no near-duplicates and no groups straddle, or repair those that exist."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.split import SplitParams, split_dataset

        given = given_options(fractions=fractions, group_by=group_by or None, freeze=freeze or None, seed=seed)
        given |= given_options(label_field=label_field, split_field=split_field, output_field=output_field)
        vectors = vector_params(backbone, image_size)
        params = SplitParams(vectors=vectors, repair=repair, **given, **given_options(threshold=threshold))
        return split_dataset(open_collection(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


def label_issues(
    target: opt.Target,
    accept_above: opt.AcceptAbove = None,
    sensitivity: opt.Sensitivity = None,
    measure_cleaning: opt.MeasureCleaning = False,
    predictions: opt.PredictionsField = None,
    fine_tune: opt.FineTune = False,
    patches: opt.PatchesField = None,
    label_field: opt.LabelField = None,
    neighbors: opt.Neighbors = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    seed: opt.Seed = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Find labels that are probably wrong, and suggest others."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.label_issues import LabelIssueParams, find_label_issues

        given = given_options(
            label_field=label_field, seed=seed, sensitivity=sensitivity, measure_cleaning=measure_cleaning or None
        )
        given |= given_options(predictions_field=predictions, fine_tune=fine_tune or None, patches_field=patches)
        given |= given_options(neighbors=neighbors)
        params = LabelIssueParams(vectors=vector_params(backbone, image_size), **given)
        collection = open_collection(target, label_delimiter, group_slice)
        if accept_above is None:
            return find_label_issues(collection, params, progress)
        from ..plugin.workflows.review_labels import find_and_accept

        return find_and_accept(collection, params, accept_above, progress)

    run_job(job, as_json=json, debug=debug)
