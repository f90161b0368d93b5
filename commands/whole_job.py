"""`winnow curate` and `winnow demo`: the whole job, on the user's images or on embedded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import run_job
from .arguments import given_options, open_collection
from .service import run_app_on

if TYPE_CHECKING:
    from ..plugin.workflows.curate import CurateReport
    from ..plugin.workflows.demo import DemoReport


def curate(
    target: opt.Target,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    preset: opt.Preset = None,
    output: opt.Output = None,
    cluster: opt.Cluster = None,
    store: opt.VectorStore = None,
    neighbors: opt.Neighbors = None,
    seed: opt.Seed = None,
    open_app: opt.OpenApp = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Do the whole job: find duplicates, leaks and label issues, train on the rest, evaluate, write predictions."""

    def job(progress: Progress) -> CurateReport:
        from ..plugin.workflows.curate import CurateParams, curate

        given = given_options(label_field=label_field, split_field=split_field, preset=preset, output=output, seed=seed)
        given |= given_options(cluster=cluster, store=store, neighbors=neighbors)
        return curate(open_collection(target, label_delimiter, group_slice), CurateParams(**given), progress)

    report = run_job(job, as_json=json, debug=debug)
    if open_app:
        run_app_on(report.dataset_name, debug=debug)


def demo(
    folder: opt.DemoFolder = None,
    preset: opt.Preset = None,
    seed: opt.Seed = None,
    open_app: opt.OpenApp = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Do the whole job on embedded real images with planted faults, and compare found with planted."""

    def job(progress: Progress) -> DemoReport:
        from ..plugin.datasets.database import ensure_database
        from ..plugin.workflows.demo import DemoParams, run_demo

        ensure_database()
        return run_demo(DemoParams(**given_options(folder=folder, preset=preset, seed=seed)), progress)

    report = run_job(job, as_json=json, debug=debug)
    if open_app:
        run_app_on(report.dataset_name, debug=debug)
