"""Winnow: dataset health, a panel: how a dataset stands, and what needs attention first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from . import dataset_health_plots as plots
from .panel_style import CARD, COLUMN, IN_ROW, PLOT_CONFIG, ROW, add_reload

if TYPE_CHECKING:
    from ..plugin.workflows.dataset_health import DatasetHealth
    from ..plugin.workflows.dataset_health_figures import Figure

# Where more is drawn of a figure.
_REVIEW = ("review", "Review", "rate_review")
_PANELS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "leaks": (_REVIEW,),
    "duplicates": (_REVIEW,),
    "label_issues": (_REVIEW, ("label_report", "Label report", "grid_on")),
    "classifiers": (("classifiers", "Classifiers", "leaderboard"),),
    "labeling": (("loop", "Active learning", "all_inclusive"),),
    "predictions": (("model_health", "Model health", "monitor_heart"),),
}


class DatasetHealthPanel(foo.Panel):
    """Shows what is known of a dataset; buttons show the samples behind a figure, and open what mends it."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="dataset_health",
            label="Winnow: dataset health",
            icon="health_and_safety",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="How the whole dataset stands, what needs attention first. The figures are counted from what "
            "earlier jobs found; what is older than the dataset says so. `winnow health` tells the same.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        self._fill(ctx)

    def reload(self, ctx: Any) -> None:
        """Count everything again."""
        self._fill(ctx)

    def show(self, ctx: Any) -> None:
        """Show samples behind a figure."""
        from ..plugin.workflows.dataset_health import samples_behind

        try:
            ctx.ops.set_view(samples_behind(ctx.dataset, ctx.params["figure"], ctx.params["key"]))
        except WinnowError as error:
            ctx.ops.notify(str(error), variant="info")

    def on_bar(self, ctx: Any) -> None:
        """Show the images of a class in a split."""
        from ..plugin.workflows.dataset_health import class_samples

        split = (ctx.panel.get_state("shown") or {})["splits"][int(ctx.params["trace_idx"])]
        found = class_samples(ctx.dataset, str(ctx.params["y"]), split)
        if found.limit(1).count():
            ctx.ops.set_view(found)
        else:
            ctx.ops.notify("There is no such image any more. Reload the panel.", variant="info")

    def open_panel(self, ctx: Any) -> None:
        """Open the panel of a button."""
        ctx.ops.open_panel(ctx.params["panel"])

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        shown = ctx.panel.get_state("shown") or {}
        if "error" in shown:
            panel.view("error", types.Error(label=shown["error"]))
        elif "headline" in shown:
            self._draw(panel, shown)
        else:
            panel.md("**No dataset is open.**", name="nothing")
        add_reload(panel, self.reload)
        return types.Property(panel, view=COLUMN)

    def _draw(self, panel: types.Object, shown: dict[str, Any]) -> None:
        panel.md(shown["headline"], name="headline")
        for level, title in shown["titles"].items():
            panel.md(f"###### {title}", name=f"{level}_head")
            for figure in shown["figures"]:
                if figure["level"] == level:
                    self._draw_figure(panel, figure)
        if shown["splits"]:
            panel.md(shown["plot_head"], name="balance_head")
            panel.plot(shown["plot"], layout=shown["layout"], config=PLOT_CONFIG, on_click=self.on_bar)
        if shown["notes"]:
            panel.md("\n\n".join(shown["notes"]), name="notes")

    def _draw_figure(self, panel: types.Object, figure: dict[str, Any]) -> None:
        key, card, row = figure["key"], types.Object(), types.Object()
        card.md(figure["text"], name="text")
        if figure["stale"]:
            card.view("stale", types.Warning(label=f"Older than the dataset: {figure['stale']}"))

        def button(name: str, label: str, on_click: Any, params: dict[str, Any], **looks: Any) -> None:
            row.btn(name, label, on_click=on_click, params=params, componentsProps=IN_ROW, **looks)

        for number, each in enumerate(figure["behind"]):
            params = {"figure": key, "key": each["key"]}
            button(f"show_{number}", each["label"], self.show, params, icon="filter_alt")
        for number, each in enumerate(figure["remedies"]):
            uri = f"{self.plugin_name}/{each['operator']}"
            button(f"mend_{number}", each["label"], uri, each["params"], prompt=True, variant="contained")
        for name, label, icon in _PANELS.get(key, ()):
            button(f"open_{name}", label, self.open_panel, {"panel": name}, icon=icon)
        if row.properties:
            card.define_property("buttons", row, view=ROW)
        panel.define_property(key, card, view=CARD)

    def _fill(self, ctx: Any) -> None:
        """Count all of it, and keep what is drawn of it."""
        shown, traces = _shown(ctx)
        ctx.panel.set_state("shown", shown)
        if traces:
            ctx.panel.set_data(shown["plot"], traces)


def _shown(ctx: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the panel draws of the dataset, and its plot."""
    from ..plugin.workflows.dataset_health import dataset_health

    if ctx.dataset is None:
        return {}, []
    try:
        health = dataset_health(ctx.dataset)
    except WinnowError as error:
        return {"error": str(error)}, []
    return _drawn(health), plots.balance_traces(health.counts)


def _drawn(health: DatasetHealth) -> dict[str, Any]:
    counts, splits = health.counts, plots.drawn_splits(health.counts)
    return {
        "headline": f"**{health.verdict()}**\n\n{health.headline()}",
        "titles": {str(found[0].level): title for title, found in health.by_level()},
        "figures": [_figure(figure) for figure in health.figures],
        "splits": splits,
        # The App lays new data over what it had under a name, so that fewer classes would keep the end of more.
        "plot": f"balance_{len(counts.classes)}_{len(splits)}",
        "plot_head": plots.balance_head(counts),
        "layout": plots.balance_layout(counts),
        "notes": [f"{note[:1].upper()}{note[1:]}." for note in health.notes],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    details = "".join(f"\n- {detail}" for detail in figure.details)
    return {
        "key": figure.key,
        "level": str(figure.level),
        "text": f"**{figure.title}.** {figure.sentence}" + (f"\n{details}" if details else ""),
        "stale": figure.stale,
        "behind": [{"key": each.key, "label": each.label} for each in figure.behind],
        "remedies": [
            {"operator": each.operator, "label": each.label, "params": dict(each.params)} for each in figure.remedies
        ],
    }
