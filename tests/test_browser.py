"""The plugin in a real browser: headless Chromium opens the App as `winnow app` serves it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from winnow.plugin.datasets.jobs import list_jobs

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
IMAGES = 200
PATIENCE_MS = 90_000
PATIENCE_S = PATIENCE_MS / 1000

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="Chromium is not installed; `apt-get install chromium` (or brew install chromium) runs these tests too",
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Return a dataset of two classes, of which the first image is there twice."""
    folder = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(0)
    samples = []
    for number in range(IMAGES):
        label, colour = ("red", (200, 40, 50)) if number % 2 else ("blue", (40, 60, 200))
        patches = np.clip(np.array(colour) + rng.normal(0, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{number:03d}.png"
        Image.fromarray(patches).resize((96, 96), Image.Resampling.BICUBIC).save(path)
        split = "test" if number % 5 == 0 else "train"
        samples.append(fo.Sample(filepath=str(path), tags=[split], ground_truth=fo.Classification(label=label)))
    Image.open(samples[0].filepath).save(folder / "copy.jpg", quality=85)
    samples.append(
        fo.Sample(filepath=str(folder / "copy.jpg"), tags=["train"], ground_truth=fo.Classification(label="blue"))
    )
    dataset = fo.Dataset("shapes", persistent=True)
    dataset.add_samples(samples)
    yield dataset
    fo.delete_dataset("shapes")


@pytest.fixture(scope="module")
def app(shapes: fo.Dataset) -> Iterator[tuple[str, psutil.Process]]:
    """Run `winnow app` on the dataset; yield its address and the process of its worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f"from winnow.plugin.workflows.app import run_app; run_app('shapes', port={port}, remote=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/datasets/shapes"
    try:
        wait_until(lambda: answers(url), "the App answers")
        (worker,) = (
            child for child in psutil.Process(process.pid).children(recursive=True) if "delegated" in child.cmdline()
        )
        yield url, worker
    finally:
        process.terminate()
        process.wait(60)
    assert not worker.is_running()  # it was stopped with the App


@pytest.fixture
def page(app: tuple[str, psutil.Process]) -> Iterator[Page]:
    """Return a browser's page that shows the dataset's grid."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(app[0])
        expect(page.get_by_text("ground_truth").first).to_be_visible(timeout=PATIENCE_MS)
        yield page
        browser.close()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look again and again until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S:.0f} s in vain until {what}")
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def open_operator(page: Page, label: str) -> None:
    """Open an operator's form from the operator browser."""
    page.keyboard.press("`")
    page.get_by_placeholder("Search operations").fill(label)
    page.get_by_text(label, exact=True).last.click()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def choose(page: Page, way: str) -> None:
    """Submit the form by "Execute" or "Schedule", whichever of them it has as its default."""
    page.locator("button[aria-haspopup=menu]").last.click()
    page.get_by_role("menuitem").filter(has_text=way).click()
    page.get_by_role("button", name=way, exact=True).click()


def test_result_of_an_operator_appears_in_the_sidebar(page: Page, tmp_path: Path) -> None:
    expect(page.get_by_text("duplicate_group")).to_have_count(0)

    open_operator(page, "Winnow: find near-duplicates")
    choose(page, "Execute")
    expect(page.get_by_text("Show the groups")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "output.png")
    page.get_by_role("button", name="Done").click()

    expect(page.get_by_text("duplicate_group").first).to_be_visible(timeout=PATIENCE_MS)


def test_scheduled_job_goes_from_queued_to_running_to_cancelled(
    page: Page, app: tuple[str, psutil.Process], shapes: fo.Dataset
) -> None:
    _, worker = app
    jobs_form = page.get_by_role("dialog").last

    worker.suspend()  # so that the job stays queued while we look
    open_operator(page, "Winnow: find label issues")
    choose(page, "Schedule")
    expect(page.get_by_text("successfully scheduled")).to_be_visible(timeout=PATIENCE_MS)
    open_operator(page, "Winnow: show and cancel jobs")
    expect(jobs_form.get_by_role("cell", name="queued")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()

    worker.resume()
    wait_until(lambda: list_jobs(shapes)[0].state == "running", "the job runs")
    worker.suspend()  # so that it does not end while we look
    open_operator(page, "Winnow: show and cancel jobs")
    expect(jobs_form.get_by_role("cell", name="running")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_text("was asked to stop")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Close").click()

    worker.resume()
    wait_until(lambda: list_jobs(shapes)[0].state == "cancelled", "the job is cancelled")
    open_operator(page, "Winnow: show and cancel jobs")
    expect(jobs_form.get_by_role("cell", name="cancelled", exact=True)).to_be_visible(timeout=PATIENCE_MS)
