"""`winnow labelstudio send`: samples out to be labelled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import options as opt
from ..plugin.progress import Progress
from ..terminal import Report, run_job
from .arguments import given_options, names_in, open_collection

_CONTENT = "What is sent"
_PROJECT = "Where it goes"
_IMAGES = "How annotators get to see the images"


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def send(
    target: opt.Target,
    project: Annotated[
        int | None,
        _option("--project", panel=_PROJECT, help="Number of the project; default: the last batch's, or a new one."),
    ] = None,
    new_project: Annotated[bool, _option("--new-project", panel=_PROJECT, help="Make a new project.")] = False,
    title: Annotated[str | None, _option("--title", panel=_PROJECT, help="Title of a new project.")] = None,
    config: Annotated[
        Path | None,
        _option("--config", panel=_PROJECT, help="Labeling config of a new project; default: made of the classes."),
    ] = None,
    classes: Annotated[
        str | None,
        _option("--classes", panel=_PROJECT, help="Classes to choose from, as in cat,dog; default: those in use."),
    ] = None,
    multiple: Annotated[
        bool, _option("--multiple", panel=_PROJECT, help="Several classes may apply, where no label says so yet.")
    ] = False,
    annotators: Annotated[
        int | None, _option("--annotators", panel=_PROJECT, min=1, help="How many are to label each image.")
    ] = None,
    force_sampling: Annotated[
        bool,
        _option("--force-sampling", panel=_PROJECT, help="Make the order sequential where annotations exist, too."),
    ] = False,
    label_field: Annotated[
        str | None, _option("--label-field", panel=_CONTENT, help="Field that labels come back to.")
    ] = None,
    field: Annotated[
        list[str] | None,
        _option("--field", panel=_CONTENT, help="CONTROL=FIELD, for each control of a config; may be repeated."),
    ] = None,
    prediction_field: Annotated[
        str | None, _option("--prediction-field", panel=_CONTENT, help="Predictions that annotators get to see.")
    ] = None,
    model_version: Annotated[
        str | None, _option("--model-version", panel=_CONTENT, help="Of predictions that do not say it themselves.")
    ] = None,
    blind_share: Annotated[
        float | None,
        _option("--blind-share", panel=_CONTENT, min=0, max=1, help="Share of the tasks without a prediction."),
    ] = None,
    group_field: Annotated[
        str | None, _option("--group-field", panel=_CONTENT, help="What an image belongs to: blind as a whole.")
    ] = None,
    data_field: Annotated[
        list[str] | None,
        _option("--data-field", panel=_CONTENT, help="Field whose value goes into the tasks; may be repeated."),
    ] = None,
    purpose: Annotated[
        str | None, _option("--purpose", panel=_CONTENT, help="'training', or 'evaluation': all tasks are blind.")
    ] = None,
    view: Annotated[
        str | None,
        _option("--view", panel=_CONTENT, help="Saved view to send, such as what 'pull --adjudicate' gathered."),
    ] = None,
    batch: Annotated[
        str | None, _option("--batch", panel=_CONTENT, help="Name of the batch; default: the next number.")
    ] = None,
    limit: Annotated[
        int | None, _option("--limit", panel=_CONTENT, min=1, help="Send at most so many, the best ones.")
    ] = None,
    everything: Annotated[
        bool, _option("--everything", panel=_CONTENT, help="Also what was not selected, and what is labelled.")
    ] = False,
    unsure: Annotated[
        bool, _option("--unsure", panel=_CONTENT, help="Only labels that somebody who reviewed them is unsure about.")
    ] = False,
    again: Annotated[bool, _option("--again", panel=_CONTENT, help="Also what is out in another batch.")] = False,
    images: Annotated[
        str | None, _option("--images", panel=_IMAGES, help="'auto', 'local-files', 'upload' or 'url'.")
    ] = None,
    document_root: Annotated[
        Path | None,
        _option(
            "--document-root",
            panel=_IMAGES,
            envvar="LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT",
            help="The folder that Label Studio serves local files from.",
        ),
    ] = None,
    document_root_there: Annotated[
        str | None,
        _option(
            "--document-root-there", panel=_IMAGES, help="The same folder as a Label Studio in a container sees it."
        ),
    ] = None,
    url_field: Annotated[
        str | None, _option("--url-field", panel=_IMAGES, help="Field with the images' http(s) or s3:// addresses.")
    ] = None,
    originals_root: Annotated[
        Path | None,
        _option("--originals-root", panel=_IMAGES, help="Folder that originals of display copies are named from."),
    ] = None,
    classifier: Annotated[
        Path | None,
        _option("--classifier", panel=_IMAGES, help="Classifier folder whose value range display copies show."),
    ] = None,
    group_slice: opt.GroupSlice = None,
    label_delimiter: opt.Delimiter = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; tell what would be sent.")] = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Send samples to be labelled, those that 'select' chose, best first; run again, it goes on where it stopped."""

    def job(progress: Progress) -> Report:
        from ..plugin.labeling.connecting import connected_client
        from ..plugin.workflows.send import send_to_label_studio
        from ..plugin.workflows.send_params import SendParams

        given = given_options(project=project, title=title, config=config, classes=names_in(classes))
        given |= given_options(annotators=annotators, label_field=label_field, prediction_field=prediction_field)
        given |= given_options(model_version=model_version, blind_share=blind_share, group_field=group_field)
        given |= given_options(purpose=purpose, batch=batch, limit=limit, images=images, document_root=document_root)
        given |= given_options(document_root_there=document_root_there, url_field=url_field)
        given |= given_options(originals_root=originals_root, classifier=classifier)
        params = SendParams(
            **given,
            fields=tuple(field or ()),
            data_fields=tuple(data_field or ()),
            new_project=new_project,
            multiple=multiple,
            everything=everything,
            unsure=unsure,
            again=again,
            force_sampling=force_sampling,
            dry_run=dry_run,
        )
        with connected_client(os.environ) as client:
            collection = open_collection(target, label_delimiter, group_slice, view)
            return send_to_label_studio(collection, params, client, progress)

    run_job(job, as_json=json, debug=debug)
