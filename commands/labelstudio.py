"""`winnow labelstudio`: a classifier and a Label Studio project, brought together and taken apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options as opt
from ..plugin.home import winnow_home
from ..plugin.progress import Progress
from ..terminal import Report, run_job, say
from . import display_copies, promotion, pulling, sending

if TYPE_CHECKING:
    from ..backend.settings import Settings
    from ..plugin.labeling.attachment_memory import AttachmentMemories
    from ..plugin.labeling.client import LabelStudioClient

app = typer.Typer(
    no_args_is_help=True,
    help="Label samples in Label Studio, with a classifier that pre-annotates; LABEL_STUDIO_URL and "
    "LABEL_STUDIO_API_KEY name it.",
)

Project = Annotated[
    int, typer.Argument(metavar="PROJECT", show_default=False, help="Number of the project, as in its address.")
]
BackendUrl = Annotated[
    str, typer.Option("--url", show_default=False, help="Where Label Studio reaches 'winnow serve'.")
]
KnownBackendUrl = Annotated[
    str | None, typer.Option("--url", help="The backend's address; default: the one that 'attach' was given.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; tell what would be changed.")]
ForceSampling = Annotated[
    bool, typer.Option("--force-sampling", help="Set uncertainty sampling where annotations exist already, too.")
]


@app.command()
def attach(
    project: Project,
    url: BackendUrl,
    dry_run: DryRun = False,
    force_sampling: ForceSampling = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Connect 'winnow serve' to a project: ML backend, webhook, version and uncertainty sampling."""

    def job(progress: Progress) -> Report:
        from ..plugin.labeling.attached_backend import Backend
        from ..plugin.labeling.attachment import attach as attach_backend

        settings = _settings()
        with _client(settings) as client:
            return attach_backend(
                client,
                project,
                Backend(url, settings.basic_auth),
                _memories(),
                force_sampling=force_sampling,
                dry_run=dry_run,
            )

    run_job(job, as_json=json, debug=debug)


@app.command()
def detach(
    project: Project,
    url: KnownBackendUrl = None,
    dry_run: DryRun = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Remove ML backend and webhook from a project, and put back what 'attach' changed; predictions stay."""

    def job(progress: Progress) -> Report:
        from ..plugin.labeling.attachment import detach as detach_backend

        with _client(_settings()) as client:
            return detach_backend(client, project, url, _memories(), dry_run=dry_run)

    run_job(job, as_json=json, debug=debug)


@app.command()
def doctor(project: Project, url: BackendUrl, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Try the connection in both directions, and name the setting at fault; exit status 1 if there is one."""
    from ..plugin.labeling.connection_findings import ConnectionReport

    def job(progress: Progress) -> ConnectionReport:
        import httpx

        from ..plugin.labeling.attached_backend import Backend
        from ..plugin.labeling.connection_check import check_connection
        from ..plugin.labeling.trust import Trust

        settings = _settings()
        trust = Trust(settings.ca_file)
        with _client(settings) as client, trust.to_other_hosts(httpx.Timeout(5)) as http:
            return check_connection(client, project, Backend(url, settings.basic_auth), http, settings.document_root)

    if not run_job(job, as_json=json, debug=debug).is_sound:
        raise typer.Exit(1)


@app.command()
def sync(
    directory: opt.ExportedClassifier,
    project: Project,
    once: Annotated[bool, typer.Option("--once", help="Make one pass and end; nothing is trained.")] = False,
    interval: Annotated[float, typer.Option("--interval", min=1, help="Seconds between two looks.")] = 30,
    state: opt.StateFolder = None,
    delete_old: Annotated[
        bool, typer.Option("--delete-old", help="Delete the predictions of Winnow's earlier versions.")
    ] = False,
    force_sampling: ForceSampling = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Push predictions into a project, and learn from its annotations; Label Studio itself calls nobody."""

    def job(progress: Progress) -> Report:
        from ..backend.syncing import SyncOptions
        from ..backend.syncing import sync as synchronise

        options = SyncOptions(None if once else interval, state, force_sampling, delete_old)
        with _client(_settings()) as client:
            return synchronise(directory, project, client, options, say=say, progress=progress)

    run_job(job, as_json=json, debug=debug)


app.command()(sending.send)
app.command()(pulling.pull)
app.command()(promotion.promote)
app.command()(promotion.cancel)
app.command()(display_copies.copies)


def _settings() -> Settings:
    from ..backend.settings import Settings

    return Settings.from_environment(os.environ)


def _client(settings: Settings) -> LabelStudioClient:
    """Return a client of the Label Studio that the environment names; a token would be seen on the command line."""
    from ..backend.label_studio import label_studio_client

    return label_studio_client(settings)


def _memories() -> AttachmentMemories:
    from ..plugin.labeling.attachment_memory import AttachmentMemories

    return AttachmentMemories(winnow_home() / "label-studio")
