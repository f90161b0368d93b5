"""Winnow: active learning, a panel: the learning curve of a loop, what is out for labelling, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.datasets.loops import list_loops, steps_made
from ..plugin.errors import WinnowError
from . import loop_plots as plots
from .panel_style import COLUMN, PLOT_CONFIG, add_reload, add_table, rows_name

if TYPE_CHECKING:
    from ..plugin.workflows.loop_report import LoopReport

_JOB = "loop_status"
_EVERY = 5_000  # milliseconds between two looks whether a step was made
_ROUNDS = {
    "round": "Round",
    "labels": "Labels",
    "score": "Score",
    "interval": "95 % interval",
    "gain": "Gain, points",
}
_CLASSES = {"name": "Class", "added": "Added", "labels": "Labels", "before": "Recognised", "found": "Now"}


class LoopPanel(foo.Panel):
    """Shows a dataset's loop; buttons show what is to be labelled and take the loop on."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="loop",
            label="Winnow: active learning",
            icon="all_inclusive",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="Which images are out for labelling, what the labels so far are worth, and whether more of "
            "them still pay. *Next* trains on what is back, measures it, and picks the next batch.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        ctx.panel.set_state("loop", None)
        self._fill(ctx)

    def reload(self, ctx: Any) -> None:
        """Read the loop again."""
        self._fill(ctx)

    def choose(self, ctx: Any) -> None:
        """Show another loop of the dataset."""
        ctx.panel.set_state("loop", ctx.params["value"])
        self._fill(ctx)

    def tick(self, ctx: Any) -> None:
        """Read the loop again where a step was made since; looking for that costs little."""
        shown = ctx.panel.get_state("shown") or {}
        if ctx.dataset is not None and shown.get("steps") != steps_made(ctx.dataset):
            self._fill(ctx)

    def show_training(self, ctx: Any) -> None:
        """Show what is to be labelled of the round's batch."""
        self._show(ctx, "training")

    def show_evaluation(self, ctx: Any) -> None:
        """Show what is to be labelled of the evaluation set."""
        self._show(ctx, "evaluation")

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        known = [] if ctx.dataset is None else list_loops(ctx.dataset)
        shown = ctx.panel.get_state("shown") or {}
        if len(known) > 1:
            choices = types.DropdownView(label="Loop")
            for name in known:
                choices.add_choice(name, label=name)
            panel.enum("loop", known, default=shown.get("name"), view=choices, on_change=self.choose)
        if "error" in shown:
            panel.view("error", types.Error(label=shown["error"]))
        elif not known or "headline" not in shown:
            panel.md(
                "**No loop yet.** A loop picks the images that are worth labelling next, trains on what you label, and "
                "tells when more labels no longer pay. It needs no labels to begin.",
                name="nothing",
            )
            self._step(panel, "start", "Start", "play_arrow", shown)
        else:
            self._draw(panel, shown)
        add_reload(panel, self.reload)
        panel.view("timer", types.TimerView(interval=_EVERY, on_interval=self.tick))
        return types.Property(panel, view=COLUMN)

    def _draw(self, panel: types.Object, shown: dict[str, Any]) -> None:
        panel.md("\n\n".join([shown["headline"], *shown["waiting"]]), name="head")
        panel.md(f"**Next:** {shown['next']}", name="next_step")
        if shown["to_label"].get("evaluation"):
            label = f"Show the {shown['to_label']['evaluation']:,} to label to measure on"
            panel.btn("show_evaluation", label, on_click=self.show_evaluation, icon="straighten")
        if shown["to_label"].get("training"):
            label = f"Show the {shown['to_label']['training']:,} to label to train on"
            panel.btn("show_training", label, on_click=self.show_training, icon="new_label")
        self._step(panel, "next", "Next step", "arrow_forward", shown)
        if shown["rounds"]:
            panel.plot("curve", layout=shown["layout"], config=PLOT_CONFIG)
            if shown["outlook"]:
                panel.md(shown["outlook"], name="outlook")
            add_table(panel, rows_name("rounds", shown["rounds"]), _ROUNDS)
        if shown["classes"]:
            panel.md("**What the last round did, class by class**", name="classes_head")
            add_table(panel, rows_name("classes", shown["classes"]), _CLASSES)
        if shown["notes"]:
            panel.md("\n".join(shown["notes"]), name="notes")

    def _step(self, panel: types.Object, action: str, label: str, icon: str, shown: dict[str, Any]) -> None:
        params = {"action": action, "name": shown.get("name", "loop")}
        panel.btn(action, label, on_click=f"{self.plugin_name}/{_JOB}", params=params, prompt=True, icon=icon)

    def _fill(self, ctx: Any) -> None:
        """Read the loop, and keep what is drawn of it: reading takes a while where there are many images."""
        shown = _shown(ctx)
        ctx.panel.set_state("shown", shown)
        if shown.get("rounds"):
            ctx.panel.set_data("curve", shown["curve"])
            ctx.panel.set_data(rows_name("rounds", shown["rounds"]), shown["rounds"])
            ctx.panel.set_data(rows_name("classes", shown["classes"]), shown["classes"])

    def _show(self, ctx: Any, what: str) -> None:
        from ..plugin.workflows.loop_labeling import view_to_label

        found = view_to_label(ctx.dataset, (ctx.panel.get_state("shown") or {}).get("name", "loop"), what)
        if found is not None and found.count():
            ctx.ops.set_view(found)
        else:
            ctx.ops.notify("Nothing of it is left to label.", variant="info")


def _shown(ctx: Any) -> dict[str, Any]:
    """Return what the panel draws of the chosen loop, else of the newest; nothing where there is none."""
    from ..plugin.workflows.loop import loop_status

    if ctx.dataset is None:
        return {}
    steps, known = steps_made(ctx.dataset), list_loops(ctx.dataset)
    if not known:
        return {"steps": steps}
    asked = ctx.panel.get_state("loop")
    name = asked if asked in known else known[-1]
    try:
        return {"name": name, "steps": steps, **_drawn(loop_status(ctx.dataset, name))}
    except WinnowError as error:
        return {"name": name, "steps": steps, "error": str(error)}


def _drawn(report: LoopReport) -> dict[str, Any]:
    summary = report.summary()
    if report.state is None:
        return {"error": "beginning this loop was cut off; begin it again"}
    return {
        "headline": report.headline(),
        "waiting": report.waiting_lines(),
        "next": report.next_step(),
        "to_label": report.to_label(),
        "outlook": " ".join(report.outlook_lines()),
        "curve": plots.curve_traces(summary),
        "layout": plots.curve_layout(summary),
        "rounds": plots.round_rows(summary),
        "classes": plots.class_rows(summary),
        "notes": report.note_lines(),
    }
