"""What an annotator sees: the labeling page of a real Label Studio in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.label_studio.conftest import CHOICES, RunningBackend, add_storage
from tests.label_studio.labeling_page import labeling_page, needs_chromium, open_task
from tests.label_studio.server import RealLabelStudio
from tests.test_browser import PATIENCE_MS
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient

CONFIG = (
    '<View><Image name="image" value="$image" maxWidth="320px"/>'
    f'<Choices name="label" toName="image" choice="single">{CHOICES}</Choices></View>'
)


@needs_chromium
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

    with labeling_page(studio) as page:
        open_task(page, studio, project)
        checked = page.locator(".lsf-choices input:checked")
        expect(checked).to_have_count(1, timeout=PATIENCE_MS)
        shown = checked.get_attribute("name")
        page.screenshot(path=tmp_path / "labeling.png")

    (task,) = client.tasks(project)
    (choice,) = task["predictions"][0]["result"][0]["value"]["choices"]
    assert shown == choice
