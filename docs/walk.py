"""Walk through the demo in the App, as a person would, and take the documents' pictures: `make walk`.

On a dataset of its own, in headless Chromium, with a real Label Studio (`make label-studio`): a leak is found and moved
to the other split, ten labels are decided from the keyboard and one is taken back, a classifier is trained and compared
with another one, labels that somebody is unsure about go to Label Studio, and come back from there. Each step is
checked by what is in the database afterwards. Takes about ten minutes on two cores.

    python -m docs.walk FOLDER    where the pictures go: NAME.png in the light theme, NAME-dark.png in the dark one
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.isolation import isolate

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Browser, Locator, Page, ViewportSize

    from winnow.plugin.labeling.client import LabelStudioClient


ROOT = Path(__file__).parents[1]
LABEL_STUDIO = ROOT / ".label-studio" / "bin" / "label-studio"
SIZE: ViewportSize = {"width": 1400, "height": 900}
SETTLE_MS = 4_000
PATIENCE_MS, LONG_MS = 60_000, 900_000  # for a screen, and for a job
ANSWERS = 80
MOSAICS = 800
WRONG = 0.05  # share of the mosaics' labels
PANELS = {  # name of the picture -> what the panel is called in the code, and in the App
    "menu": ("menu", "Winnow: menu"),
    "dataset-health": ("dataset_health", "Winnow: dataset health"),
    "label-report": ("label_report", "Winnow: label report"),
    "classifiers": ("classifiers", "Winnow: classifiers"),
    "health-panel": ("model_health", "Winnow: model health"),
    "active-learning": ("loop", "Winnow: active learning"),
}


class Walk:
    """Somebody at the App, who looks at one dataset.

    Args:
        browser: A page of its own is opened in it.
        url: The App's.
        dataset: What the App shows.
        pictures: The folder for pictures.
        theme: "light" or "dark"; what the name of a picture ends on.
        query: Of the App's address, such as "?view=name".
    """

    def __init__(
        self, browser: Browser, url: str, dataset: fo.Dataset, pictures: Path, theme: str = "dark", query: str = ""
    ) -> None:
        from tests.test_browser import dismiss_advertisements

        self.dataset, self._pictures, self._theme = dataset, pictures, theme
        self.page: Page = browser.new_context(viewport=SIZE).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.goto(f"{url}/datasets/{dataset.name}{query}")
        dismiss_advertisements(self.page)
        self.page.get_by_text("FILTER", exact=True).wait_for()
        if theme == "light":
            self.page.get_by_title("Light mode").click()

    def picture(self, name: str) -> None:
        """Take a picture once nothing moves any more."""
        self.page.wait_for_timeout(SETTLE_MS)
        advertisement = self.page.get_by_text("Dismiss", exact=True).first
        if advertisement.is_visible():  # a picture is no action, before which it would be clicked away
            advertisement.dispatch_event("click")
            self.page.wait_for_timeout(SETTLE_MS)
        self.page.screenshot(path=self._pictures / f"{name}{'' if self._theme == 'light' else '-dark'}.png")

    def open_panel(self, label: str) -> None:
        """Open a panel beside the samples."""
        self.page.locator("[data-cy=new-panel-btn]").first.click()
        self.page.get_by_text(label, exact=True).last.click()

    def close_panel(self, name: str) -> None:
        """Close a panel, which the App would open again for the next one who comes."""
        tab = self.page.locator(f"[data-cy=panel-tab-{name}]")
        tab.locator("svg").last.click()
        tab.wait_for(state="detached")

    def open_form(self, label: str) -> Locator:
        """Open an operator's form for the whole dataset."""
        from tests.test_browser import open_operator

        open_operator(self.page, label)
        form = self.page.get_by_role("dialog").last
        whole = form.get_by_text("Entire dataset", exact=True)
        if whole.count():
            whole.click()
        return form

    def execute(self) -> str:
        """Submit the form, and return what the operator says at its end."""
        from tests.test_browser import choose

        choose(self.page, "Execute")
        dialog = self.page.get_by_role("dialog").last
        dialog.get_by_role("progressbar").wait_for(state="detached", timeout=LONG_MS)
        dialog.get_by_role("button", name="Done", exact=True).wait_for()
        self.page.wait_for_timeout(SETTLE_MS)
        return dialog.inner_text()

    def done(self) -> None:
        """Leave what an operator says."""
        self.page.get_by_role("button", name="Done", exact=True).click()

    def close(self) -> None:
        """Close the browser's window."""
        self.page.context.close()


def main(pictures: Path) -> None:
    """Make the world, walk through it, and take the pictures."""
    if not LABEL_STUDIO.is_file():
        sys.exit("Label Studio is missing: `make label-studio` first.")
    home = isolate()
    pictures.mkdir(parents=True, exist_ok=True)

    from playwright.sync_api import Error, sync_playwright

    from tests.label_studio.server import running_label_studio
    from tests.test_browser import CHROMIUM, FLAGS
    from winnow.plugin.labeling.client import LabelStudioClient
    from winnow.plugin.workflows.demo import DemoParams, run_demo

    (home / "studio").mkdir()
    with running_label_studio(LABEL_STUDIO, home / "studio") as studio:
        import fiftyone as fo

        root = studio.images.parent
        secrets = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.token}
        os.environ |= {**secrets, "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(root)}
        say("the demo, with a probe")
        made = run_demo(DemoParams(folder=studio.images / "garments", preset="probe"))
        dataset = fo.load_dataset(made.dataset_name)
        with app() as url, sync_playwright() as playwright, LabelStudioClient(studio.url, studio.token) as client:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
            walk = Walk(browser, url, dataset, pictures)
            try:
                move_a_leak(walk)
                decide_labels(walk)
                send_and_bring_back(walk, client)
                train_and_compare(walk)
                walk.close_panel("review")
            except Error:
                walk.picture("stuck")
                raise
            walk.close()
            put_to_work(dataset, client)
            learning, several = loop(dataset), mosaics(home)
            for theme in ("light", "dark"):
                look_at_panels(browser, url, dataset, learning, pictures, theme)
                look_at_reviews(browser, url, several, pictures, theme)
            browser.close()


def move_a_leak(walk: Walk) -> None:
    """Decide about the first leak and move it to the test split."""
    from tests.test_review_in_the_browser import expect_saved, open_queue, press, started

    say("a leak is moved")
    panel = started(walk.page)
    panel.get_by_role("textbox").fill("ada")
    panel.get_by_role("textbox").press("Enter")
    before = walk.dataset.count_values("split")
    open_queue(walk.page, panel, "leaks")
    walk.picture("review-leaks")
    press(walk.page, "Enter")
    expect_saved(panel)
    press(walk.page, "p")
    panel.get_by_label("Move them to a split").check()
    panel.get_by_label("Split", exact=True).select_option("test")
    panel.locator("[data-cy=plan]").get_by_text("1 image").wait_for()
    panel.get_by_label("Yes, do this").check()
    walk.picture("review-apply-leak")
    panel.get_by_role("button", name="Apply", exact=True).click()
    panel.locator("[data-cy=applied]").wait_for()
    walk.dataset.reload()
    after = walk.dataset.count_values("split")
    check(after["test"] == before["test"] + 1, f"one image more is in the test split: {before}, {after}")
    press(walk.page, "Escape Escape")


def decide_labels(walk: Walk) -> None:
    """Decide about ten labels from the keyboard, and take one back."""
    from tests.test_review_in_the_browser import decided, expect_saved, open_queue, press

    say("ten labels are decided")
    panel = walk.page.locator(".winnow")
    open_queue(walk.page, panel, "labels")
    press(walk.page, "a a a a k k u u /")
    walk.page.keyboard.type("coat")
    press(walk.page, "Enter a")
    expect_saved(panel)
    press(walk.page, "z")
    expect_saved(panel)
    by_ada = [decision for _, decision, by in decided(walk.dataset) if by == "ada"]
    check(len(by_ada) == 9, f"nine of ten decisions stand: {by_ada}")
    press(walk.page, "Escape")
    walk.picture("review-unsure")


def send_and_bring_back(walk: Walk, client: LabelStudioClient) -> None:
    """Send the unsure labels to Label Studio, have somebody answer there, and bring the answers back."""
    say("unsure labels go to Label Studio and come back")
    walk.page.get_by_role("button", name=re.compile("unsure label")).click()
    form = walk.page.get_by_role("dialog").last
    form.get_by_text("Only labels that somebody is unsure about", exact=True).first.scroll_into_view_if_needed()
    walk.picture("send-form")
    walk.execute()
    walk.done()
    tasks = answer(client, walk.dataset, lambda sample: "sandal")
    check(len(tasks) == 2, f"two tasks are in Label Studio: {len(tasks)}")
    walk.open_form("Winnow: bring labels back from Label Studio")
    walk.execute()
    walk.done()
    walk.dataset.reload()
    labels = {walk.dataset[key].ground_truth.label for key in tasks}
    check(labels == {"sandal"}, f"both answers are in the dataset: {labels}")


def train_and_compare(walk: Walk) -> None:
    """Fine-tune a classifier, write its predictions beside those of the demo's probe, and compare the two."""
    say("a classifier is trained and compared")
    form = walk.open_form("Winnow: train a classifier")
    box(form, "Name").fill("fine-tuned")
    walk.picture("train-form")
    told = walk.execute()
    check("fine-tuned" in told, told)
    walk.done()
    form = walk.open_form("Winnow: apply a classifier")
    box(form, "Field for the predictions").fill("fine_tuned")
    walk.execute()
    walk.done()
    check(walk.dataset.exists("fine_tuned").count() > 3_000, "the predictions are in the dataset")
    walk.open_form("Winnow: compare predictions")
    walk.execute()
    walk.picture("comparison")
    walk.done()


def put_to_work(dataset: fo.Dataset, client: LabelStudioClient) -> None:
    """Have annotators answer what the new classifier says of images, and look for drift."""
    import winnow

    say("annotators answer predictions")
    shown = dataset.match({"split": "test"}).exists("fine_tuned").take(ANSWERS, seed=0)
    winnow.send_to_label_studio(shown, winnow.SendParams(prediction_field="fine_tuned", new_project=True), client)
    answer(client, dataset, lambda sample: str(sample.ground_truth.label))
    winnow.pull_from_label_studio(dataset, winnow.PullParams(), client)
    winnow.check_drift_of(dataset.match({"split": "test"}), winnow.DriftParams(classifier="fine-tuned"))


def answer(client: LabelStudioClient, dataset: fo.Dataset, right: Callable[[fo.Sample], str]) -> list[str]:
    """Annotate the tasks of the last batch, and return the samples that they are about."""
    from winnow.plugin.datasets.labeling_batches import list_batches
    from winnow.plugin.labeling.task_identity import SAMPLE

    tasks = list(client.tasks(list_batches(dataset)[-1].project_id))
    for task in tasks:
        choices = {"choices": [right(dataset[task["data"][SAMPLE]])]}
        result = {"from_name": "label", "to_name": "image", "type": "choices", "value": choices}
        made = {"result": [result]}
        if task["predictions"]:
            made["parent_prediction"] = task["predictions"][0]["id"]
        client.call("POST", f"/api/tasks/{task['id']}/annotations/", json=made)
    return [task["data"][SAMPLE] for task in tasks]


def loop(dataset: fo.Dataset) -> fo.Dataset:
    """Return images whose labels a loop asked for, one round after the other."""
    import winnow

    say("an active-learning loop of four rounds")
    made = dataset.match({"split": "train"}).take(600, seed=0).clone("to label", persistent=True)
    truth = dict(zip(*made.values(["id", "ground_truth"]), strict=True))
    keep = ("id", "filepath", "metadata", "tags", "created_at", "last_modified_at")
    made.delete_sample_fields([name for name in made.get_field_schema() if name not in keep])
    changes = winnow.LoopChanges(classes=tuple(dataset.distinct("ground_truth.label")), evaluation_images=100)
    winnow.run_loop(made, winnow.LoopParams("start", changes=changes))
    for _ in range(4):
        for view in (name for name in made.list_saved_views() if name.startswith("loop: label")):
            asked = made.load_saved_view(view).values("id")
            made.set_values("ground_truth", {key: truth[key] for key in asked}, key_field="id")
        winnow.run_loop(made, winnow.LoopParams("next"))
    return made


def mosaics(home: Path) -> fo.Dataset:
    """Return images of four garments each, labelled as a whole and one by one, with wrong labels found in both."""
    import fiftyone as fo
    import numpy as np

    import winnow
    from benchmarks.label_cells import fashion_images, mosaic, saved
    from winnow.plugin.workflows.planting import SHEETS

    say("garments four by four, with a label each and all of them together")
    names = sorted(path.stem for path in (SHEETS / "train").glob("*.png"))
    garments, classes = fashion_images()
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(garments), (MOSAICS, 4))
    one_by_one = np.where(rng.random(chosen.shape) < WRONG, rng.integers(0, len(names), chosen.shape), classes[chosen])
    present = np.zeros((MOSAICS, len(names)), bool)
    np.put_along_axis(present, classes[chosen], True, axis=1)
    present ^= rng.random(present.shape) < WRONG / 4
    corners = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)]
    paths = saved(mosaic(garments, chosen), home / "mosaics")
    made = fo.Dataset("four garments", persistent=True)
    made.add_samples(
        fo.Sample(
            filepath=path,
            garments=fo.Detections(
                detections=[
                    fo.Detection(label=names[one], bounding_box=[*corner, 0.5, 0.5])
                    for one, corner in zip(own, corners, strict=True)
                ]
            ),
            worn=fo.Classifications(
                classifications=[fo.Classification(label=names[one]) for one in np.flatnonzero(together)]
            ),
        )
        for path, own, together in zip(paths, one_by_one.tolist(), present, strict=True)
    )
    made.classes = {"worn": names, "garments": names}
    made.save()
    winnow.find_label_issues(made, winnow.LabelIssueParams(label_field="worn"))
    winnow.find_label_issues(made, winnow.LabelIssueParams(patches_field="garments"))
    return made


def look_at_reviews(browser: Browser, url: str, several: fo.Dataset, pictures: Path, theme: str) -> None:
    """Take pictures of the reviews of several labels an image and of detections, in one theme."""
    from tests.test_review_in_the_browser import open_queue, started

    walk = Walk(browser, url, several, pictures, theme)
    panel = started(walk.page)
    for kind in ("labels", "patches"):
        open_queue(walk.page, panel, kind)
        walk.picture(f"review-{'several' if kind == 'labels' else 'detections'}")
        walk.page.keyboard.press("Escape")
    walk.close_panel("review")
    walk.close()


def look_at_panels(
    browser: Browser, url: str, dataset: fo.Dataset, learning: fo.Dataset, pictures: Path, theme: str
) -> None:
    """Take pictures of the samples, of a form and of each panel in one theme."""
    say(f"panels in the {theme} theme")
    walk = Walk(browser, url, dataset, pictures, theme, "?view=winnow-label-issues")
    walk.picture("app")
    walk.open_form("Winnow: find label issues")
    walk.picture("form")
    walk.close()
    for picture, (name, label) in PANELS.items():
        walk = Walk(browser, url, learning if name == "loop" else dataset, pictures, theme)
        walk.open_panel(label)
        walk.picture(picture)
        walk.close_panel(name)
        walk.close()


@contextmanager
def app() -> Iterator[str]:
    """Run `winnow app`; yield its address."""
    from tests.test_browser import answers, wait_until

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f"from winnow.plugin.workflows.app import run_app; run_app(port={port}, remote=True)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/datasets"), "the App answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def box(form: Locator, label: str) -> Locator:
    """Return the text box below a label."""
    return form.get_by_text(label, exact=True).first.locator("xpath=following::input[not(@type='radio')][1]")


def check(holds: bool, what: str) -> None:
    """End the walk where something is not as it should be."""
    if not holds:
        sys.exit(f"The walk went wrong. Wanted: {what}")


def say(text: str) -> None:
    """Tell how far the walk is."""
    print(text, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
