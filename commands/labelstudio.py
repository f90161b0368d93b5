"""`winnow labelstudio`: a classifier and a Label Studio project, brought together and taken apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options as opt
from ..plugin.errors import WinnowError
from ..plugin.home import winnow_home
from ..terminal import Report, run_job
from . import promotion

if TYPE_CHECKING:
    from ..backend.settings import Settings
    from ..plugin.labeling.attachment_memory import AttachmentMemories
    from ..plugin.labeling.client import LabelStudioClient

app = typer.Typer(
    no_args_is_help=True,
    help="Have a classifier pre-annotate a Label Studio project; LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY name it.",
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

    def job(progress: object) -> Report:
        from ..plugin.labeling.attached_backend import Backend
        from ..plugin.labeling.attachment import attach

        settings = _settings()
        with _client(settings) as client:
            return attach(
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

    def job(progress: object) -> Report:
        from ..plugin.labeling.attachment import detach

        with _client(_settings()) as client:
            return detach(client, project, url, _memories(), dry_run=dry_run)

    run_job(job, as_json=json, debug=debug)


@app.command()
def doctor(project: Project, url: BackendUrl, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Try the connection in both directions, and name the setting at fault; exit status 1 if there is one."""
    from ..plugin.labeling.connection_findings import ConnectionReport

    def job(progress: object) -> ConnectionReport:
        import httpx

        from ..plugin.labeling.attached_backend import Backend
        from ..plugin.labeling.connection_check import check_connection

        settings = _settings()
        with _client(settings) as client, httpx.Client(trust_env=False, timeout=5) as http:
            return check_connection(client, project, Backend(url, settings.basic_auth), http, settings.document_root)

    if not run_job(job, as_json=json, debug=debug).is_sound:
        raise typer.Exit(1)


app.command()(promotion.promote)
app.command()(promotion.cancel)


def _settings() -> Settings:
    from ..backend.settings import Settings

    return Settings.from_environment(os.environ)


def _client(settings: Settings) -> LabelStudioClient:
    """Return a client of the Label Studio that the environment names; a token would be seen on the command line."""
    from ..plugin.labeling.client import LabelStudioClient

    if settings.label_studio_url is None or settings.label_studio_token is None:
        raise WinnowError(
            "LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is not set. Set them to Label Studio's address and to a personal "
            "access token, which Label Studio makes under Account & Settings."
        )
    return LabelStudioClient(settings.label_studio_url, settings.label_studio_token)


def _memories() -> AttachmentMemories:
    from ..plugin.labeling.attachment_memory import AttachmentMemories

    return AttachmentMemories(winnow_home() / "label-studio")
