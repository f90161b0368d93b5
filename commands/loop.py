"""`winnow loop`: pick what to label next, label it, train, measure, and again, until it no longer pays."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, names_in, open_collection

if TYPE_CHECKING:
    from ..plugin.labeling.client import LabelStudioClient

Action = Annotated[
    str, typer.Argument(metavar="[ACTION]", show_default=False, help="start, next, stop; left out: where it stands.")
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the loop; a dataset may have several.")]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", exists=True, dir_okay=False, help="CSV file with labels that came back: path,label."),
]
GoOn = Annotated[bool, typer.Option("--go-on", help="Go on although the learning curve says to stop.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Images a round.")]
PreAnnotate = Annotated[
    bool | None,
    typer.Option("--pre-annotate/--no-pre-annotate", help="Predictions of the last round go with each batch."),
]
BlindShare = Annotated[
    float | None, typer.Option("--blind-share", min=0, max=1, help="Share of a batch without them, in Label Studio.")
]
EvaluationImages = Annotated[
    int | None, typer.Option("--evaluation-images", min=1, help="Images to measure on; at most a fifth of all.")
]
EvaluationSplit = Annotated[
    str | None, typer.Option("--evaluation-split", help="Split to measure on instead of a random part.")
]
Classes = Annotated[
    str | None, typer.Option("--classes", help="Names of the classes, where no label tells them yet: cat,dog.")
]
Several = Annotated[bool, typer.Option("--several", help="An image may have several labels.")]
Strategy = Annotated[str | None, typer.Option("--strategy", help="How images are picked, as for 'winnow select'.")]
TargetClasses = Annotated[
    str | None, typer.Option("--target-classes", help="Rare or weak classes of which more are wanted: cat,dog.")
]
Share = Annotated[
    float | None, typer.Option("--share", min=0, max=1, help="Share of a batch that must be back to go on.")
]
Budget = Annotated[
    float | None, typer.Option("--budget-minutes", min=0, help="Processor minutes that training a round may take.")
]
Metric = Annotated[str | None, typer.Option("--metric", help="What counts: 'accuracy' or 'macro_f1'.")]
Patience = Annotated[int | None, typer.Option("--patience", min=1, help="Rounds without a gain after which to stop.")]
LeastGain = Annotated[
    float | None, typer.Option("--least-gain", min=0, help="Points that 100 more labels must bring at least.")
]
LabelStudio = Annotated[
    bool | None,
    typer.Option("--label-studio/--no-label-studio", help="Label in Label Studio, which LABEL_STUDIO_URL names."),
]
Project = Annotated[int | None, typer.Option("--project", help="Label Studio's project; default: a new one.")]
Annotators = Annotated[int | None, typer.Option("--annotators", min=1, help="Annotators an image, in Label Studio.")]
Images = Annotated[
    str | None, typer.Option("--images", help="How images reach Label Studio: 'auto', 'local-files', 'upload', 'url'.")
]
DocumentRoot = Annotated[
    str | None, typer.Option("--document-root", help="Folder that Label Studio serves local files from.")
]
Duplicates = Annotated[
    bool | None, typer.Option("--duplicates/--no-duplicates", help="Look for near-duplicates of new images first.")
]


def loop(
    target: opt.Target,
    action: Action = "status",
    name: Name = None,
    labels: Labels = None,
    go_on: GoOn = False,
    batch: Batch = None,
    strategy: Strategy = None,
    target_classes: TargetClasses = None,
    share: Share = None,
    label_studio: LabelStudio = None,
    project: Project = None,
    annotators: Annotators = None,
    pre_annotate: PreAnnotate = None,
    blind_share: BlindShare = None,
    images: Images = None,
    document_root: DocumentRoot = None,
    preset: opt.Preset = None,
    budget_minutes: Budget = None,
    metric: Metric = None,
    patience: Patience = None,
    least_gain: LeastGain = None,
    evaluation_images: EvaluationImages = None,
    evaluation_split: EvaluationSplit = None,
    label_field: opt.LabelField = None,
    several: Several = False,
    classes: Classes = None,
    split_field: opt.SplitField = None,
    group_by: opt.GroupBy = None,
    duplicates: Duplicates = None,
    backbone: opt.Backbone = None,
    seed: opt.Seed = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Pick what to label next, train on what came back, measure it, and tell when more labels no longer pay."""

    def job(progress: Progress) -> Report:
        from ..plugin.workflows.loop import run_loop
        from ..plugin.workflows.loop_settings import LoopChanges, LoopParams

        given = given_options(
            batch=batch,
            strategy=strategy,
            target_classes=names_in(target_classes),
            share=share,
            label_studio=label_studio,
            project=project,
            annotators=annotators,
            pre_annotate=pre_annotate,
            blind_share=blind_share,
            images=images,
            document_root=document_root,
            preset=preset,
            budget_minutes=budget_minutes,
            metric=metric,
            patience=patience,
            least_gain=least_gain,
            evaluation_images=evaluation_images,
            evaluation_split=evaluation_split,
            label_field=label_field,
            several=several or None,
            classes=names_in(classes),
            split_field=split_field,
            group_by=tuple(group_by) if group_by else None,
            duplicates=duplicates,
            backbone=backbone,
            seed=seed,
        )
        called = given_options(
            name=name, labels=None if labels is None else str(labels), label_delimiter=label_delimiter
        )
        params = LoopParams(action=action, go_on=go_on, changes=LoopChanges(**given), **called)
        with ExitStack() as stack:
            client = _client(stack)
            return run_loop(open_collection(target, label_delimiter, group_slice), params, progress, client)

    run_job(job, as_json=json, debug=debug)


def _client(stack: ExitStack) -> LabelStudioClient | None:
    """Return a client of the Label Studio that the environment names, None where it names none."""
    from ..plugin.labeling.connecting import connected_client, missing_settings

    if missing_settings(os.environ):
        return None
    return stack.enter_context(connected_client(os.environ))
