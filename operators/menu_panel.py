"""Winnow: menu, a panel: every job and panel by what people do, each with a sentence and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from .panel_style import COLUMN, add_reload

if TYPE_CHECKING:
    from ..plugin.workflows.job_states import JobState

NAME = "menu"
_EVERY = 5_000  # milliseconds between two looks at what runs
# A heading, and the operators and panels below it in the order in which people use them.
GROUPS: dict[str, tuple[str, ...]] = {
    "Look": ("dataset_health", "compute_embeddings"),
    "Duplicates, leaks and splits": ("find_duplicates", "find_leaks", "decide_duplicates", "split_dataset"),
    "Labels": ("find_label_issues", "label_report", "review_label_issues"),
    "Review and act": ("review", "tag_findings", "move_to_split", "delete_samples", "export_dataset"),
    "Train": ("preview_augmentation", "train_classifier", "classifiers", "export_classifier"),
    "Predict and measure": ("apply_classifier", "evaluate_predictions", "compare_predictions", "set_thresholds"),
    "Label more": ("select_for_labeling", "send_to_label_studio", "pull_from_label_studio", "loop", "loop_status"),
    "At work": ("check_drift", "model_health"),
    "Jobs and history": ("cancel_job", "undo_action"),
}
# A button beside its sentence; narrow panels keep room for both.
_ROWS = types.GridView(
    orientation="vertical",
    gap=1,
    componentsProps={"grid": {"sx": {"gridTemplateColumns": "minmax(11rem, 1fr) minmax(0, 2fr)"}}},
)
_WIDE = {"button": {"sx": {"width": "100%", "justifyContent": "flex-start", "textAlign": "left"}}}


class MenuPanel(foo.Panel):
    """Lists what Winnow can do; a button opens the form or the panel. It stays open beside the grid."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name=NAME,
            label="Winnow: menu",
            icon="apps",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="All of Winnow's jobs and panels, in the order in which people use them. Tab and the space "
            "bar reach every button.",
        )

    def on_load(self, ctx: Any) -> None:
        """Show the dataset that is open."""

    def on_change_dataset(self, ctx: Any) -> None:
        """Show the dataset that was opened."""

    def reload(self, ctx: Any) -> None:
        """Look again."""

    def open(self, ctx: Any) -> None:
        """Open the panel of a button."""
        ctx.ops.open_panel(ctx.params["panel"])

    def render(self, ctx: Any) -> types.Property:
        from ..plugin.workflows.job_states import job_states

        panel = types.Object()
        if ctx.dataset is None:
            panel.md("**No dataset is open.** Open one to see what can be done with it.", name="nothing")
            return types.Property(panel, view=COLUMN)
        known, states = _known(), job_states(ctx.dataset)
        for number, (heading, names) in enumerate(GROUPS.items()):
            panel.md(f"**{heading}**", name=f"group_{number}")
            rows = types.Object()
            for name in names:
                self._row(rows, known[name], states.get(name))
            panel.define_property(f"rows_{number}", rows, view=_ROWS)
        add_reload(panel, self.reload)
        panel.view("timer", types.TimerView(interval=_EVERY, on_interval=self.reload))
        return types.Property(panel, view=COLUMN)

    def _row(self, rows: types.Object, operator: Any, state: JobState | None) -> None:
        config = operator.config
        label = config.label.removeprefix("Winnow: ")
        label = label[0].upper() + label[1:]
        if isinstance(config, foo.PanelConfig):
            params = {"panel": config.name}
            rows.btn(config.name, label, on_click=self.open, params=params, icon=config.icon, componentsProps=_WIDE)
            sentence = config.help_markdown.split(". ")[0].rstrip(".") + "."
        else:
            uri = f"{self.plugin_name}/{config.name}"
            rows.btn(config.name, label, on_click=uri, prompt=True, icon=config.icon, componentsProps=_WIDE)
            sentence = f"{config.description}."
        told = state.text() if state is not None else ""
        rows.md(f"{sentence} *{told[0].upper()}{told[1:]}.*" if told else sentence, name=f"{config.name}_about")


def _known() -> dict[str, Any]:
    """Return every operator and panel of Winnow by name."""
    from . import OPERATORS, PANELS

    return {made.config.name: made for made in (kind() for kind in (*OPERATORS, *PANELS))}
