"""Winnow: classifiers, a panel: what was trained, how training goes, how classifiers compare, which one is in use."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from .panel_style import COLUMN, PLOT_CONFIG, add_reload, add_table, rows_name

if TYPE_CHECKING:
    from ..plugin.workflows.classifier_comparison import ClassifierComparison
    from ..plugin.workflows.classifiers import ClassifierEntry
    from ..plugin.workflows.measured_classifiers import Measured

_JOB = "train_classifier"
_EVERY = 5_000  # milliseconds between two looks at a training that is going on
_COLUMNS = {"name": "Classifier", "state": "", "score": "Validation", "kept": "Kept", "trained": "Trained"}
_SCORES = {
    "name": "Classifier",
    "validation": "Validation",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "calibration_error": "Calibration error",
    "on": "Images",
}
_CONFUSIONS = {"label": "Label", "prediction": "Predicted", "images": "Images"}
_MOST_CONFUSIONS = 10


class ClassifiersPanel(foo.Panel):
    """Lists a dataset's classifiers; a click on one shows its curves and what can be done with it."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="classifiers",
            label="Winnow: classifiers",
            icon="leaderboard",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="The classifiers that were trained on this dataset, running ones included. Click a row for "
            "its curves; those of a training that is going on are drawn live. Choose others to compare it with.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        ctx.panel.set_state("chosen", None)
        ctx.panel.set_state("others", [])
        self._fill(ctx)

    def reload(self, ctx: Any) -> None:
        """Read everything again."""
        self._fill(ctx)

    def on_row(self, ctx: Any) -> None:
        """Choose the classifier of a row."""
        entries = _entries(ctx)
        row = int(ctx.params["row"])
        if row < len(entries):
            ctx.panel.set_state("chosen", str(entries[row].folder))
            self._fill(ctx)

    def choose_others(self, ctx: Any) -> None:
        """Choose what the classifier is compared with."""
        ctx.panel.set_state("others", list(ctx.params.get("value") or []))
        self._fill(ctx)

    def on_confusion(self, ctx: Any) -> None:
        """Show the samples of a label that are predicted as another class."""
        from ..plugin.workflows.measured_classifiers import confused_samples

        measured = _compared(ctx, _entries(ctx)).measured[0]
        if measured is not None:
            label, prediction, _ = measured.confusions[int(ctx.params["row"])]
            found = confused_samples(ctx.dataset, measured, label, prediction)
            if found is not None and found.count():
                ctx.ops.set_view(found)
                return
        ctx.ops.notify("The predictions have changed since they were evaluated. Evaluate them again.", variant="info")

    def promote(self, ctx: Any) -> None:
        """Make the chosen classifier the one in use."""
        from ..plugin.workflows.classifiers import promote_classifier

        self._act(ctx, promote_classifier)

    def delete(self, ctx: Any) -> None:
        """Move the chosen classifier to the trash."""
        from ..plugin.workflows.classifiers import delete_classifier

        self._act(ctx, delete_classifier)

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        entries = _entries(ctx)
        if not entries:
            panel.md("**No classifier yet.** Run **Winnow: train a classifier** on this dataset.", name="nothing")
        else:
            add_table(panel, rows_name("entries", entries), _COLUMNS, self.on_row)
            self._draw(panel, entries, _compared(ctx, entries))
            if any(not entry.version for entry in entries):
                panel.view("timer", types.TimerView(interval=_EVERY, on_interval=self.reload))
        panel.btn(
            "train", "Train a classifier", on_click=f"{self.plugin_name}/{_JOB}", prompt=True, icon="model_training"
        )
        add_reload(panel, self.reload)
        return types.Property(panel, view=COLUMN)

    def _draw(self, panel: types.Object, entries: list[ClassifierEntry], found: ClassifierComparison) -> None:
        from . import classifiers_plots as plots

        entry, compared = found.entries[0], len(found.entries) > 1
        state = "still in training, or broken off"
        if entry.version:
            state = f"version `{entry.version}`, {entry.classes} classes, trained on {entry.training_images:,} images"
        panel.md(f"**{entry.name}**, {state}\n\n`{entry.folder}`", name="head")
        if entry.version and not entry.promoted:
            row = panel.h_stack("actions", gap=2)
            row.btn("promote", "Take into use", on_click=self.promote, icon="verified")
            row.btn("delete", "Move to trash", on_click=self.delete, icon="delete", variant="outlined")
        self._offer_others(panel, entries, found)
        if any(each.curves() for each in found.entries):
            panel.plot(_plot(found.entries), layout=plots.curve_layout(len(found.entries)), config=PLOT_CONFIG)
        elif entry.version and not compared:
            panel.md("A linear probe: it has no curves.", name="no_curves")
        if compared or found.measured[0] is not None:
            add_table(panel, _name("scores", found), _SCORES)
        if compared:
            self._draw_comparison(panel, found)
        elif found.measured[0] is not None and found.measured[0].confusions:
            panel.md("**Most confused** (click a row to see the images)", name="confusions_head")
            add_table(panel, _name("confusions", found), _CONFUSIONS, self.on_confusion)

    def _offer_others(self, panel: types.Object, entries: list[ClassifierEntry], found: ClassifierComparison) -> None:
        if len(entries) > 1:
            choices = types.DropdownView(label="Compare with", multiple=True)
            for entry in entries:
                if entry.folder != found.entries[0].folder:
                    choices.add_choice(str(entry.folder), label=entry.name)
            chosen = [str(entry.folder) for entry in found.entries[1:]]
            panel.list("others", types.String(), default=chosen, view=choices, on_change=self.choose_others)

    def _draw_comparison(self, panel: types.Object, found: ClassifierComparison) -> None:
        for number, note in enumerate(found.notes):
            panel.md(note, name=f"note_{number}")
        if found.differences:
            panel.md("**In what they differ**", name="differences_head")
            names = {f"of_{number}": entry.name for number, entry in enumerate(found.entries)}
            add_table(panel, _name("differences", found), {"setting": "Setting", **names})
        if len(found.fields) > 1:
            params = dict(zip(("prediction_field", "other_field"), found.fields, strict=False))
            uri = f"{self.plugin_name}/compare_predictions"
            panel.btn("compare", "Compare predictions", on_click=uri, params=params, prompt=True, icon="compare_arrows")

    def _fill(self, ctx: Any) -> None:
        from . import classifiers_plots as plots

        entries = _entries(ctx)
        if entries:
            found = _compared(ctx, entries)
            ctx.panel.set_data(rows_name("entries", entries), [_row(each) for each in entries])
            ctx.panel.set_data(_plot(found.entries), plots.curve_traces(found.entries))
            ctx.panel.set_data(_name("scores", found), plots.score_rows(found))
            ctx.panel.set_data(_name("differences", found), plots.difference_rows(found))
            ctx.panel.set_data(_name("confusions", found), _confusion_rows(found.measured[0]))

    def _act(self, ctx: Any, action: Any) -> None:
        entry = _compared(ctx, _entries(ctx)).entries[0]
        try:
            done = action(ctx.dataset, str(entry.folder))
        except WinnowError as error:
            ctx.ops.notify(str(error), variant="error")
            return
        ctx.ops.notify(done.text().replace("*", "").replace("`", ""), variant="success")
        self._fill(ctx)


def _entries(ctx: Any) -> list[ClassifierEntry]:
    from ..plugin.workflows.classifiers import list_classifiers

    return [] if ctx.dataset is None else list(list_classifiers(ctx.dataset).entries)


def _compared(ctx: Any, entries: list[ClassifierEntry]) -> ClassifierComparison:
    """Return the classifier that was clicked, else the newest, with those that it is compared with."""
    from ..plugin.workflows.classifier_comparison import compare_classifiers

    folders = [str(entry.folder) for entry in entries]
    asked = ctx.panel.get_state("chosen")
    chosen = asked if asked in folders else folders[0]
    others = [folder for folder in ctx.panel.get_state("others") or [] if folder != chosen]
    return compare_classifiers(ctx.dataset, entries, [chosen, *others])


def _name(what: str, found: ClassifierComparison) -> str:
    """Return a name for the data about these classifiers: what the App has of others must not show through."""
    return f"{what}_{_digest(found.entries)}"


def _plot(entries: Sequence[ClassifierEntry]) -> str:
    return f"curves_{_digest(entries)}"


def _digest(entries: Sequence[ClassifierEntry]) -> str:
    return hashlib.sha256("\n".join(f"{entry.folder} {entry.version}" for entry in entries).encode()).hexdigest()[:8]


def _row(entry: ClassifierEntry) -> dict[str, str]:
    return {
        "state": "in use" if entry.promoted else "" if entry.version else "training",
        "name": entry.name,
        "score": entry.score,
        "kept": entry.kept,
        "trained": entry.trained_at[:16].replace("T", " "),
    }


def _confusion_rows(measured: Measured | None) -> list[dict[str, Any]]:
    worst = () if measured is None else measured.confusions[:_MOST_CONFUSIONS]
    return [{"label": label, "prediction": prediction, "images": images} for label, prediction, images in worst]
