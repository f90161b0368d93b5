"""Winnow: model health, a panel: how a classifier does at work, and whether the images have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from . import drift_plots
from . import model_health_plots as plots
from .panel_style import COLUMN, PLOT_CONFIG, add_reload, add_table, rows_name

if TYPE_CHECKING:
    from ..plugin.workflows.classifiers import ClassifierEntry
    from ..plugin.workflows.health_figures import Health
    from ..plugin.workflows.health_leads import Lead

_JOB = "check_drift"
_WINDOWS = {"all": None, "90": 90, "30": 30, "7": 7}
_VERSIONS = {
    "version": "Version",
    "answers": "Answers",
    "accuracy": "Accuracy",
    "overrides": "Overridden",
    "blind": "Without seeing it",
}
_DECISIONS = {"time": "Time", "decision": "Decision", "reason": "Reason"}
_PLOTS = ("accuracy", "recall", "drift", "moved", "scatter")
_TABLES = ("versions", "decisions")


class ModelHealthPanel(foo.Panel):
    """Shows what is known of a classifier at work, and names what is not; buttons show the samples behind it."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="model_health",
            label="Winnow: model health",
            icon="monitor_heart",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="How often annotators override a classifier, how much of each class it recognises, and how "
            "many images are unlike anything it was trained on. `winnow report` writes the same as an HTML file.",
        )

    def on_load(self, ctx: Any) -> None:
        self._fill(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        ctx.panel.set_state("chosen", None)
        self._fill(ctx)

    def reload(self, ctx: Any) -> None:
        """Read everything again."""
        self._fill(ctx)

    def choose(self, ctx: Any) -> None:
        """Show another classifier of the dataset."""
        ctx.panel.set_state("chosen", ctx.params["value"])
        self._fill(ctx)

    def choose_days(self, ctx: Any) -> None:
        """Look further back, or less far."""
        ctx.panel.set_state("days", ctx.params["value"])
        self._fill(ctx)

    def compare(self, ctx: Any) -> None:
        """Hold what the backend remembers against the classifier's reference."""
        self._fill(ctx, compare=True)

    def on_class(self, ctx: Any) -> None:
        """Show the images of a class that were predicted otherwise."""
        from ..plugin.workflows.health_samples import missed_samples

        name = str(ctx.params["y"])
        field, labels = _fields(ctx)
        _show(ctx, missed_samples(ctx.dataset, field, labels, name), f"'{name}' that was predicted otherwise")

    def show_overridden(self, ctx: Any) -> None:
        """Show the images of which annotators changed the prediction."""
        from ..plugin.workflows.health_samples import overridden_samples

        _show(ctx, overridden_samples(ctx.dataset, *_fields(ctx)), "overridden image")

    def show_novel(self, ctx: Any) -> None:
        """Show the images that are unlike anything trained on."""
        from ..plugin.workflows.health_samples import novel_samples

        _show(ctx, novel_samples(ctx.dataset), "image unlike anything trained on")

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        shown = ctx.panel.get_state("shown") or {}
        if "error" in shown:
            panel.view("error", types.Error(label=shown["error"]))
        elif "headline" not in shown:
            panel.md("**No classifier yet.** Run **Winnow: train a classifier** on this dataset.", name="nothing")
        if shown.get("classifiers"):
            self._draw_choices(ctx, panel, shown)
        if "headline" in shown:
            self._draw(panel, shown)
        add_reload(panel, self.reload)
        return types.Property(panel, view=COLUMN)

    def _draw_choices(self, ctx: Any, panel: types.Object, shown: dict[str, Any]) -> None:
        row = panel.h_stack("choices", gap=2, width=100)
        classifiers = types.DropdownView(label="Classifier")
        for folder, name in shown["classifiers"].items():
            classifiers.add_choice(folder, label=name)
        row.enum(
            "classifier",
            list(shown["classifiers"]),
            default=shown["chosen"],
            view=classifiers,
            on_change=self.choose,
        )
        windows = types.DropdownView(label="Answers of")
        for key, days in _WINDOWS.items():
            windows.add_choice(key, label="all there is" if days is None else f"the last {days} days")
        chosen = ctx.panel.get_state("days") or "all"
        row.enum("days", list(_WINDOWS), default=chosen, view=windows, on_change=self.choose_days)

    def _draw(self, panel: types.Object, shown: dict[str, Any]) -> None:
        panel.md(shown["headline"], name="headline")
        for key, text in shown["leads"].items():
            panel.md(text, name=f"lead_{key}")
        panel.btn("show_overridden", "Show overridden samples", on_click=self.show_overridden, icon="edit_note")
        panel.btn("show_novel", "Show samples unlike the training", on_click=self.show_novel, icon="travel_explore")
        if shown["next"]:
            panel.md("**What to do**\n\n" + "\n".join(f"- {step}" for step in shown["next"]), name="next_steps")
        heads = {
            "accuracy": "**Accuracy over time**, of the predictions that annotators answered",
            "recall": "**Recall by class**, the worst first (click a bar to see what was missed)",
            "drift": "**Have the images changed?** Each point is a check",
            "moved": "**Classes that are predicted otherwise than before**",
            "scatter": "**The images of the last check**, similar ones close to each other",
        }
        for name in _PLOTS:
            if shown["layouts"][name]:
                panel.md(heads[name], name=f"{name}_head")
                on_click = {"on_click": self.on_class} if name == "recall" else {}
                panel.plot(_of(shown, name), layout=shown["layouts"][name], config=PLOT_CONFIG, **on_click)
            if name == "accuracy" and shown["versions"]:
                add_table(panel, rows_name("versions", shown["versions"]), _VERSIONS)
        if shown["comparable"]:
            panel.btn("compare", "Compare what is served now", on_click=self.compare, icon="compare")
        panel.btn("check", "Check for drift", on_click=f"{self.plugin_name}/{_JOB}", prompt=True, icon="difference")
        if shown["decisions"]:
            panel.md("**Training again**", name="decisions_head")
            add_table(panel, rows_name("decisions", shown["decisions"]), _DECISIONS)
        if shown["missing"]:
            panel.md("**Not known**\n\n" + "\n".join(f"- {each}" for each in shown["missing"]), name="missing")
        if shown["notes"]:
            panel.md("\n\n".join(shown["notes"]), name="notes")

    def _fill(self, ctx: Any, *, compare: bool = False) -> None:
        """Read all of it, and keep what is drawn of it."""
        shown, traces = _shown(ctx, compare=compare)
        ctx.panel.set_state("shown", shown)
        if traces:
            for name in _PLOTS:
                ctx.panel.set_data(_of(shown, name), traces[name])
            for name in _TABLES:
                ctx.panel.set_data(rows_name(name, shown[name]), shown[name])


def _of(shown: dict[str, Any], plot: str) -> str:
    return f"{plot}_{shown['key']}"


def _shown(ctx: Any, *, compare: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the panel draws of the chosen classifier, else of the one in use, and its plots."""
    from ..plugin.workflows.model_health import HealthParams, model_health

    entries = _entries(ctx)
    if (entry := _chosen(ctx, entries)) is None:
        return {}, {}
    base = {"classifiers": {str(each.folder): each.name for each in entries}, "chosen": str(entry.folder)}
    days = _WINDOWS[ctx.panel.get_state("days") or "all"]
    try:
        report = model_health(ctx.dataset, HealthParams(entry.folder, days=days, compare=compare))
    except WinnowError as error:
        return {**base, "error": str(error)}, {}
    drawn, traces = _drawn(report.health)
    return {**base, **drawn, "comparable": report.comparable and not compare}, traces


def _drawn(health: Health) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said, and what is plotted."""
    from ..plugin.workflows.health_leads import headline, leads, next_steps

    moved, points = plots.moved_classes(health), plots.drift_points(health)
    traces = {
        "accuracy": plots.accuracy_traces(health),
        "recall": plots.recall_traces(health) if health.classes else [],
        "drift": drift_plots.history_traces(plots.drift_history(health)) if len(health.checks) > 1 else [],
        "moved": drift_plots.class_traces(moved) if moved else [],
        "scatter": drift_plots.scatter_traces(points) if points else [],
    }
    layouts = {
        "accuracy": plots.accuracy_layout(),
        "recall": plots.recall_layout(health),
        "drift": drift_plots.history_layout(),
        "moved": drift_plots.class_layout(moved),
        "scatter": drift_plots.scatter_layout(),
    }
    about, drawn = health.about, {name: layouts[name] if traces[name] else None for name in _PLOTS}
    classes = f"{len(about.classes):,} classes" + (", several an image" if about.multilabel else "")
    return {
        "headline": f"**{headline(health)[1]}**\n\nVersion `{about.version}`, {classes}",
        "leads": {lead.key: _lead(lead) for lead in leads(health)},
        "next": list(next_steps(health)),
        "layouts": drawn,
        "key": f"{about.version}_{health.days}_{len(health.checks)}",
        "versions": plots.version_rows(health),
        "decisions": plots.decision_rows(health),
        "missing": [f"{each.what}: {each.how}" for each in health.missing],
        "notes": [f"{note}." for note in health.notes],
    }, traces


def _lead(lead: Lead) -> str:
    interval = f" ({lead.words()})" if lead.words() else ""
    return f"**{lead.title}: {lead.figure}**{interval}\n\n{lead.sentence}"


def _entries(ctx: Any) -> list[ClassifierEntry]:
    """Return the finished classifiers of the dataset, the newest first."""
    from ..plugin.workflows.classifiers import list_classifiers

    return [] if ctx.dataset is None else [each for each in list_classifiers(ctx.dataset).entries if each.version]


def _fields(ctx: Any) -> tuple[str, str | None]:
    """Return the fields of predictions and labels that the figures are made of."""
    from ..plugin.datasets.answered_predictions import field_of_version
    from ..plugin.workflows.model_health import HealthParams

    entry = _chosen(ctx, _entries(ctx))
    return field_of_version(ctx.dataset, (entry and entry.version) or ""), HealthParams.label_field


def _chosen(ctx: Any, entries: list[ClassifierEntry]) -> ClassifierEntry | None:
    """Return the classifier that was chosen, else the one in use, else the newest."""
    asked = ctx.panel.get_state("chosen")
    in_use = next((entry for entry in entries if entry.promoted), next(iter(entries), None))
    return next((entry for entry in entries if str(entry.folder) == asked), in_use)


def _show(ctx: Any, found: SampleCollection | None, what: str) -> None:
    """Show samples; where there are none, say so."""
    if found is not None and found.count():
        ctx.ops.set_view(found)
    else:
        ctx.ops.notify(f"This dataset holds no {what}.", variant="info")
