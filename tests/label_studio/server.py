"""A real Label Studio for tests: its own environment, SQLite, loopback, a folder of its own, no network."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

USER, PASSWORD = "annotator@example.org", "a-password-of-the-tests"
_SECONDS_TO_START = 240
_TOKEN_FIELD = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True)
class RealLabelStudio:
    """A running Label Studio.

    Attributes:
        url: Its address.
        token: A personal access token of its one user.
        images: A folder below its document root, for local files.
    """

    url: str
    token: str
    images: Path


@contextmanager
def running_label_studio(
    executable: Path, folder: Path, token: str | None = None, **settings: str
) -> Iterator[RealLabelStudio]:
    """Start Label Studio over the data in a folder (made when empty), and stop it at the end.

    Args:
        executable: Its command `label-studio`.
        folder: For the database, uploads and local files.
        token: A personal access token that the database knows already, as a user has one at a time; None = make it.
        settings: Of Label Studio's environment, beside those that keep it silent and offline.
    """
    images = folder / "root" / "images"
    images.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    port = free_port()
    arguments = ["--no-browser", "--username", USER, "--password", PASSWORD, "--port", str(port)]
    with (folder / f"log-{port}.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(executable), "start", *arguments, "--internal-host", "127.0.0.1"],
            env=_environment(folder, settings),
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, process, Path(log.name))
            yield RealLabelStudio(url, token or personal_access_token(url), images)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def personal_access_token(url: str) -> str:
    """Log in as a browser does, and make a personal access token."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as browser:
        field = _TOKEN_FIELD.search(browser.get("/user/login/").text)
        form = {"email": USER, "password": PASSWORD, "csrfmiddlewaretoken": field[1] if field else ""}
        browser.post("/user/login/", data=form, headers={"Referer": f"{url}/user/login/"})
        headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Referer": url}
        return str(browser.post("/api/token/", headers=headers).raise_for_status().json()["token"])


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return {
        **kept,
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        # Of the keys that it makes itself, the 1 in 50 that begin with "$" do not survive a restart: it reads them as
        # the names of variables, makes another, and knows the tokens no more that the first has signed.
        "SECRET_KEY": "a-key-of-the-tests-which-signs-tokens-on-loopback-only",
        "DJANGO_DB": "sqlite",
        "DEBUG": "false",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder / "root"),
        **settings,
    }


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_SECONDS_TO_START * 4):
        if process.poll() is not None:
            raise RuntimeError(f"Label Studio ended at its start:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            if httpx.get(f"{url}/health", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.25)
    raise RuntimeError(f"Label Studio did not answer:\n{log.read_text(errors='replace')[-3000:]}")
