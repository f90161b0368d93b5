"""`winnow estimate`: how long the jobs would take."""

from __future__ import annotations

from .. import options as opt
from ..terminal import run_job
from .arguments import open_collection


def estimate(
    target: opt.Target,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Tell how long each job would take here, by earlier runs of this machine; nothing is run."""
    from ..plugin.workflows.job_estimates import estimate_jobs

    run_job(
        lambda progress: estimate_jobs(open_collection(target, label_delimiter, group_slice)), as_json=json, debug=debug
    )
