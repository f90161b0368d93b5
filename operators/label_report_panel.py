"""Winnow: label report, a panel: which classes are mislabelled how often, and as what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from . import label_report_plots as plots
from .panel_style import COLUMN, PLOT_CONFIG, add_reload, add_table

if TYPE_CHECKING:
    from ..plugin.workflows.label_report import SavedLabelReport, SavedLabelSetReport

_JOB = "find_label_issues"
_PAIRS = {"given": "Label", "true": "Image shows", "expected": "Expected", "flagged": "Flagged"}
_CHANGES = {"label": "Class", "missing": "Missing", "extra": "Extra"}


class LabelReportPanel(foo.Panel):
    """Draws what the last run of `find_label_issues` saved; a click shows the samples."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="label_report",
            label="Winnow: label report",
            icon="grid_on",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="Which classes are mislabelled how often, and as what: the last run of "
            "*Winnow: find label issues*. Click a cell, a bar or a row to see its flagged samples.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        self._fill(ctx)

    def reload(self, ctx: Any) -> None:
        """Read the last run again."""
        self._fill(ctx)

    def on_cell(self, ctx: Any) -> None:
        """Show the flagged labels of a cell; of a cell on the diagonal, all flagged ones of the class."""
        given, true = str(ctx.params["y"]), str(ctx.params["x"])
        self._show(ctx, given, None if given == true else true)

    def on_bar(self, ctx: Any) -> None:
        """Show the flagged labels of a class."""
        self._show(ctx, str(ctx.params["y"]), None)

    def on_row(self, ctx: Any) -> None:
        """Show the flagged labels of a pair of classes."""
        saved = _saved(ctx)
        if saved is not None:
            pair = saved.report.worst_pairs(plots.MOST_PAIRS)[int(ctx.params["row"])]
            self._show(ctx, pair.given, pair.true)

    def on_class(self, ctx: Any) -> None:
        """Show the images for which a change of a class is suggested."""
        saved = _saved_sets(ctx)
        if saved is not None:
            name = saved.by_class[int(ctx.params["row"])][0]
            _set_view(ctx, saved.changes(ctx.dataset, name), f"No change of '{name}' is suggested any more.")

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        saved, sets = _saved(ctx), _saved_sets(ctx)
        if sets is not None:
            self._draw_sets(panel, sets)
        elif saved is None:
            panel.md(
                "**No report yet.** Run **Winnow: find label issues** on this dataset; the report is drawn from what "
                "it saves.",
                name="nothing",
            )
            panel.btn("run", "Find label issues", on_click=f"{self.plugin_name}/{_JOB}", prompt=True, icon="rule")
        else:
            self._draw(panel, saved)
        add_reload(panel, self.reload)
        return types.Property(panel, view=COLUMN)

    def _draw(self, panel: types.Object, saved: SavedLabelReport) -> None:
        report = saved.report
        shown = min(len(report.classes), plots.MOST_CLASSES)
        several = f", the {shown} worst of {len(report.classes):,}" if shown < len(report.classes) else ""
        panel.md(
            f"**{_flagged(saved)}** Expected number of labels by label and true class{several}. Click a cell to see "
            "its flagged samples.",
            name="head",
        )
        _warn_if_stale(panel, saved)
        panel.plot("matrix", layout=plots.matrix_layout(report), config=PLOT_CONFIG, on_click=self.on_cell)
        panel.md("**Wrong labels by class**", name="rates_head")
        panel.plot("rates", layout=plots.rate_layout(report), config=PLOT_CONFIG, on_click=self.on_bar)
        if report.worst_pairs(1):
            panel.md("**Most confused classes** (click a row)", name="pairs_head")
            add_table(panel, "pairs", _PAIRS, self.on_row)

    def _draw_sets(self, panel: types.Object, saved: SavedLabelSetReport) -> None:
        panel.md(f"**{_flagged(saved)}** Click a row to see its images.", name="head")
        _warn_if_stale(panel, saved)
        if saved.by_class:
            add_table(panel, "classes", _CHANGES, self.on_class)

    def _fill(self, ctx: Any) -> None:
        saved, sets = _saved(ctx), _saved_sets(ctx)
        if sets is not None:
            rows = [{"label": name, "missing": missing, "extra": extra} for name, missing, extra in sets.by_class]
            ctx.panel.set_data("classes", rows)
        if saved is not None:
            ctx.panel.set_data("matrix", plots.matrix_traces(saved.report))
            ctx.panel.set_data("rates", plots.rate_traces(saved.report))
            ctx.panel.set_data("pairs", plots.pair_rows(saved.report))

    def _show(self, ctx: Any, given: str, true: str | None) -> None:
        saved = _saved(ctx)
        if saved is not None:
            shows = "" if true is None else f" as '{true}'"
            _set_view(ctx, saved.labels(ctx.dataset, given, true), f"No label '{given}' is flagged{shows}.")


def _flagged(saved: SavedLabelReport | SavedLabelSetReport) -> str:
    """Return how many labels are flagged and how many are wrong, as a sentence."""
    wrong = f"{saved.estimated:,.0f} expected to be wrong in all" if saved.certain else "none of them certainly wrong"
    return f"{saved.flagged:,} labels of `{saved.label_field}` flagged, {wrong}."


def _warn_if_stale(panel: types.Object, saved: SavedLabelReport | SavedLabelSetReport) -> None:
    if saved.stale:
        panel.view("stale", types.Warning(label=f"Older than the dataset: {saved.stale}", description="Run again."))


def _set_view(ctx: Any, found: SampleCollection, otherwise: str) -> None:
    """Show samples; where there are none, say so."""
    if found.count():
        ctx.ops.set_view(found)
    else:
        ctx.ops.notify(otherwise, variant="info")


def _saved(ctx: Any) -> SavedLabelReport | None:
    from ..plugin.workflows.label_report import read_label_report

    return None if ctx.dataset is None else read_label_report(ctx.dataset)


def _saved_sets(ctx: Any) -> SavedLabelSetReport | None:
    from ..plugin.workflows.label_report import read_label_set_report

    return None if ctx.dataset is None else read_label_set_report(ctx.dataset)
