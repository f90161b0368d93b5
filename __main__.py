"""The command line: `winnow COMMAND`, each command a thin face of one workflow.

fiftyone and torch take seconds to import, so each command imports its workflow when it runs. Options that are left out
are not passed on: the defaults live in the params dataclasses of the workflows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
except ModuleNotFoundError:
    sys.exit(f"winnow: typer is not installed. Run: {sys.executable} -m pip install fiftyone-winnow")

from . import __version__
from . import options as opt
from .plugin.progress import Progress
from .terminal import Report, print_json, run_job, say, shown_errors

if TYPE_CHECKING:
    from .plugin.datasets.views import Collection
    from .plugin.workflows.curate import CurateReport
    from .plugin.workflows.demo import DemoReport
    from .plugin.workflows.vectors import VectorParams

app = typer.Typer(
    name="winnow",
    epilog="TARGET: a FiftyOne dataset's name, a folder laid out SPLIT/CLASS/file or CLASS/file, or a CSV/JSONL table.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


cache_app = typer.Typer(no_args_is_help=True, help="Look at the cache of embeddings, or make it smaller.")
app.add_typer(cache_app, name="cache")


@app.callback(invoke_without_command=True)
def winnow(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Find what is wrong with an image classification dataset, and train a classifier on what is left."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def curate(
    target: opt.Target,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    preset: opt.Preset = None,
    output: opt.Output = None,
    seed: opt.Seed = None,
    open_app: opt.OpenApp = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Do the whole job: find duplicates, leaks and label issues, train on the rest, evaluate, write predictions."""

    def job(progress: Progress) -> CurateReport:
        from .plugin.workflows.curate import CurateParams, curate

        given = _given(label_field=label_field, split_field=split_field, preset=preset, output=output, seed=seed)
        return curate(_open(target, label_delimiter, group_slice), CurateParams(**given), progress)

    report = run_job(job, as_json=json, debug=debug)
    if open_app:
        _run_app(report.dataset_name, debug=debug)


@app.command()
def embed(
    target: opt.Target,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    batch_size: opt.BatchSize = None,
    patches: opt.PatchesField = None,
    vector_field: opt.VectorField = None,
    projection: opt.ProjectionMethod = None,
    no_similarity: opt.NoSimilarity = False,
    storage: opt.Storage = None,
    verify: opt.Verify = False,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compute one vector an image (or a patch); they are cached by file content and serve every other command."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.embed import EmbedParams, compute_embeddings

        given = _given(backbone=backbone, image_size=image_size, batch_size=batch_size, vector_field=vector_field)
        given |= _given(storage=storage, projection=projection, patches_field=patches)
        params = EmbedParams(**given, verify=verify, similarity=not no_similarity)
        return compute_embeddings(_open(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


@app.command()
def duplicates(
    target: opt.Target,
    pairs: opt.Pairs = None,
    threshold: opt.Threshold = None,
    keep: opt.Keep = None,
    keep_path: opt.KeepPaths = None,
    label_field: opt.LabelField = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Find groups of near-duplicates."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.duplicates import DuplicateParams, find_duplicates

        given = _given(threshold=threshold, label_field=label_field, keep=_names(keep))
        params = DuplicateParams(
            vectors=_vector_params(backbone, image_size), keep_paths=tuple(keep_path or ()), **given
        )
        report = find_duplicates(_open(target, label_delimiter, group_slice), params, progress)
        if pairs is not None:
            report.write_pairs(pairs, _root(target))
        return report

    run_job(job, as_json=json, debug=debug)


@app.command()
def leaks(
    target: opt.Target,
    pairs: opt.Pairs = None,
    split_field: opt.SplitField = None,
    group_by: opt.GroupBy = None,
    label_field: opt.LabelField = None,
    threshold: opt.Threshold = None,
    backbone: opt.Backbone = None,
    image_size: opt.ImageSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Find images of the evaluation splits that the training split repeats."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.leaks import LeakParams, find_leaks

        given = _given(split_field=split_field, label_field=label_field, threshold=threshold)
        params = LeakParams(vectors=_vector_params(backbone, image_size), group_by=tuple(group_by or ()), **given)
        report = find_leaks(_open(target, label_delimiter, group_slice), params, progress)
        if pairs is not None:
            report.write_pairs(pairs, _root(target))
        return report

    run_job(job, as_json=json, debug=debug)


@app.command()
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
        from .plugin.workflows.split import SplitParams, split_dataset

        given = _given(fractions=fractions, group_by=group_by or None, freeze=freeze or None, seed=seed)
        given |= _given(label_field=label_field, split_field=split_field, output_field=output_field)
        vectors = _vector_params(backbone, image_size)
        params = SplitParams(vectors=vectors, repair=repair, **given, **_given(threshold=threshold))
        return split_dataset(_open(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


@app.command()
def label_issues(
    target: opt.Target,
    label_field: opt.LabelField = None,
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
        from .plugin.workflows.label_issues import LabelIssueParams, find_label_issues

        given = _given(label_field=label_field, seed=seed)
        params = LabelIssueParams(vectors=_vector_params(backbone, image_size), **given)
        return find_label_issues(_open(target, label_delimiter, group_slice), params, progress)

    run_job(job, as_json=json, debug=debug)


@app.command()
def train(
    target: opt.Target,
    output: opt.Output = None,
    preset: opt.Preset = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    seed: opt.Seed = None,
    keep_label_issues: opt.KeepLabelIssues = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Train a classifier on the training split and save it as a folder."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.train import TrainParams, train_classifier

        given = _given(label_field=label_field, split_field=split_field, preset=preset, output=output, seed=seed)
        if keep_label_issues:
            given["exclude_label_issues"] = False
        return train_classifier(_open(target, label_delimiter, group_slice), TrainParams(**given), progress)

    run_job(job, as_json=json, debug=debug)


@app.command()
def predict(
    target: opt.Target,
    classifier: opt.ClassifierFolder,
    output: opt.PredictionsFile = None,
    prediction_field: opt.PredictionField = None,
    batch_size: opt.BatchSize = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write a classifier's predictions into a field, and into a CSV file."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.predict import PredictParams, apply_classifier

        given = _given(prediction_field=prediction_field, batch_size=batch_size)
        params = PredictParams(classifier=classifier, **given)
        report = apply_classifier(_open(target, label_delimiter, group_slice), params, progress)
        if output is not None:
            report.write_csv(output, _root(target))
        return report

    run_job(job, as_json=json, debug=debug)


@app.command()
def evaluate(
    target: opt.Target,
    prediction_field: opt.PredictionField = None,
    label_field: opt.LabelField = None,
    split_field: opt.SplitField = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare predictions with labels, on the test split as given and on its clean part."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.evaluate import EvaluateParams, evaluate_predictions

        given = _given(prediction_field=prediction_field, label_field=label_field, split_field=split_field)
        return evaluate_predictions(_open(target, label_delimiter, group_slice), EvaluateParams(**given), progress)

    run_job(job, as_json=json, debug=debug)


@app.command()
def actions(target: opt.Target, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """List what was tagged, moved and deleted at your wish, the newest first."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.actions import list_actions

        return list_actions(_open(target, None, None))

    run_job(job, as_json=json, debug=debug)


@app.command()
def undo(
    target: opt.Target,
    action: Annotated[
        str | None, typer.Argument(help="As `winnow actions` names it.", show_default="the newest")
    ] = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Take an action back: tags, splits, deleted samples and their files."""

    def job(progress: Progress) -> Report:
        from .plugin.workflows.actions import undo_action

        return undo_action(_open(target, None, None), action)

    run_job(job, as_json=json, debug=debug)


@app.command()
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
        from .plugin.datasets.database import ensure_database
        from .plugin.workflows.demo import DemoParams, run_demo

        ensure_database()
        return run_demo(DemoParams(**_given(folder=folder, preset=preset, seed=seed)), progress)

    report = run_job(job, as_json=json, debug=debug)
    if open_app:
        _run_app(report.dataset_name, debug=debug)


@app.command("app")
def open_the_app(
    dataset: Annotated[str | None, typer.Argument(help="Dataset to open.", show_default=False)] = None,
    port: opt.Port = 5151,
    address: Annotated[str, typer.Option("--address", help="Address that the App listens on.")] = "127.0.0.1",
    remote: Annotated[bool, typer.Option("--remote", help="Serve only; open no browser.")] = False,
    debug: opt.Debug = False,
) -> None:
    """Open the FiftyOne App, with the worker that its scheduled jobs need beside it."""
    _run_app(dataset, debug=debug, port=port, address=address, remote=remote)


@app.command()
def serve(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a trained classifier.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: opt.Port = 9090,
    debug: opt.Debug = False,
) -> None:
    """Serve a classifier to Label Studio as its ML backend, until Ctrl-C."""
    with shown_errors(debug=debug):
        from .backend.serve import serve

        serve(directory, host=host, port=port)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Run the pip commands that mend what is missing.")] = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Name everything that is missing or too old, with the command that mends it; exit status 1 if anything is."""
    with shown_errors(as_json=json, debug=debug):
        from .plugin.workflows.doctor import examine, examine_and_mend

        report = examine_and_mend() if fix else examine()
        if json:
            print_json(report.summary())
        else:
            typer.echo(report.text())
    if report.problems:
        raise typer.Exit(1)


@app.command()
def install(
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take the plugin out again.")] = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Put the plugin into FiftyOne's plugins folder, so that the App offers Winnow's operators."""
    with shown_errors(as_json=json, debug=debug):
        from .plugin.workflows.install import install
        from .plugin.workflows.install import uninstall as remove

        outcome = remove() if uninstall else install()
        if json:
            print_json({"outcome": outcome})
        else:
            typer.echo(outcome)


@cache_app.command("info")
def cache_info(json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Show what the cache holds, where, and when it was last used."""
    from .plugin.workflows.cache import describe_cache

    run_job(lambda progress: describe_cache(), as_json=json, debug=debug)


@cache_app.command("prune")
def cache_prune(limit: opt.CacheLimit = None, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Remove what was used least recently, until the rest is below the limit."""
    from .plugin.workflows.cache import shrink_cache

    run_job(lambda progress: shrink_cache(limit), as_json=json, debug=debug)


@cache_app.command("clear")
def cache_clear(json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Remove everything; the next job computes its embeddings again."""
    from .plugin.workflows.cache import empty_cache

    run_job(lambda progress: empty_cache(), as_json=json, debug=debug)


def main() -> None:
    """Run the command line."""
    app(prog_name="winnow")


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that the user gave; the others keep the default of the workflow's params."""
    return {name: value for name, value in options.items() if value is not None}


def _names(listed: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas."""
    return None if listed is None else tuple(name.strip() for name in listed.split(",") if name.strip())


def _vector_params(backbone: str | None, image_size: int | None) -> VectorParams:
    from .plugin.workflows.vectors import VectorParams

    return VectorParams(**_given(backbone=backbone, image_size=image_size))


def _open(target: str, label_delimiter: str | None, group_slice: str | None) -> Collection:
    """Open a TARGET as a dataset or one slice of it, and tell on stderr what was added, mapped or left out."""
    from .plugin.datasets.database import ensure_database
    from .plugin.datasets.targets import open_target
    from .plugin.datasets.views import one_slice

    ensure_database()
    opened = open_target(target, label_delimiter=label_delimiter)
    for note in opened.notes:
        say(note)
    return one_slice(opened.dataset, group_slice)


def _root(target: str) -> Path | None:
    """Return the folder that the paths in a CSV of pairs are relative to; None for a dataset: its paths stay whole."""
    path = Path(target)
    return path if path.is_dir() else path.parent if path.is_file() else None


def _run_app(name: str | None, *, debug: bool, **options: Any) -> None:
    with shown_errors(debug=debug):
        from .plugin.datasets.database import ensure_database
        from .plugin.workflows.app import run_app

        ensure_database()
        run_app(name, say=say, **options)


if __name__ == "__main__":
    main()
