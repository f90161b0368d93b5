"""Label Studio's REST API: the few calls that Winnow makes.

httpx rather than label-studio-sdk's client: that one takes seconds to import, and neither waits for a locked database
nor takes a legacy token and a personal access token alike.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

import httpx

from ..errors import WinnowError
from .image_access import AccessProblem, ImageAccessError
from .label_studio_login import LabelStudioLogin
from .trust import Trust

# For one call to connect, and to answer between two pieces; Label Studio imports a thousand predictions in 2 s.
TIMEOUT_SECONDS = 60.0
_PAGE_SIZE = 100
# Label Studio on SQLite answers 500 "database is locked" while it imports; these waits add up to half a minute.
_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Repeating these calls changes nothing further; of the others only a refusal that names a lock is known to be undone.
_REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})
_LONGEST_DETAIL = 500


class LabelStudioError(WinnowError):
    """Label Studio refused a call or did not answer; the message never holds the token.

    Attributes:
        status: HTTP status of the refusal, None when there was no answer.
        detail: What Label Studio said, in short.
    """

    def __init__(self, message: str, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class LabelStudioClient:
    """Calls Label Studio's API; safe to share among threads.

    Args:
        base_url: Label Studio's address, a sub-path included.
        token: A personal access token (renewed as needed) or a legacy token.
        http: What connects (see `trust.Trust`), closed with this client; by default the system's certificates are
            trusted, and no proxy is used.
        waits: Seconds to wait before each repetition of a call that failed for the time being.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        http: httpx.Client | None = None,
        waits: Sequence[float] = _WAITS_SECONDS,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = http or Trust().to_label_studio(httpx.Timeout(TIMEOUT_SECONDS))
        self._login = LabelStudioLogin(self.base_url, token, self._http)
        self._waits = tuple(waits)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def version(self) -> str:
        """Return Label Studio's version."""
        answer = self.call("GET", "/api/version/")
        return str(answer.get("release", "unknown")) if isinstance(answer, dict) else "unknown"

    def project(self, project_id: int) -> dict[str, Any]:
        """Return a project as Label Studio describes it."""
        return dict(self.call("GET", f"/api/projects/{project_id}/"))

    def update_project(self, project_id: int, **changes: Any) -> dict[str, Any]:
        """Change fields of a project and return it. Label Studio takes a `model_version` only when it exists."""
        return dict(self.call("PATCH", f"/api/projects/{project_id}/", json=changes))

    def tasks(self, project_id: int) -> Iterator[dict[str, Any]]:
        """Yield the project's tasks in the order of their ids, each with its `annotations` and `predictions`.

        Deleting tasks meanwhile may make pages skip some; adding some does not.
        """
        yield from self._pages("/api/tasks/", {"project": project_id, "fields": "all"})

    def users(self) -> list[dict[str, Any]]:
        """Return the users of the organization, with names and e-mail addresses."""
        return list(self.call("GET", "/api/users/"))

    def latest_change(self, project_id: int) -> str | None:
        """Return when a task of the project, or an annotation of one, was changed last; None without tasks."""
        query = {"project": project_id, "page_size": 1, "query": '{"ordering": ["-tasks:updated_at"]}'}
        tasks = self.call("GET", "/api/tasks/", params=query)["tasks"]
        return str(tasks[0]["updated_at"]) if tasks else None

    def ml_backends(self, project_id: int) -> list[dict[str, Any]]:
        """Return the project's ML backends; Label Studio asks each of them for its health and version first."""
        return list(self.call("GET", "/api/ml/", params={"project": project_id}))

    def create_ml_backend(self, **fields: Any) -> dict[str, Any]:
        """Connect an ML backend; Label Studio asks it for its health and version first."""
        return dict(self.call("POST", "/api/ml/", json=fields))

    def update_ml_backend(self, backend_id: int, **fields: Any) -> dict[str, Any]:
        """Change an ML backend. Label Studio needs `url`, `project` and `title` every time."""
        return dict(self.call("PATCH", f"/api/ml/{backend_id}", json=fields))

    def delete_ml_backend(self, backend_id: int) -> None:
        """Disconnect an ML backend; its webhook stays."""
        self.call("DELETE", f"/api/ml/{backend_id}")

    def test_prediction(self, backend_id: int) -> dict[str, Any]:
        """Have Label Studio ask an ML backend for the prediction of one task, and return what it got."""
        return dict(self.call("POST", f"/api/ml/{backend_id}/predict/test", params={"random": "true"}))

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        """Return the project's webhooks."""
        return list(self.call("GET", "/api/webhooks/", params={"project": project_id}))

    def create_webhook(self, **fields: Any) -> dict[str, Any]:
        """Create a webhook."""
        return dict(self.call("POST", "/api/webhooks/", json=fields))

    def update_webhook(self, webhook_id: int, **fields: Any) -> dict[str, Any]:
        """Change a webhook."""
        return dict(self.call("PATCH", f"/api/webhooks/{webhook_id}/", json=fields))

    def delete_webhook(self, webhook_id: int) -> None:
        """Delete a webhook."""
        self.call("DELETE", f"/api/webhooks/{webhook_id}/")

    def storages(self, project_id: int) -> list[dict[str, Any]]:
        """Return the storages that the project imports from."""
        return list(self.call("GET", "/api/storages/", params={"project": project_id}))

    def create_project(self, **fields: Any) -> dict[str, Any]:
        """Create a project and return it."""
        return dict(self.call("POST", "/api/projects/", json=fields))

    def create_local_storage(self, project_id: int, path: str, title: str) -> dict[str, Any]:
        """Have Label Studio serve the files of a folder, by its own path, to a project; nothing is imported."""
        fields = {"project": project_id, "path": path, "title": title, "use_blob_urls": True}
        return dict(self.call("POST", "/api/storages/localfiles/", json=fields))

    def import_tasks(self, project_id: int, tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Import tasks, with their predictions, and return Label Studio's answer.

        It holds `task_ids` in the order of the tasks, except in editions that import later. Nothing but a connection
        that never came about is tried again, as a call that failed may still have been carried out.
        """
        path = f"/api/projects/{project_id}/import"
        response = self._answered("POST", path, once=True, params={"return_task_ids": "true"}, json=list(tasks))
        return dict(self._content("POST", path, response))

    def tasks_of_batch(self, project_id: int, batch: str) -> Iterator[dict[str, Any]]:
        """Yield `id` and `data` of the project's tasks whose data names this batch (see `task_identity`)."""
        named = {"filter": "filter:tasks:data.winnow_batch", "operator": "equal", "type": "String", "value": batch}
        query = json.dumps({"filters": {"conjunction": "and", "items": [named]}, "ordering": ["tasks:id"]})
        asked = {"project": project_id, "include": "id,data", "query": query}
        yield from self._pages("/api/tasks/", asked, page_size=500)

    def delete_task(self, task_id: int) -> None:
        """Delete a task with its annotations and predictions."""
        self.call("DELETE", f"/api/tasks/{task_id}/")

    def upload_files(self, project_id: int, files: Sequence[tuple[str, IO[bytes]]]) -> list[int]:
        """Upload files by name without making tasks of them, and return their numbers in order.

        Label Studio takes at most 100 files and 250 MB a call by default.
        """
        # Under one name for all, Label Studio would keep the last file only.
        parts = [(f"file{number}", file) for number, file in enumerate(files)]
        path = f"/api/projects/{project_id}/import"
        response = self._answered("POST", path, once=True, params={"commit_to_project": "false"}, files=parts)
        return [int(number) for number in self._content("POST", path, response)["file_upload_ids"]]

    def uploads(self, project_id: int, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return `id` and `file`, the path below Label Studio's /data/, of uploads of a project; None = of all."""
        asked = {"all": "true"} if ids is None else {"ids": json.dumps(list(ids))}
        return list(self.call("GET", f"/api/projects/{project_id}/file-uploads", params=asked))

    def import_predictions(self, project_id: int, predictions: Sequence[dict[str, Any]]) -> int:
        """Store predictions, each with its `task`, and return how many Label Studio kept: it drops bad ones silently.

        A call that got no answer is not repeated, as it may have been carried out: look what is there first.
        """
        answer = self.call("POST", f"/api/projects/{project_id}/import/predictions", json=list(predictions))
        return int(answer["created"])

    def create_prediction(self, prediction: dict[str, Any]) -> None:
        """Store one prediction with its `task`, which Label Studio does not validate; see `import_predictions`."""
        self.call("POST", "/api/predictions/", json=prediction)

    def delete_predictions(self, project_id: int, model_version: str) -> None:
        """Delete the predictions of one version."""
        self.call("DELETE", f"/api/projects/{project_id}/model-versions/", json={"model_version": model_version})

    def delete_prediction(self, prediction_id: int) -> None:
        """Delete one prediction."""
        self.call("DELETE", f"/api/predictions/{prediction_id}/")

    def model_versions(self, project_id: int) -> dict[str, int]:
        """Return the versions of the project's predictions, with how many there are of each."""
        found = self.call("GET", f"/api/projects/{project_id}/model-versions/")
        return {str(version): int(count) for version, count in dict(found).items()}

    def file_status(self, path: str) -> int:
        """Return the HTTP status with which Label Studio answers for one of its own files, such as /data/upload/..."""
        response = self._with_login("GET", path, headers={"Range": "bytes=0-0"})
        return response.status_code

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Make any other call and return the JSON of the answer, None where there is none.

        Args:
            method: Of HTTP.
            path: With its slash at the end where Label Studio has one.
            request: As httpx takes it, e.g. `json` or `params`.

        Raises:
            LabelStudioError: Refused, no answer, or an answer that is not Label Studio's.
        """
        return self._content(method, path, self._answered(method, path, **request))

    def _content(self, method: str, path: str, response: httpx.Response) -> Any:
        if response.is_success and not response.content:
            return None
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                raise LabelStudioError(
                    f"what answers at {self.base_url} is not Label Studio. Set LABEL_STUDIO_URL to its address, "
                    "a sub-path included.",
                    response.status_code,
                ) from None
        raise _refusal(method, path, response)

    def _pages(self, path: str, query: Mapping[str, Any], page_size: int = _PAGE_SIZE) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            answer = self.call("GET", path, params={**query, "page": page, "page_size": page_size})
            tasks = answer["tasks"] if isinstance(answer, dict) else answer
            yield from tasks
            # The page after the last one is an error, so it is not asked for.
            total = int(answer.get("total", 0)) if isinstance(answer, dict) else 0
            if not tasks or page * page_size >= total:
                return
            page += 1

    def _answered(self, method: str, path: str, *, once: bool = False, **request: Any) -> httpx.Response:
        """Return the answer, after as many tries as it needs while Label Studio is busy; `once` = the first one."""
        for wait in self._waits:
            try:
                response = self._with_login(method, path, **request)
            except httpx.ConnectError:
                pass
            except httpx.HTTPError as error:
                if once or method not in _REPEATABLE:
                    raise self._silence(error) from None
            else:
                if once or not _is_passing(method, response):
                    return response
            time.sleep(wait)
        try:
            return self._with_login(method, path, **request)
        except httpx.HTTPError as error:
            raise self._silence(error) from None

    def _with_login(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request; a refused access token is renewed once, as it may have been revoked before its time."""
        extra = request.pop("headers", {})
        headers = self._login_headers()
        response = self._http.request(method, self.base_url + path, headers={**extra, **headers}, **request)
        if response.status_code != httpx.codes.UNAUTHORIZED or not self._login.is_renewable:
            return response
        self._login.forget(headers)
        return self._http.request(method, self.base_url + path, headers={**extra, **self._login_headers()}, **request)

    def _login_headers(self) -> dict[str, str]:
        try:
            return self._login.headers()
        except ImageAccessError as error:
            if error.problem is AccessProblem.UNREACHABLE:
                raise LabelStudioError(
                    f"cannot log in at {self.base_url}: {error.reason}. Is Label Studio running there? "
                    "LABEL_STUDIO_URL holds its address."
                ) from None
            raise LabelStudioError(
                f"cannot log in at {self.base_url}: {error.reason}, and set LABEL_STUDIO_API_KEY to it.", status=401
            ) from None

    def _silence(self, error: httpx.HTTPError) -> LabelStudioError:
        return LabelStudioError(
            f"Label Studio at {self.base_url} does not answer ({type(error).__name__}). Is it running there? "
            "LABEL_STUDIO_URL holds its address."
        )


def _is_passing(method: str, response: httpx.Response) -> bool:
    """Tell whether a failed call may succeed when it is repeated, and may be repeated without doing things twice."""
    if response.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
        return True
    if response.status_code < 500:
        return False
    return method in _REPEATABLE or "database is locked" in response.text


def _refusal(method: str, path: str, response: httpx.Response) -> LabelStudioError:
    detail = _detail(response)
    status = response.status_code
    if response.is_redirect:
        return LabelStudioError(
            f"Label Studio sends {path} on to {response.headers.get('location', 'nowhere')}. Set LABEL_STUDIO_URL to "
            "the address that it has in the end.",
            status,
        )
    if status == httpx.codes.UNAUTHORIZED:
        hint = (
            " Legacy tokens are switched off there; make a personal access token under Account & Settings > Personal "
            "Access Token, and set LABEL_STUDIO_API_KEY to it."
            if "legacy token" in detail
            else " Set LABEL_STUDIO_API_KEY to a token of that Label Studio."
        )
        return LabelStudioError(f"Label Studio does not take the token: {detail}.{hint}", status, detail)
    return LabelStudioError(f"Label Studio answered {status} to {method} {path}: {detail}", status, detail)


def _detail(response: httpx.Response) -> str:
    """Return what Label Studio says of a refusal, in one short line."""
    try:
        body = response.json()
    except ValueError:
        return response.reason_phrase or "no reason given"
    if not isinstance(body, dict):
        return str(body)[:_LONGEST_DETAIL]
    reasons = body.get("validation_errors") or body.get("detail") or body
    return " ".join(str(reasons).split())[:_LONGEST_DETAIL].rstrip(".")
