"""The review panel in a real browser: what is decided from the keyboard stands in the database."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests import test_browser
from tests.conftest import save_label_issues, write_image
from tests.label_sets import make_judged
from tests.patch_labels import judge_patches
from tests.test_browser import CHROMIUM, FLAGS, PATIENCE_MS, answers, dismiss_advertisements, wait_until
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.workflows.actions import list_actions
from winnow.plugin.workflows.findings import LEAKS_RUN
from winnow.plugin.workflows.install import install
from winnow.plugin.workflows.leaks import LeakParams

pytestmark = test_browser.pytestmark
FLAGGED = 14


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """Run the App's server, which needs no worker here; yield its address."""
    install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fiftyone.server.main", "--port", str(port), "--address", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), "the App answers")
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def flagged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return twenty cats and dogs and a fox, of which the first 14 cats are flagged: they should be dogs."""
    dataset = fo.Dataset("flagged")
    labels = ["cat"] * FLAGGED + ["dog"] * 5 + ["fox"]
    dataset.add_samples(
        fo.Sample(
            filepath=str(write_image(tmp_path / f"{row}.png")),
            media_type="image",
            ground_truth=fo.Classification(label=label),
        )
        for row, label in enumerate(labels)
    )
    quality = [(row + 1) / 100 for row in range(len(labels))]
    save_label_issues(dataset, dataset.values("id"), quality, ["dog"] * FLAGGED, [0.9] * FLAGGED)
    yield dataset
    dataset.delete()


@pytest.fixture
def opened(app: str, browser: Browser) -> Iterator[Callable[..., tuple[Page, Locator]]]:
    """Return what opens the panel in a browser of its own, and returns the page and the panel."""
    contexts = []

    def open_panel(dataset: fo.Dataset, reviewer: str = "ada") -> tuple[Page, Locator]:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{app}/datasets/{dataset.name}")
        panel = started(page)
        panel.get_by_role("textbox").fill(reviewer)
        panel.get_by_role("textbox").press("Enter")
        return page, panel

    yield open_panel
    for context in contexts:
        context.close()


def started(page: Page) -> Locator:
    """Open the panel, unless the App has opened it again itself; return it once it says what waits."""
    dismiss_advertisements(page)
    adding = page.locator("[data-cy=new-panel-btn]").first
    expect(adding).to_be_visible(timeout=PATIENCE_MS)
    if not page.get_by_role("button", name="Winnow: review").count():
        adding.click()
        page.get_by_text("Winnow: review", exact=True).last.click()
    panel = page.locator(".winnow")
    expect(panel.get_by_text("waiting").first).to_be_visible(timeout=PATIENCE_MS)
    return panel


def open_queue(page: Page, panel: Locator, kind: str) -> None:
    panel.locator(f"[data-cy=queue-{kind}]").get_by_role("button").first.click()
    expect(panel.locator("[data-key]")).to_be_visible(timeout=PATIENCE_MS)


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def expect_saved(panel: Locator) -> None:
    expect(panel).to_have_attribute("data-saved", "all", timeout=PATIENCE_MS)


def decided(dataset: fo.Dataset) -> list[tuple[str, str | None, str | None]]:
    """Return the label, the decision and who decided of each sample."""
    dataset.reload()
    values = dataset.values(["ground_truth.label", "ground_truth.decision", "ground_truth.decided_by"])
    return list(zip(*values, strict=True))


def test_ten_labels_are_decided_from_the_keyboard_one_is_undone_and_a_reload_goes_on(
    flagged: fo.Dataset, opened: Callable[..., tuple[Page, Locator]], tmp_path: Path
) -> None:
    page, panel = opened(flagged)

    open_queue(page, panel, "labels")
    press(page, "a Enter a a k k u 3 / f Enter a")
    page.screenshot(path=tmp_path / "labels.png")
    press(page, "z")
    expect_saved(panel)

    labels = decided(flagged)
    assert [label for label, _, _ in labels[:10]] == ["dog"] * 4 + ["cat"] * 3 + ["fox"] * 2 + ["cat"]
    assert Counter(by for _, _, by in labels[:FLAGGED]) == {"ada": 9, None: 5}
    assert [decision for _, decision, _ in labels[4:10]] == ["kept", "kept", "unsure", "corrected", "corrected", None]
    assert len(list_actions(flagged).actions) == 1  # a review is undone as a whole, too

    page.reload()
    panel = started(page)
    expect(panel.locator("[data-cy=queue-labels]")).to_contain_text("5 waiting", timeout=PATIENCE_MS)
    open_queue(page, panel, "labels")
    expect(panel.locator("[data-key]")).to_have_attribute("data-key", flagged.values("id")[9], timeout=PATIENCE_MS)


def test_a_second_decision_is_about_what_the_first_one_was_about(
    flagged: fo.Dataset, opened: Callable[..., tuple[Page, Locator]]
) -> None:
    page, panel = opened(flagged)
    open_queue(page, panel, "labels")

    press(page, "a k")
    expect_saved(panel)
    press(page, "ArrowLeft ArrowLeft k")  # the first one is kept after all
    expect_saved(panel)
    press(page, "ArrowLeft a")  # and the second one is accepted
    expect_saved(panel)

    assert decided(flagged)[:3] == [("cat", "kept", "ada"), ("dog", "accepted", "ada"), ("cat", None, None)]


@pytest.fixture
def judged_sets(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return images with several labels, see `make_judged`."""
    dataset = make_judged(tmp_path)
    yield dataset
    dataset.delete()


def test_changes_of_images_with_several_labels_are_made_from_the_keyboard(
    judged_sets: fo.Dataset, opened: Callable[..., tuple[Page, Locator]], tmp_path: Path
) -> None:
    page, panel = opened(judged_sets)

    open_queue(page, panel, "labels")
    press(page, "Enter 2 / o")  # the first one as it is suggested; of the second dog stays, and an "o..." comes
    expect(panel.get_by_role("dialog")).to_contain_text("fox", timeout=PATIENCE_MS)
    press(page, "Escape")
    page.screenshot(path=tmp_path / "changes.png")
    press(page, "Enter u")
    page.screenshot(path=tmp_path / "decided.png")
    expect_saved(panel)
    expect(panel.get_by_text("Everything here is decided")).to_be_visible(timeout=PATIENCE_MS)

    judged_sets.reload()
    names = [sorted(found or ()) for found in judged_sets.values("things.classifications.label")]
    assert names[:3] == [["cat", "dog", "fox"], ["cat"], ["fox"]]
    decisions = [[each["decision"] for each in found] for found in judged_sets.values("things.decisions")[:3]]
    assert decisions == [["kept", "accepted"], ["accepted"], ["unsure"]]


def test_labels_of_detections_are_decided_from_the_keyboard(
    opened: Callable[..., tuple[Page, Locator]], tmp_path: Path
) -> None:
    paths = [str(write_image(tmp_path / f"{name}.png", 64)) for name in "ab"]
    dataset = judge_patches(fo.Dataset("boxes"), paths, box=(0.5, 0.25, 0.25, 0.5))
    try:
        page, panel = opened(dataset)

        open_queue(page, panel, "patches")
        expect(panel.locator("[data-key] svg rect")).to_be_visible(timeout=PATIENCE_MS)
        page.screenshot(path=tmp_path / "detection.png")
        press(page, "a 1 u")  # dog, cat, and unsure
        expect_saved(panel)
        expect(panel.get_by_text("Everything here is decided")).to_be_visible(timeout=PATIENCE_MS)

        dataset.reload()
        assert dataset.values("objects.detections.label", unwind=True) == ["dog", "cat", "cat", "dog", "fox"]
        decisions = ["accepted", None, "corrected", "unsure", None]
        assert dataset.values("objects.detections.decision", unwind=True) == decisions
    finally:
        dataset.delete()


def test_label_of_a_selection_is_set_at_once(
    flagged: fo.Dataset, opened: Callable[..., tuple[Page, Locator]], tmp_path: Path
) -> None:
    page, panel = opened(flagged)

    open_queue(page, panel, "labels")
    press(page, "g")
    expect(panel.locator("[data-columns]")).to_be_visible(timeout=PATIENCE_MS)
    press(page, "Shift+ArrowRight Shift+ArrowRight ArrowRight ArrowRight x")
    page.screenshot(path=tmp_path / "grid.png")
    press(page, "3")
    expect_saved(panel)

    labels = [label for label, _, _ in decided(flagged)]
    assert labels[:6] == ["fox", "fox", "fox", "cat", "fox", "cat"]


def test_decisions_outlive_a_server_that_is_away_and_a_reload(
    flagged: fo.Dataset, opened: Callable[..., tuple[Page, Locator]]
) -> None:
    page, panel = opened(flagged)
    open_queue(page, panel, "labels")

    page.route("**/operators/**", lambda route: route.abort())
    press(page, "a a")
    expect(panel.locator("[data-cy=unsaved]")).to_contain_text("2 not saved", timeout=PATIENCE_MS)
    assert [by for _, _, by in decided(flagged)] == [None] * len(flagged)
    page.unroute("**/operators/**")
    page.reload()
    panel = started(page)
    expect_saved(panel)

    assert [label for label, _, by in decided(flagged) if by == "ada"] == ["dog", "dog"]


@pytest.fixture
def leaking(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return eight images of which two of the training split are in the test split too, as `find_leaks` writes it."""
    dataset = fo.Dataset("leaking")
    dataset.add_samples(
        fo.Sample(
            filepath=str(write_image(tmp_path / f"{row}.png", size=64)),
            media_type="image",
            split="test" if row < 4 else "train",
            ground_truth=fo.Classification(label="cat"),
        )
        for row in range(8)
    )
    ids = dataset.values("id")
    pairs, scores = [(ids[0], ids[4]), (ids[1], ids[5])], [0.99, 0.9]
    leaked = [key for pair in pairs for key in pair]
    write_values(dataset, "leak_group", leaked, [0, 0, 1, 1], kind="int")
    write_values(dataset, "leak_score", leaked, np.repeat(scores, 2).tolist(), kind="float")
    save_run(
        dataset,
        LEAKS_RUN,
        method="find_leaks",
        params=asdict(LeakParams()),
        fields=["leak_group", "leak_score"],
        summary={},
        results={"pairs": pairs, "scores": scores, "kinds": ["near-duplicate"] * 2},
    )
    yield dataset
    dataset.delete()


def test_leak_is_judged_and_moved_to_another_split_after_confirmation(
    leaking: fo.Dataset, opened: Callable[..., tuple[Page, Locator]], tmp_path: Path
) -> None:
    page, panel = opened(leaking)

    open_queue(page, panel, "leaks")
    expect(panel.locator("[data-mark]")).to_have_count(2, timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "leaks.png")
    press(page, "Enter d")
    expect_saved(panel)
    expect(panel.get_by_text("Everything here is decided")).to_be_visible(timeout=PATIENCE_MS)
    press(page, "d p")  # nothing is open to decide about any more
    panel.get_by_label("Move them to a split").check()
    panel.get_by_label("Split", exact=True).select_option("test")
    expect(panel.locator("[data-cy=plan]")).to_contain_text("1 image", timeout=PATIENCE_MS)
    expect(panel.get_by_role("button", name="Apply", exact=True)).to_be_disabled()  # until it is confirmed
    panel.get_by_label("Yes, do this").check()
    page.screenshot(path=tmp_path / "apply.png")
    panel.get_by_role("button", name="Apply", exact=True).click()
    expect(panel.locator("[data-cy=applied]")).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.locator("[data-cy=applied]")).not_to_contain_text("*")  # a sentence, not markdown
    press(page, "Escape")  # the keys still work, though the button that was clicked is gone
    expect(panel).not_to_have_attribute("data-screen", "apply")

    leaking.reload()
    assert leaking.values("split") == ["test"] * 5 + ["train"] * 3
    assert leaking.values("leak_review.label")[:2] == ["keep", "apart"]


def test_what_another_reviewer_decided_meanwhile_is_kept_and_told(
    flagged: fo.Dataset, opened: Callable[..., tuple[Page, Locator]]
) -> None:
    page, panel = opened(flagged, "ada")
    others, others_panel = opened(flagged, "bea")
    open_queue(page, panel, "labels")
    open_queue(others, others_panel, "labels")

    press(page, "k")
    expect_saved(panel)
    press(others, "a a")
    expect_saved(others_panel)

    assert decided(flagged)[:2] == [("cat", "kept", "ada"), ("dog", "accepted", "bea")]
    others_panel.get_by_text("1 not taken by the server").click()
    expect(others_panel.get_by_text("ada decided 'keep'")).to_be_visible(timeout=PATIENCE_MS)
