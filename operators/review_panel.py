"""Winnow: review, a panel: labels, near-duplicates, leaks and predictions, a keystroke a decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from ..plugin.errors import WinnowError

_SEND = "send_to_label_studio"


class ReviewPanel(foo.Panel):
    """Answers the component of app/, which draws the panel and has the keys: see docs/review.md.

    FiftyOne gives Python panels no keys and redraws them after each event. What is sent and returned here is plain
    JSON; what fails for a reason that a person can mend returns as `error`.
    """

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="review",
            label="Winnow: review",
            icon="rate_review",
            category=foo.Categories.CURATE,
            surfaces="grid",
            help_markdown="Decide about flagged labels, near-duplicates, leaks and predictions from the keyboard; `?` "
            "lists the keys. Decisions are saved as you go, and a later review goes on where this one stopped.",
        )

    def on_load(self, ctx: Any) -> None:
        """Nothing: the component asks for what it shows."""

    def on_change_dataset(self, ctx: Any) -> None:
        """Be drawn anew, which tells the component of the dataset."""

    def start(self, ctx: Any) -> dict[str, Any]:
        """Say what waits in the App's view, which the review keeps to from here on."""
        return _answered(lambda: _started(ctx))

    def page(self, ctx: Any) -> dict[str, Any]:
        """Return the next items of a queue."""
        return _answered(lambda: _desk().page(_view(ctx), ctx.params["kind"], **_given(ctx, _PAGE)))

    def save(self, ctx: Any) -> dict[str, Any]:
        """Put decisions into effect."""
        params = ctx.params
        return _answered(lambda: _desk().save(_view(ctx), params["kind"], params["steps"], **_given(ctx, _SAVE)))

    def back(self, ctx: Any) -> dict[str, Any]:
        """Take single decisions back."""
        kind, session, keys = (ctx.params.get(name) for name in ("kind", "session", "keys"))
        return _answered(lambda: _desk().back(_view(ctx), kind, session, keys, **_given(ctx, ("prediction_field",))))

    def plan(self, ctx: Any) -> dict[str, Any]:
        """Say what acting on the marks would do."""
        return _answered(lambda: _desk().plan(_view(ctx), ctx.params["kind"], **_given(ctx, _WAY)))

    def apply(self, ctx: Any) -> dict[str, Any]:
        """Act on the marks, once it is confirmed."""
        if ctx.params.get("confirm") is not True:
            return {"error": "Nothing was changed: it was not confirmed."}
        answer = _answered(lambda: _desk().apply(_view(ctx), ctx.params["kind"], **_given(ctx, (*_WAY, "reviewer"))))
        ctx.ops.reload_dataset()
        return answer

    def send(self, ctx: Any) -> dict[str, Any]:
        """Open the form that sends unsure labels to Label Studio."""
        ctx.prompt(f"{self.plugin_name}/{_SEND}", params={"unsure": True})
        return {}

    def show(self, ctx: Any) -> dict[str, Any]:
        """Show the samples behind items in the grid."""
        return _answered(lambda: _shown(ctx))

    def first(self, ctx: Any) -> dict[str, Any]:
        """Open the form of the operator that finds what is to be reviewed."""
        ctx.prompt(f"{self.plugin_name}/{ctx.params['operator']}")
        return {}

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        methods = (
            self.start, self.page, self.save, self.back, self.plan, self.apply, self.show, self.send, self.first,
        )  # fmt: skip
        review = types.View(
            component="WinnowReview",
            composite_view=True,
            dataset=ctx.dataset.name if ctx.dataset is not None else None,
            **{method.__name__: method for method in methods},
        )
        panel.obj("review", view=review)
        return types.Property(panel, view=types.GridView(width=100, height=100, padding=0))


_PAGE = ("after", "count", "cell", "prediction_field", "again")
_SAVE = ("session", "reviewer", "prediction_field")
_WAY = ("way", "tag", "split", "delete_files")


def _answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except WinnowError as error:
        return {"error": str(error)}


def _started(ctx: Any) -> dict[str, Any]:
    if ctx.dataset is None:
        raise WinnowError("open a dataset first.")
    whole = ctx.view == ctx.dataset.view()
    note = None if whole else f"Only the {len(ctx.view):,} samples of the current view are reviewed."
    found = _desk().start(ctx.view, ctx.params.get("prediction_field"))
    return {**found, "scope": None if whole else ctx.view._serialize(), "note": note}


def _shown(ctx: Any) -> dict[str, Any]:
    ids = _desk().samples_of(_view(ctx), ctx.params["kind"], ctx.params["keys"])
    ctx.ops.set_view(ctx.dataset.select(ids))
    return {}


def _view(ctx: Any) -> SampleCollection:
    """Return the view that the review began on: the App may show another one by now."""
    stages = ctx.params.get("scope")
    return fo.DatasetView._build(ctx.dataset, stages) if stages else ctx.dataset


def _given(ctx: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: ctx.params[name] for name in names if ctx.params.get(name) is not None}


def _desk() -> Any:
    # Imported late: the App lists panels without it.
    from ..plugin.workflows import review_desk

    return review_desk
