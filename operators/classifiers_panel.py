"""Winnow: classifiers, a panel: what was trained, how training goes, which classifier is in use."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from .panel_style import COLUMN, PLOT_CONFIG

if TYPE_CHECKING:
    from ..plugin.workflows.classifiers import ClassifierEntry

_JOB = "train_classifier"
_EVERY = 5_000  # milliseconds between two looks at a training that is going on
_COLUMNS = {"name": "Classifier", "state": "", "score": "Validation", "kept": "Kept", "trained": "Trained"}
_COLOURS = {"loss": "#9a9a9a", "validation": "#ff6d04"}


class ClassifiersPanel(foo.Panel):
    """Lists a dataset's classifiers; a click on one shows its curves and what can be done with it."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="classifiers",
            label="Winnow: classifiers",
            icon="model_training",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="The classifiers that were trained on this dataset, running ones included. Click a row for "
            "its curves; those of a training that is going on are drawn live.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        ctx.panel.set_state("chosen", None)
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
            table = types.TableView(on_click_row=self.on_row)
            for name, label in _COLUMNS.items():
                table.add_column(name, label=label)
            panel.list(_table(entries), types.Object(), view=table)
            self._draw(panel, _chosen(ctx, entries))
            if any(not entry.version for entry in entries):
                panel.view("timer", types.TimerView(interval=_EVERY, on_interval=self.reload))
        panel.btn("train", "Train", on_click=f"{self.plugin_name}/{_JOB}", prompt=True, icon="model_training")
        panel.btn("reload", "Reload", on_click=self.reload, icon="refresh")
        return types.Property(panel, view=COLUMN)

    def _draw(self, panel: types.Object, entry: ClassifierEntry) -> None:
        state = "still in training, or broken off"
        if entry.version:
            state = f"version `{entry.version}`, {entry.classes} classes, trained on {entry.training_images:,} images"
        panel.md(f"**{entry.name}**, {state}\n\n`{entry.folder}`", name="head")
        if entry.curves():
            layout = {
                "height": 260,
                "margin": {"l": 50, "r": 50, "t": 10, "b": 40},
                "xaxis": {"title": {"text": "epoch"}},
                "yaxis": {"title": {"text": "training loss"}, "rangemode": "tozero"},
                "yaxis2": {"title": {"text": "validation"}, "overlaying": "y", "side": "right", "showgrid": False},
                "legend": {"orientation": "h", "y": 1.15},
            }
            panel.plot(_plot(entry), layout=layout, config=PLOT_CONFIG)
        elif entry.version:
            panel.md("A linear probe: it has no curves.", name="no_curves")
        if entry.version and not entry.promoted:
            panel.btn("promote", "Take into use", on_click=self.promote, icon="verified")
            panel.btn("delete", "Move to trash", on_click=self.delete, icon="delete")

    def _fill(self, ctx: Any) -> None:
        entries = _entries(ctx)
        if entries:
            entry = _chosen(ctx, entries)
            ctx.panel.set_data(_table(entries), [_row(each) for each in entries])
            ctx.panel.set_data(_plot(entry), _traces(entry.curves()))

    def _act(self, ctx: Any, action: Any) -> None:
        entry = _chosen(ctx, _entries(ctx))
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


def _chosen(ctx: Any, entries: list[ClassifierEntry]) -> ClassifierEntry:
    """Return the entry that was clicked, else the newest."""
    asked = ctx.panel.get_state("chosen")
    return next((entry for entry in entries if str(entry.folder) == asked), entries[0])


# The App lays new data over what it had under a name, so that a shorter list would keep the end of a longer one.
def _table(entries: list[ClassifierEntry]) -> str:
    return f"entries_{len(entries)}"


def _plot(entry: ClassifierEntry) -> str:
    return f"curves_{hashlib.sha256(str(entry.folder).encode()).hexdigest()[:8]}"


def _row(entry: ClassifierEntry) -> dict[str, str]:
    return {
        "state": "in use" if entry.promoted else "" if entry.version else "training",
        "name": entry.name,
        "score": entry.score,
        "kept": entry.kept,
        "trained": entry.trained_at[:16].replace("T", " "),
    }


def _traces(points: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Return the training loss, and what was measured on the validation images, over the epochs."""
    traces = [_trace("training loss", points, "loss", _COLOURS["loss"], "y", "lines")]
    measured = dict.fromkeys(name for point in points for name in point if name.startswith("validation_"))
    for name in measured:
        if name != "validation_loss":
            shown = name.removeprefix("validation_").replace("_", " ")
            traces.append(_trace(shown, points, name, _COLOURS["validation"], "y2", "lines+markers"))
    return traces


def _trace(name: str, points: list[dict[str, float]], key: str, colour: str, axis: str, mode: str) -> dict[str, Any]:
    found = [(point["epoch"], point[key]) for point in points if key in point]
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [x for x, _ in found],
        "y": [y for _, y in found],
        "yaxis": axis,
        "line": {"color": colour},
    }
