"""`winnow report`: the command, and its page in a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner, Result

from tests.healths import health, make_classifier, serve
from tests.test_browser import CHROMIUM, FLAGS
from winnow.__main__ import app
from winnow.plugin.workflows.health_page import write_page


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_report_lies_in_the_classifiers_folder(tmp_path: Path) -> None:
    folder, state = make_classifier(tmp_path / "pets"), tmp_path / "state"
    serve(state, ["cat"] * 40, ["cat"] * 30 + ["dog"] * 10)

    result = report(folder, "--state", state, "--json")

    told = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 0
    assert told["overrides"]["value"] == 0.25
    assert told["page"] == str(folder / "health.html")
    assert "25.0\u00a0%" in (folder / "health.html").read_text(encoding="utf-8")


def test_file_that_is_no_report_is_kept(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")

    result = report(folder, "--output", folder / "classifier.json")

    assert result.exit_code == 1
    assert "is no report of Winnow's" in result.stderr
    assert json.loads((folder / "classifier.json").read_text())["version"] == "v1"


def test_report_without_a_dataset_needs_no_fiftyone(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "pets")
    script = (
        "import sys; from winnow.plugin.workflows.model_health import HealthParams, model_health; "
        f"model_health(None, HealthParams({str(folder)!r})); sys.exit('fiftyone' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason="Chromium is not installed")
def test_page_loads_nothing_and_complains_of_nothing(tmp_path: Path) -> None:
    path = write_page(health(), tmp_path / "health.html")
    requests, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        shown = page.get_by_role("heading", name="Recall by class").is_visible()
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        browser.close()

    assert shown
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
    assert wide <= 390
    assert paper == "rgb(23, 24, 27)"  # the style sheet is applied, the dark one
