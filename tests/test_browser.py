"""The plugin in a real browser: headless Chromium opens the App as `winnow app` serves it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import fiftyone as fo
import psutil
import pytest
from playwright.sync_api import FloatRect, Page, expect, sync_playwright

from tests import label_reports
from tests.conftest import save_label_issues, write_image
from winnow.plugin.datasets.brain import BrainKeys
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.group_views import (
    DUPLICATES_VIEW,
    LABEL_ISSUES_VIEW,
    save_group_view,
    save_issue_view,
)
from winnow.plugin.datasets.jobs import list_jobs
from winnow.plugin.datasets.runs import delete_run
from winnow.plugin.datasets.targets import open_target
from winnow.plugin.workflows.embed import compute_embeddings
from winnow.plugin.workflows.planting import plant

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PATIENCE_MS = 240_000
PATIENCE_S = PATIENCE_MS / 1000

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="Chromium is not installed; `apt-get install chromium` (or brew install chromium) runs these tests too",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Return the demo's dataset, as `winnow demo` makes it before it looks for anything."""
    folder = tmp_path_factory.mktemp("demo") / "garments"
    plant(folder, seed=0)
    dataset = open_target(str(folder)).dataset
    yield dataset
    fo.delete_dataset(dataset.name)


@pytest.fixture(scope="module")
def app(demo: fo.Dataset) -> Iterator[tuple[str, psutil.Process]]:
    """Run `winnow app` on the dataset; yield its address and the process of its worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f"from winnow.plugin.workflows.app import run_app; run_app({demo.name!r}, port={port}, remote=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/datasets/{demo.name}"
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


def dismiss_advertisements(page: Page) -> None:
    """Click FiftyOne's advertisements away, which come late and lie over what is to be clicked."""
    advertisement = page.get_by_text("Dismiss", exact=True).first
    page.add_locator_handler(advertisement, lambda: advertisement.dispatch_event("click"))  # forms may lie over it


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


def test_menu_opens_a_form_from_the_keyboard(page: Page, tmp_path: Path) -> None:
    dismiss_advertisements(page)
    page.get_by_text("Winnow", exact=True).first.click()
    job = page.get_by_role("button", name="Find leaks between splits")
    expect(job).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "menu.png")

    job.focus()
    page.keyboard.press("Space")

    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "form.png")
    cancel.click()
    page.locator("[data-cy=panel-tab-menu] svg").last.click()
    expect(job).to_have_count(0)


def test_scheduled_job_goes_from_queued_to_running_to_cancelled(
    page: Page, app: tuple[str, psutil.Process], demo: fo.Dataset
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
    wait_until(lambda: list_jobs(demo)[0].state == "running", "the job runs")
    worker.suspend()  # so that it does not end while we look
    open_operator(page, "Winnow: show and cancel jobs")
    expect(jobs_form.get_by_role("cell", name="running")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_text("was asked to stop")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Close").click()

    worker.resume()
    wait_until(lambda: list_jobs(demo)[0].state == "cancelled", "the job is cancelled")
    open_operator(page, "Winnow: show and cancel jobs")
    expect(jobs_form.get_by_role("cell", name="cancelled", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def test_points_selected_in_the_embeddings_panel_narrow_the_grid(page: Page, demo: fo.Dataset, tmp_path: Path) -> None:
    report = compute_embeddings(demo)
    dismiss_advertisements(page)
    page.reload()
    shown = page.locator("[data-cy=entry-counts]")
    expect(shown).to_contain_text(f"{len(demo):,} samples", timeout=PATIENCE_MS)

    page.locator("[data-cy=new-panel-btn]").click()
    page.get_by_text("Embeddings", exact=True).last.click()
    page.get_by_text(BrainKeys().points, exact=True).click()
    expect(page.get_by_text(f"{report.images:,} points")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Select", exact=True).click()
    draw_around_the_middle(page)

    selected = page.get_by_text(re.compile(r"[\d,]+ selected"))
    expect(selected).to_be_visible(timeout=PATIENCE_MS)
    count = int(selected.inner_text().split()[0].replace(",", ""))
    assert 0 < count < report.images
    expect(shown).to_contain_text(f"{count:,} sample", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "selection.png")


def plots(page: Page) -> list[FloatRect]:
    """Return where the page's large canvases lie; those of the grid's samples are small."""
    boxes = [box for canvas in page.locator("canvas").all() if (box := canvas.bounding_box()) is not None]
    return [box for box in boxes if box["width"] > 300]


def draw_around_the_middle(page: Page) -> None:
    """Drag the mouse around the middle of the plot, as one does with the lasso."""
    looks = [plots(page)]  # it is drawn anew at times, and is gone for a moment then

    def stands_still() -> bool:
        looks.append(plots(page))
        return len(looks[-1]) == 1 and looks[-1] == looks[-2]

    wait_until(stands_still, "the plot is drawn")
    (plot,) = looks[-1]
    corners = [(0.35, 0.35), (0.65, 0.35), (0.65, 0.65), (0.35, 0.65), (0.35, 0.36)]
    points = [(plot["x"] + plot["width"] * right, plot["y"] + plot["height"] * down) for right, down in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return twelve images of which three labels are flagged, as `find_label_issues` writes it."""
    dataset = fo.Dataset("judged")
    dataset.add_samples(
        fo.Sample(
            filepath=str(write_image(tmp_path / f"{row}.png")),
            media_type="image",
            ground_truth=fo.Classification(label="cat" if row < 6 else "dog"),
        )
        for row in range(12)
    )
    quality = [0.02, 0.01, 0.3, *[0.99] * 9]
    save_label_issues(dataset, dataset.values("id"), quality, ["dog", "dog", "dog"], [0.98, 0.99, 0.6])
    save_issue_view(dataset, LABEL_ISSUES_VIEW, flag_field="label_issue", score_field="label_quality")
    yield dataset
    dataset.delete()


def test_sure_suggestions_are_accepted_and_taken_back(
    page: Page, app: tuple[str, psutil.Process], judged: fo.Dataset, tmp_path: Path
) -> None:
    shown, url = page.locator("[data-cy=entry-counts]"), f"{app[0].rsplit('/', 1)[0]}/{judged.name}"
    page.goto(f"{url}?view=winnow-label-issues")
    expect(shown).to_contain_text("3 samples", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "label issues.png")

    open_operator(page, "Winnow: review label issues")
    expect(page.get_by_text("Changes 2 labels: 2 cat → dog.")).to_be_visible(timeout=PATIENCE_MS)
    button = page.get_by_role("button", name="Decide", exact=True)
    expect(button).to_be_disabled()  # until it is confirmed
    page.get_by_role("checkbox").last.click()
    page.screenshot(path=tmp_path / "form.png")
    button.click()
    expect(page.get_by_text("Changed 2 labels")).to_be_visible(timeout=PATIENCE_MS)
    expect(shown).to_contain_text("1 sample", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "decided.png")
    assert judged.count_values("ground_truth.label") == {"cat": 4, "dog": 8}

    page.get_by_role("button", name="Undo", exact=True).click()
    expect(shown).to_contain_text("3 samples", timeout=PATIENCE_MS)
    assert judged.count_values("ground_truth.label") == {"cat": 6, "dog": 6}


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return twelve images with two duplicate groups, of three and of two, as `find_duplicates` writes them."""
    dataset = fo.Dataset("copied")
    dataset.add_samples(
        fo.Sample(
            filepath=str(write_image(tmp_path / f"{row}.png")),
            media_type="image",
            ground_truth=fo.Classification(label="even" if row % 2 == 0 else "odd"),
        )
        for row in range(12)
    )
    ids = dataset.values("id")[:5]
    write_values(dataset, "duplicate_group", ids, [0, 0, 0, 1, 1], kind="int")
    write_values(dataset, "duplicate_score", ids, [0.9, 0.9, 0.8, 0.97, 0.97], kind="float")
    write_values(dataset, "duplicate_role", ids, ["keeper", "copy", "copy", "keeper", "copy"], kind="str")
    save_group_view(
        dataset,
        DUPLICATES_VIEW,
        group_field="duplicate_group",
        score_field="duplicate_score",
        role_field="duplicate_role",
        roles=("keeper", "copy"),
    )
    yield dataset
    dataset.delete()


def test_copies_are_reviewed_deleted_and_brought_back(
    page: Page, app: tuple[str, psutil.Process], copied: fo.Dataset, tmp_path: Path
) -> None:
    shown, url = page.locator("[data-cy=entry-counts]"), f"{app[0].rsplit('/', 1)[0]}/{copied.name}"
    page.goto(url)
    expect(shown).to_contain_text("12 samples", timeout=PATIENCE_MS)

    open_operator(page, "Winnow: delete samples")
    expect(page.get_by_text("Deletes 3 samples of 2 groups")).to_be_visible(timeout=PATIENCE_MS)
    button = page.get_by_role("button", name="Delete", exact=True)
    expect(button).to_be_disabled()  # until it is confirmed
    page.get_by_role("checkbox").last.click()
    button.click()
    expect(page.get_by_text("Deleted 3 samples")).to_be_visible(timeout=PATIENCE_MS)
    expect(shown).to_contain_text("9 samples", timeout=PATIENCE_MS)

    undo = page.get_by_role("button", name="Undo", exact=True)
    undo.click()
    expect(shown).to_contain_text("12 samples", timeout=PATIENCE_MS)
    undo.click()
    expect(page.get_by_text("was undone already")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "undone.png")

    page.goto(f"{url}?view=winnow-duplicates")
    expect(shown).to_contain_text("2 groups", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "groups.png")


@pytest.fixture
def reported(demo: fo.Dataset) -> Iterator[fo.Dataset]:
    """Return the demo's dataset with a report on its labels: 4 dresses are labelled bag, 2 shirts coat."""
    label_reports.save_report(demo, {("bag", "dress"): 4, ("coat", "shirt"): 2})
    yield demo
    delete_run(demo, "winnow_label_issues")


def test_click_into_the_label_report_narrows_the_grid(reported: fo.Dataset, page: Page, tmp_path: Path) -> None:
    classes, shown = reported.distinct("ground_truth.label"), page.locator("[data-cy=entry-counts]")
    dismiss_advertisements(page)

    page.locator("[data-cy=new-panel-btn]").click()
    page.get_by_text("Winnow: label report", exact=True).last.click()
    expect(page.get_by_text("6 expected to be wrong in all")).to_be_visible(timeout=PATIENCE_MS)
    matrix = page.locator(".js-plotly-plot .nsewdrag").first
    wait_until(lambda: (matrix.bounding_box() or {"width": 0})["width"] > 200, "the matrix is drawn")
    box = matrix.bounding_box()
    right, down = ((classes.index(name) + 0.5) / len(classes) for name in ("dress", "bag"))
    page.mouse.click(box["x"] + box["width"] * right, box["y"] + box["height"] * down)
    expect(shown).to_contain_text("4 samples", timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "cell.png")

    page.get_by_role("cell", name="shirt", exact=True).click()
    expect(shown).to_contain_text("2 samples", timeout=PATIENCE_MS)
