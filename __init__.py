"""Winnow: find what is wrong with an image classification dataset, and train a classifier on what is left.

The package root is also the FiftyOne plugin `@winnow/curation`. FiftyOne runs this file again on every call, under a
name of its own, so it imports nothing heavy and holds no state.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiftyone.plugins.context import PluginContext

__version__ = "0.1.0"

# Public name -> module that defines it; imported on first use, since some of them load torch.
_PUBLIC = {
    "compute_embeddings": "plugin.workflows.embed",
    "EmbedParams": "plugin.workflows.embed",
    "VectorParams": "plugin.workflows.vectors",
    "find_duplicates": "plugin.workflows.duplicates",
    "DuplicateParams": "plugin.workflows.duplicates",
    "find_leaks": "plugin.workflows.leaks",
    "LeakParams": "plugin.workflows.leaks",
    "split_dataset": "plugin.workflows.split",
    "SplitParams": "plugin.workflows.split",
    "find_label_issues": "plugin.workflows.label_issues",
    "LabelIssueParams": "plugin.workflows.label_issues",
    "train_classifier": "plugin.workflows.train",
    "TrainParams": "plugin.workflows.train",
    "apply_classifier": "plugin.workflows.predict",
    "PredictParams": "plugin.workflows.predict",
    "export_classifier": "plugin.workflows.export",
    "ExportParams": "plugin.workflows.export",
    "evaluate_predictions": "plugin.workflows.evaluate",
    "EvaluateParams": "plugin.workflows.evaluate",
    "compare_predictions": "plugin.workflows.compare",
    "CompareParams": "plugin.workflows.compare",
    "check_drift_of": "plugin.workflows.drift",
    "DriftParams": "plugin.workflows.drift_settings",
    "set_thresholds": "plugin.workflows.thresholds",
    "ThresholdParams": "plugin.workflows.thresholds",
    "select_for_labeling": "plugin.workflows.select",
    "SelectParams": "plugin.workflows.select",
    "curate": "plugin.workflows.curate",
    "CurateParams": "plugin.workflows.curate",
    "send_to_label_studio": "plugin.workflows.send",
    "SendParams": "plugin.workflows.send_params",
    "pull_from_label_studio": "plugin.workflows.pull",
    "PullParams": "plugin.workflows.pull_params",
    "choose": "plugin.workflows.choosing",
    "tag_samples": "plugin.workflows.actions",
    "move_samples": "plugin.workflows.actions",
    "delete_samples": "plugin.workflows.actions",
    "undo_action": "plugin.workflows.actions",
    "list_actions": "plugin.workflows.actions",
    "list_changes": "plugin.workflows.changes",
    "ChangesParams": "plugin.workflows.changes",
    "read_history": "plugin.datasets.sample_history",
    "replay_changes": "plugin.workflows.change_replay",
    "ReplayParams": "plugin.workflows.replay_plan",
    "export_dataset": "plugin.workflows.export_dataset",
    "ExportDatasetParams": "plugin.workflows.export_dataset",
    "decide_duplicates": "plugin.workflows.decide",
    "review_labels": "plugin.workflows.review_labels",
    "connected_client": "plugin.labeling.connecting",
    "run_loop": "plugin.workflows.loop",
    "LoopParams": "plugin.workflows.loop_settings",
    "LoopChanges": "plugin.workflows.loop_settings",
    "dataset_health": "plugin.workflows.dataset_health",
    "DatasetHealthParams": "plugin.workflows.dataset_health",
    "model_health": "plugin.workflows.model_health",
    "HealthParams": "plugin.workflows.model_health",
    "load_classifier": "plugin.training.classifier",
}

__all__ = ["__version__", "register", *_PUBLIC]

# One copy of the code in a process: loaded by FiftyOne under another name, this module answers to `winnow` too, unless
# that is taken. Without it every class would exist twice, and `except` and `isinstance` would fail quietly.
sys.modules.setdefault("winnow", sys.modules[__name__])


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'winnow' has no attribute {name!r}")
    return getattr(importlib.import_module(f"winnow.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def register(plugin: PluginContext) -> None:
    """Register the operators; called by FiftyOne each time it loads the plugin."""
    importlib.import_module("winnow.operators").register(plugin)
