"""Looks at the connection between Label Studio and a backend in both directions, and names the setting at fault.

Label Studio hides nearly all errors of ML backends from its users: it answers 200 to Retrieve Predictions without any,
and opens tasks without a pre-annotation. So each link of the chain is tried on its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from .attached_backend import Backend
from .attachment import DESCRIPTION, UNCERTAINTY_SAMPLING
from .backend_refusals import explain_refusal
from .client import LabelStudioClient, LabelStudioError
from .connection_findings import ConnectionReport, Finding, Level
from .local_files import why_not_served

_PROBE_TITLE = "winnow doctor"
_TASKS_LOOKED_AT = 100
_FILES_LOOKED_AT = 5
_PREDICTIONS_TRIED = 3
_LOCAL_FILES = "/data/local-files/"


def check_connection(
    client: LabelStudioClient,
    project_id: int,
    backend: Backend,
    http: httpx.Client,
    document_root: Path | None = None,
) -> ConnectionReport:
    """Look at everything that pre-annotations depend on. What is made for a try is removed again.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        backend: As Label Studio is to reach it.
        http: Connects to the backend from here.
        document_root: The folder that Label Studio serves as local files, as it is mounted here; None = unknown.
    """
    return ConnectionReport(tuple(_ConnectionCheck(client, project_id, backend, http, document_root).findings()))


class _ConnectionCheck:
    def __init__(
        self,
        client: LabelStudioClient,
        project_id: int,
        backend: Backend,
        http: httpx.Client,
        document_root: Path | None,
    ) -> None:
        self._client = client
        self._id = project_id
        self._backend = backend
        self._http = http
        self._root = document_root
        self._given: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        try:
            release = self._client.version()
            yield Finding(Level.OK, f"Label Studio {release} answers at {self._client.base_url}")
            project = self._client.project(self._id)
        except LabelStudioError as error:
            yield self._no_project(error)
            return
        yield Finding(Level.OK, f"the token is taken, and project {self._id} is '{project.get('title')}'")
        yield self._from_here()
        rows = self._client.ml_backends(self._id)
        hooks = self._client.webhooks(self._id)
        own = [row for row in rows if row["url"].rstrip("/") == self._backend.url]
        if own:
            yield from self._connected(own[0], rows, project)
        else:
            yield from self._not_connected(project, hooks)
        yield from self._events_allowed()
        yield from self._webhooks(hooks, rows)
        yield from self._local_files()

    def _no_project(self, error: LabelStudioError) -> Finding:
        if error.status in (403, 404):
            return Finding(
                Level.PROBLEM,
                f"project {self._id} is not there for the user of this token",
                f"Label Studio answers: {error.detail}",
                "Take the number from the project's address, and a token of a member of its organization",
            )
        return Finding(Level.PROBLEM, str(error).rstrip("."))

    def _from_here(self) -> Finding:
        """Ask the backend ourselves. Inside Docker, it may be reached from Label Studio alone."""
        try:
            answer = self._http.get(f"{self._backend.url}/health", auth=self._backend.basic_auth)
            health = answer.json()
            state, version = health["classifier"], health["model_version"]
        except httpx.HTTPError as error:
            return Finding(
                Level.HINT,
                f"the backend does not answer here at {self._backend.url} ({type(error).__name__})",
                "that alone is no fault: what counts is that Label Studio reaches it",
            )
        except (ValueError, KeyError, TypeError):
            return Finding(
                Level.HINT,
                f"what answers here at {self._backend.url} is not 'winnow serve'",
                "from Label Studio's machine or container the address may lead elsewhere",
            )
        if state == "failed":
            return Finding(
                Level.PROBLEM, "the backend could not load its classifier", "", "Look into the log of 'winnow serve'"
            )
        return Finding(Level.OK, f"the backend answers here: classifier {state}, version {version}")

    def _connected(self, row: dict[str, Any], rows: list[dict[str, Any]], project: dict[str, Any]) -> Iterator[Finding]:
        if row.get("state") not in ("CO", "TR", "PR"):
            yield from self._probe(f"ML backend {row['id']} is connected, but Label Studio does not reach it")
            return
        yield Finding(Level.OK, f"Label Studio reaches the backend, and learns version {row.get('model_version')}")
        if rows[0]["id"] != row["id"]:
            yield Finding(
                Level.PROBLEM,
                f"the project has another ML backend before this one, at {rows[0]['url']}",
                "Label Studio asks the first one only",
                "Remove it under Settings > Model",
            )
        yield from self._names(row, project)
        yield self._prediction(row, project)

    def _names(self, row: dict[str, Any], project: dict[str, Any]) -> Iterator[Finding]:
        version, title, chosen = row.get("model_version"), row.get("title"), project.get("model_version")
        attach = f"Run 'winnow labelstudio attach {self._id} --url {self._backend.url}'"
        if not version:
            yield Finding(
                Level.PROBLEM,
                "the backend tells no version",
                "its classifier is still being loaded, or could not be",
                "Wait a moment, or look into the log of 'winnow serve'",
            )
        elif not title == chosen == version:
            yield Finding(
                Level.PROBLEM,
                f"the ML backend's title is '{title}', the project's model_version '{chosen}', the served version "
                f"'{version}'",
                "Label Studio's score column, uncertainty sampling and label stream work where all three are the same",
                attach,
            )
        else:
            yield Finding(Level.OK, f"title, model_version and the served version agree: {version}")
        if not project.get("show_collab_predictions"):
            yield Finding(
                Level.PROBLEM, "the project hides predictions from annotators (show_collab_predictions)", "", attach
            )
        if project.get("sampling") != UNCERTAINTY_SAMPLING:
            yield Finding(
                Level.HINT, f"the label stream's order is '{project.get('sampling')}', not the least certain task first"
            )
        elif int(project.get("maximum_annotations") or 1) > 1:
            yield Finding(
                Level.HINT,
                f"each task is annotated {project['maximum_annotations']} times",
                "with more than one annotator a task, Label Studio draws tasks at random instead of by uncertainty",
            )

    def _prediction(self, row: dict[str, Any], project: dict[str, Any]) -> Finding:
        """Have Label Studio ask for predictions of tasks that it draws; a single image may be damaged."""
        if not project.get("task_number"):
            return Finding(Level.HINT, "the project has no task yet to try a prediction with")
        why = ""
        for _ in range(_PREDICTIONS_TRIED):
            try:
                answer = self._client.test_prediction(row["id"])
            except LabelStudioError as error:
                return Finding(Level.PROBLEM, f"Label Studio gets no prediction: {error.detail}", "", self._look())
            results = answer.get("response")
            if isinstance(results, list) and results and results[0]:
                return Finding(Level.OK, "Label Studio gets a prediction of a task")
            why = f"Label Studio was told: {answer['error_message']}" if answer.get("error_message") else why
        what = f"Label Studio gets no prediction of {_PREDICTIONS_TRIED} tasks that it drew"
        return Finding(Level.PROBLEM, what, why, self._look())

    def _look(self) -> str:
        return f"See the reason for each image at {self._backend.url}/status"

    def _not_connected(self, project: dict[str, Any], hooks: list[dict[str, Any]]) -> Iterator[Finding]:
        tried = list(self._probe(f"Label Studio cannot use the backend at {self._backend.url}"))
        yield from tried
        self._tidy_up(project, {hook["id"] for hook in hooks})
        if not tried:
            yield Finding(
                Level.HINT,
                f"Label Studio reaches the backend, which is not connected to project {self._id}",
                "",
                f"Run 'winnow labelstudio attach {self._id} --url {self._backend.url}'",
            )

    def _probe(self, what: str) -> Iterator[Finding]:
        """Connect the backend for a moment; yield what stands in the way."""
        try:
            row = self._client.create_ml_backend(
                url=self._backend.url,
                project=self._id,
                title=_PROBE_TITLE,
                description=DESCRIPTION,
                **self._backend.login(),
            )
            self._client.delete_ml_backend(row["id"])
        except LabelStudioError as error:
            refusal = explain_refusal(error, self._backend.url)
            yield Finding(Level.PROBLEM, what, refusal.why, self._once(refusal.next_step))

    def _tidy_up(self, project: dict[str, Any], hooks_before: set[int]) -> None:
        """Remove the webhook that Label Studio makes with an ML backend and leaves behind, and restore the version."""
        for hook in self._client.webhooks(self._id):
            if hook["id"] not in hooks_before and hook["url"].rstrip("/") == self._backend.webhook_url:
                self._client.delete_webhook(hook["id"])
        before = project.get("model_version") or ""
        if (self._client.project(self._id).get("model_version") or "") != before:
            self._client.update_project(self._id, model_version=before)

    def _webhooks(self, hooks: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Iterator[Finding]:
        attach = f"Run 'winnow labelstudio attach {self._id} --url {self._backend.url}'"
        own = [hook for hook in hooks if hook["url"].rstrip("/") == self._backend.webhook_url]
        is_attached = any(row["url"].rstrip("/") == self._backend.url for row in rows)
        if is_attached and not own:
            yield Finding(Level.PROBLEM, "no webhook tells the backend of annotations", "", attach)
        if len(own) > 1:
            yield Finding(Level.PROBLEM, f"{len(own)} webhooks tell the backend the same events", "", attach)
        for hook in own:
            if (hook.get("headers") or {}) != self._backend.webhook_headers():
                yield Finding(
                    Level.PROBLEM,
                    "the webhook does not bring the backend's user and password (BASIC_AUTH_USER, BASIC_AUTH_PASS)",
                    "the backend refuses its events, and Label Studio tells nobody",
                    attach,
                )
            if not hook.get("is_active"):
                yield Finding(Level.PROBLEM, "the webhook is switched off", "", attach)
        bases = {row["url"].rstrip("/") for row in rows} | {self._backend.url}
        for url in {hook["url"] for hook in hooks}:
            if url.endswith("/webhook") and url.removesuffix("/webhook") not in bases:
                yield Finding(
                    Level.HINT,
                    f"webhook {url} belongs to no ML backend of the project",
                    "Label Studio leaves it behind when an ML backend is removed",
                    f"Run 'winnow labelstudio detach {self._id} --url {url.removesuffix('/webhook')}' if it is stale",
                )

    def _events_allowed(self) -> Iterator[Finding]:
        """Make a webhook that is switched off, for a moment: Label Studio looks at the address when it is saved."""
        try:
            hook = self._client.create_webhook(
                url=self._backend.webhook_url, project=self._id, is_active=False, send_for_all_actions=True
            )
            self._client.delete_webhook(hook["id"])
        except LabelStudioError as error:
            refusal = explain_refusal(error, self._backend.url, setting="SSRF_PROTECTION_ENABLED")
            what = "Label Studio will not tell the backend of annotations"
            yield Finding(Level.PROBLEM, what, refusal.why, self._once(refusal.next_step))

    def _once(self, advice: str) -> str:
        """Return an advice, which may be a screen long, or that it stands above already."""
        if advice in self._given:
            return "Do as above; it mends both"
        self._given.add(advice)
        return advice

    def _local_files(self) -> Iterator[Finding]:
        tasks = islice(self._client.tasks(self._id), _TASKS_LOOKED_AT)
        addresses = [value for task in tasks for value in task["data"].values() if _is_local_file(value)]
        if not addresses:
            return
        statuses = {address: self._client.file_status(address) for address in addresses[:_FILES_LOOKED_AT]}
        refused = [address for address, status in statuses.items() if status not in (200, 206)]
        if refused:
            yield why_not_served(self._client, self._id, refused[0], statuses[refused[0]])
        else:
            yield Finding(Level.OK, f"Label Studio serves its local files ({len(statuses)} tried)")
        if self._root is not None:
            yield self._in_document_root(list(statuses))

    def _in_document_root(self, addresses: list[str]) -> Finding:
        missing = [address for address in addresses if not _file_below(self._root or Path(), address)]
        if not missing:
            return Finding(Level.OK, "the document root that is mounted here holds the same files")
        return Finding(
            Level.PROBLEM,
            f"'{self._root}' does not hold the file of {missing[0]}",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is another folder here than in Label Studio",
            "Set it to where Label Studio's document root itself is mounted here, or leave it out: images are then "
            "fetched from Label Studio",
        )


def _is_local_file(value: object) -> bool:
    return isinstance(value, str) and urlsplit(value).path.endswith(_LOCAL_FILES) and "d=" in value


def _file_below(root: Path, address: str) -> bool:
    """Tell whether a local file's address leads to a file below a folder."""
    names = parse_qs(urlsplit(address).query).get("d") or [unquote(address.partition("d=")[2])]
    path = Path(os.path.normpath(root / names[0].lstrip("/")))
    return path.is_relative_to(root) and path.is_file()
