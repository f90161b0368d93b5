"""A panel, called as the App calls it."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionContext, Executor


def sent_by(name: str, dataset: fo.Dataset, method: str = "on_load", **params: Any) -> dict[str, list[dict[str, Any]]]:
    """Call a method of a panel; return what the App is told to do, by operator."""
    panel = foo.get_operator(f"@winnow/curation/{name}")
    given = {"__method__": method, "panel_id": "one", "panel_state": {}, **params}
    request = {"dataset_name": dataset.name, "view": [], "params": given, "filters": {}}
    context = ExecutionContext(request, executor=Executor(), operator_uri=panel.uri)
    panel.execute(context)
    sent: dict[str, list[dict[str, Any]]] = {}
    for each in context.executor.to_json()["requests"]:
        sent.setdefault(each["operator_uri"], []).append(each["params"])
    return sent


def drawn(sent: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return what is shown, by name."""
    return sent["show_panel_output"][0]["output"]["type"]["properties"]


def data_of(sent: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {name: value for each in sent["patch_panel_data"] for name, value in each["data"].items()}
