"""Attaches a backend to a Label Studio project, and detaches it: nothing is left to be set by hand.

Label Studio ties three things together by name: its score column, its uncertainty sampling and its live predictions
work where the project's `model_version` is both the ML backend's title and the version of the predictions. So the title
*is* the served version, and follows it (`announce_version`).
"""

from __future__ import annotations

import time
from typing import Any

from ..errors import WinnowError
from .attached_backend import AttachmentError, Backend
from .attachment_memory import AttachmentMemories, AttachmentMemory
from .attachment_report import AttachmentReport, ChangeLog
from .backend_refusals import explain_refusal
from .client import LabelStudioClient, LabelStudioError

UNCERTAINTY_SAMPLING = "Uncertainty sampling"
DESCRIPTION = "Winnow"
_FIRST_TITLE = "Winnow"
_SERVED_VERSION = "the served version"
_SECONDS_TO_LOAD = 120.0
_LOOK_EVERY_SECONDS = 1.0


def attach(
    client: LabelStudioClient,
    project_id: int,
    backend: Backend,
    memories: AttachmentMemories,
    *,
    force_sampling: bool = False,
    dry_run: bool = False,
    seconds_to_load: float = _SECONDS_TO_LOAD,
) -> AttachmentReport:
    """Connect a backend to a project, or bring an earlier connection up to date.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        backend: As Label Studio is to reach it.
        memories: Where the project's earlier settings are kept for `detach`.
        force_sampling: Set uncertainty sampling even where annotations exist already; the order in which people label
            is part of how a data set was made.
        dry_run: Change nothing, and tell what would be.
        seconds_to_load: How long to wait for the backend to load its classifier.

    Raises:
        AttachmentError: Label Studio does not reach the backend, another backend is connected, or the classifier does
            not load.
        LabelStudioError: Label Studio refuses something else.
    """
    log = ChangeLog(dry_run)
    project = client.project(project_id)
    memory = memories.read(client.base_url, project_id)
    if memory is None or memory.backend_url != backend.url:
        memory = AttachmentMemory(backend.url)
    row = _ml_backend(client, project_id, backend)
    if row is None and log.will(f"ML backend {backend.url}: connect"):
        # Connecting may set the project's model version, so what it was is remembered before.
        memory.note("model_version", project.get("model_version"), _FIRST_TITLE)
        memories.write(client.base_url, project_id, memory)
        row = _connect(client, project_id, backend)
    version = _served_version(client, row, seconds_to_load) if row is not None else None
    if row is not None and version is not None:
        _set_title(client, row, backend, version, log)
    _set_webhook(client, project_id, backend, log)
    wanted = {"show_collab_predictions": True, "model_version": version or _SERVED_VERSION}
    wanted |= wanted_sampling(project, force_sampling, log)
    set_fields(client, project, wanted, log, memory)
    if not dry_run:
        memories.write(client.base_url, project_id, memory)
    return AttachmentReport(project_id, version, tuple(log.changes), tuple(log.notes), dry_run)


def detach(
    client: LabelStudioClient,
    project_id: int,
    url: str | None,
    memories: AttachmentMemories,
    *,
    dry_run: bool = False,
) -> AttachmentReport:
    """Remove a backend and its webhooks from a project, and put back what `attach` changed.

    A setting that somebody has changed since is left alone. Predictions stay.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        url: The backend's address; None = the one that is remembered.
        memories: What `attach` remembered.
        dry_run: Change nothing, and tell what would be.

    Raises:
        AttachmentError: No address is given, and none is remembered.
        LabelStudioError: Label Studio refuses something.
    """
    log = ChangeLog(dry_run)
    memory = memories.read(client.base_url, project_id)
    if url is None and memory is None:
        raise AttachmentError(
            f"nothing is remembered here of a backend of project {project_id}. Name it with --url, as Label Studio "
            "shows it under Settings > Model."
        )
    backend = Backend(url or (memory.backend_url if memory else ""))
    project = client.project(project_id)
    for row in client.ml_backends(project_id):
        if _same(row["url"], backend.url) and log.will(f"ML backend {backend.url}: disconnect"):
            client.delete_ml_backend(row["id"])
    for hook in client.webhooks(project_id):
        if _same(hook["url"], backend.webhook_url) and log.will(f"webhook {backend.webhook_url}: delete"):
            client.delete_webhook(hook["id"])
    if memory is None or memory.backend_url != backend.url:
        log.notes.append(
            "what attach changed is not remembered here, so sampling and model version stay as they are: "
            f"'{project.get('sampling')}' and '{project.get('model_version')}'"
        )
    else:
        # Label Studio empties the model version with the ML backend that it was the title of.
        _restore(client, client.project(project_id), memory, log)
        if not dry_run:
            memories.forget(client.base_url, project_id)
    return AttachmentReport(project_id, None, tuple(log.changes), tuple(log.notes), dry_run)


def announce_version(
    client: LabelStudioClient, project_id: int, version: str, basic_auth: tuple[str, str] | None = None
) -> bool:
    """Make a newly served version the one that a project goes by, where this backend is attached to it.

    Label Studio asks each ML backend of the project for its version, and the one that tells this one is meant.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        version: What /setup answers by now.
        basic_auth: User and password that the backend asks for.

    Returns:
        Whether a backend that serves the version is attached.

    Raises:
        LabelStudioError: Label Studio refuses something.
    """
    for row in client.ml_backends(project_id):
        if row.get("model_version") != version or row.get("description") != DESCRIPTION:
            continue
        backend = Backend(row["url"], basic_auth)
        log = ChangeLog(dry_run=False)
        _set_title(client, row, backend, version, log)
        set_fields(client, client.project(project_id), {"model_version": version}, log, None)
        return True
    return False


def _ml_backend(client: LabelStudioClient, project_id: int, backend: Backend) -> dict[str, Any] | None:
    """Return this backend's row, None where it is not connected yet."""
    rows = client.ml_backends(project_id)
    others = [row["url"] for row in rows if not _same(row["url"], backend.url)]
    if others:
        raise AttachmentError(
            f"project {project_id} has another ML backend already, at {', '.join(others)}; Label Studio asks the first "
            "one only. Remove it under Settings > Model, or with 'winnow labelstudio detach' and its --url."
        )
    return rows[0] if rows else None


def _connect(client: LabelStudioClient, project_id: int, backend: Backend) -> dict[str, Any]:
    fields = {"title": _FIRST_TITLE, "description": DESCRIPTION, **backend.login()}
    try:
        return client.create_ml_backend(url=backend.url, project=project_id, **fields)
    except LabelStudioError as error:
        raise _refused(error, backend) from None


def _refused(error: LabelStudioError, backend: Backend, setting: str = "ML_BLOCK_LOCAL_IP") -> WinnowError:
    """Return a refusal in words where it is about the backend, else the refusal itself."""
    if error.status not in (400, 403, 500):
        return error
    refusal = explain_refusal(error, backend.url, setting=setting)
    return AttachmentError(f"Label Studio does not take the backend: {refusal.why}. {refusal.next_step}.")


def _served_version(client: LabelStudioClient, row: dict[str, Any], seconds: float) -> str:
    """Return the version that Label Studio learns from the backend, once the classifier is loaded."""
    deadline = time.monotonic() + seconds
    while not row.get("model_version"):
        if time.monotonic() > deadline:
            raise AttachmentError(
                f"the backend at {row['url']} tells Label Studio no version. Its classifier is still being loaded, or "
                "could not be: look into the log of 'winnow serve', then run this again."
            )
        time.sleep(_LOOK_EVERY_SECONDS)
        row = next(each for each in client.ml_backends(row["project"]) if each["id"] == row["id"])
    return str(row["model_version"])


def _set_title(client: LabelStudioClient, row: dict[str, Any], backend: Backend, version: str, log: ChangeLog) -> None:
    """Title the ML backend by its version, with the login that it needs; a password can't be read back to compare."""
    login = backend.login()
    known = {"title": version, "auth_method": login["auth_method"], "description": DESCRIPTION}
    known["basic_auth_user"] = login.get("basic_auth_user", row.get("basic_auth_user"))
    if all(row.get(name) == value for name, value in known.items()):
        return
    if log.will(f"ML backend {backend.url}: title '{row.get('title')}' -> '{version}'"):
        fields = {"url": row["url"], "project": row["project"], "title": version, "description": DESCRIPTION, **login}
        try:
            client.update_ml_backend(row["id"], **fields)
        except LabelStudioError as error:
            raise _refused(error, backend) from None


def _set_webhook(client: LabelStudioClient, project_id: int, backend: Backend, log: ChangeLog) -> None:
    """Leave one webhook, with the login, for all events."""
    wanted = {"send_for_all_actions": True, "send_payload": True, "is_active": True}
    headers = backend.webhook_headers()
    hooks = [hook for hook in client.webhooks(project_id) if _same(hook["url"], backend.webhook_url)]
    with_login = " with its login" if headers else ""
    try:
        if not hooks and log.will(f"webhook {backend.webhook_url}: create{with_login}"):
            client.create_webhook(url=backend.webhook_url, project=project_id, headers=headers, **wanted)
        for hook in hooks[:1]:
            current = {name: hook.get(name) for name in wanted}
            differs = current != wanted or (hook.get("headers") or {}) != headers
            if differs and log.will(f"webhook {backend.webhook_url}: update{with_login}"):
                client.update_webhook(hook["id"], url=backend.webhook_url, headers=headers, **wanted)
    except LabelStudioError as error:
        raise _refused(error, backend, "SSRF_PROTECTION_ENABLED") from None
    for hook in hooks[1:]:
        if log.will(f"webhook {hook['url']}: delete, as there are several"):
            client.delete_webhook(hook["id"])


def wanted_sampling(
    project: dict[str, Any], force: bool, log: ChangeLog, sampling: str = UNCERTAINTY_SAMPLING
) -> dict[str, Any]:
    """Return the sampling to set in a project: none where annotations exist already, unless by force."""
    if project.get("sampling") == sampling:
        return {}
    if has_annotations(project) and not force:
        log.notes.append(
            f"sampling stays '{project.get('sampling')}', since the project has annotations; --force-sampling sets "
            f"'{sampling}'"
        )
        return {}
    return {"sampling": sampling}


def has_annotations(project: dict[str, Any]) -> bool:
    """Tell whether people have annotated or skipped anything in a project."""
    counts = ("total_annotations_number", "skipped_annotations_number", "ground_truth_number")
    return any(project.get(name) for name in counts)


def set_fields(
    client: LabelStudioClient,
    project: dict[str, Any],
    wanted: dict[str, Any],
    log: ChangeLog,
    memory: AttachmentMemory | None,
) -> None:
    """Give fields of the project their values, and remember those that they had.

    `project` is as it was before anything was changed: Label Studio sets model_version itself when it connects.
    """
    changes: dict[str, Any] = {}
    for name, value in wanted.items():
        before = project.get(name)
        if before != value and log.will(f"project: {name} '{before}' -> '{value}'"):
            changes[name] = value
            if memory is not None:
                memory.note(name, before, value)
    if changes:
        client.update_project(project["id"], **changes)


def _restore(client: LabelStudioClient, project: dict[str, Any], memory: AttachmentMemory, log: ChangeLog) -> None:
    # Hiding predictions empties model_version, so that is set last.
    for name in sorted(memory.before, key=lambda each: each == "model_version"):
        before, after = memory.before[name], memory.after[name]
        current = project.get(name)
        if name != "model_version" and current != after:
            log.notes.append(f"{name} stays '{current}', as somebody has changed it since")
        elif current != before:
            _put_back(client, project, name, before, log)


def _put_back(client: LabelStudioClient, project: dict[str, Any], name: str, before: Any, log: ChangeLog) -> None:
    value = "" if name == "model_version" and before is None else before
    change = f"project: {name} '{project.get(name)}' -> '{before}'"
    if not log.will(change):
        return
    try:
        client.update_project(project["id"], **{name: value})
    except LabelStudioError as error:
        log.changes.remove(change)
        log.notes.append(f"{name} could not be put back to '{before}': {error.detail}")


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
