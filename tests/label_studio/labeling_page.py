"""The labeling page of a real Label Studio, in headless Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.label_studio.server import PASSWORD, USER, RealLabelStudio
from tests.test_browser import CHROMIUM, FLAGS, PATIENCE_MS

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="Chromium is not installed; `apt-get install chromium` (or brew install chromium) runs this test too",
)


@contextmanager
def labeling_page(studio: RealLabelStudio) -> Iterator[Page]:
    """Yield a page on which the annotator has logged in; `open_task` leads on."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{studio.url}/user/login/")
        page.fill("input[name=email]", USER)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        yield page
        browser.close()


def open_task(page: Page, studio: RealLabelStudio, project: int, task: int | None = None) -> None:
    """Open a task of a project, the next one of its label stream where none is named."""
    what = "labeling=1" if task is None else f"task={task}"
    page.goto(f"{studio.url}/projects/{project}/data?{what}")
