"""Take the README's pictures of the App: `python docs/take_screenshots.py DATASET FOLDER`.

DATASET is one that `winnow curate` or `winnow demo` has worked on; needs Chromium and playwright.

    app.png   the flagged labels, worst first, with the suggested labels beside them
    form.png  the form of an operator
"""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import fiftyone as fo
from playwright.sync_api import Page, sync_playwright

from winnow.plugin.workflows.install import install

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
SETTLE_MS = 3_000


def main(dataset_name: str, folder: Path) -> None:
    """Open the App on the dataset's label issues and write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    install()
    dataset = fo.load_dataset(dataset_name)
    flagged = dataset.match(fo.ViewField("label_issue") == True).sort_by("label_quality")  # noqa: E712
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = fo.launch_app(flagged, remote=True, address="127.0.0.1", port=port)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
            page = browser.new_page(viewport={"width": 1400, "height": 860})
            page.goto(f"http://127.0.0.1:{port}/datasets/{dataset_name}")
            take(page, folder)
            browser.close()
    finally:
        session.close()


def take(page: Page, folder: Path) -> None:
    """Write the pictures of a page that shows the dataset."""
    page.get_by_text("label_issue").first.wait_for(timeout=60_000)
    dismiss = page.get_by_text("Dismiss", exact=True)
    if dismiss.count():
        dismiss.click()
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=folder / "app.png")

    page.keyboard.press("`")
    page.get_by_placeholder("Search operations").fill("Winnow")
    page.get_by_text("Winnow: find label issues", exact=True).last.click()
    page.get_by_role("button", name="Cancel", exact=True).wait_for()
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=folder / "form.png")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
