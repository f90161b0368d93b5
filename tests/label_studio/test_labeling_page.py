"""What an annotator sees: the labeling page of a real Label Studio in headless Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.label_studio.conftest import CHOICES, RunningBackend, add_storage
from tests.label_studio.server import PASSWORD, USER, RealLabelStudio
from tests.test_browser import CHROMIUM, FLAGS, PATIENCE_MS
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient

CONFIG = (
    '<View><Image name="image" value="$image" maxWidth="320px"/>'
    f'<Choices name="label" toName="image" choice="single">{CHOICES}</Choices></View>'
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="Chromium is not installed; `apt-get install chromium` (or brew install chromium) runs this test too",
)


def test_labeling_page_shows_the_choice_of_the_classifier(
    studio: RealLabelStudio,
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
    tmp_path: Path,
) -> None:
    project = new_project(local_images(1), CONFIG)
    add_storage(client, project, studio.images)
    attach(client, project, backend.backend, memories)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{studio.url}/user/login/")
        page.fill("input[name=email]", USER)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        page.goto(f"{studio.url}/projects/{project}/data?labeling=1")
        checked = page.locator(".lsf-choices input:checked")
        expect(checked).to_have_count(1, timeout=PATIENCE_MS)
        shown = checked.get_attribute("name")
        page.screenshot(path=tmp_path / "labeling.png")
        browser.close()

    (task,) = client.tasks(project)
    (choice,) = task["predictions"][0]["result"][0]["value"]["choices"]
    assert shown == choice
