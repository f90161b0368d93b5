"""FiftyOne operators: a form, a call into a workflow, a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .apply_classifier import ApplyClassifier
from .cancel_job import CancelJob
from .check_drift import CheckDrift
from .classifiers_panel import ClassifiersPanel
from .compare_predictions import ComparePredictions
from .compute_embeddings import ComputeEmbeddings
from .dataset_health_panel import DatasetHealthPanel
from .decide_duplicates import DecideDuplicates
from .delete_samples import DeleteSamples
from .evaluate_predictions import EvaluatePredictions
from .export_classifier import ExportClassifier
from .export_dataset import ExportDataset
from .find_duplicates import FindDuplicates
from .find_label_issues import FindLabelIssues
from .find_leaks import FindLeaks
from .label_report_panel import LabelReportPanel
from .loop_panel import LoopPanel
from .loop_status import LoopStatus
from .menu_panel import MenuPanel
from .model_health_panel import ModelHealthPanel
from .move_to_split import MoveToSplit
from .open_menu import OpenMenu
from .preview_augmentation import PreviewAugmentation
from .pull_from_label_studio import PullFromLabelStudio
from .review_label_issues import ReviewLabelIssues
from .review_panel import ReviewPanel
from .select_for_labeling import SelectForLabeling
from .send_to_label_studio import SendToLabelStudio
from .set_thresholds import SetThresholds
from .split_dataset import SplitDataset
from .tag_findings import TagFindings
from .train_classifier import TrainClassifier
from .undo_action import UndoAction

if TYPE_CHECKING:
    from fiftyone.plugins.context import PluginContext

OPERATORS = (
    OpenMenu,
    ComputeEmbeddings,
    FindDuplicates,
    FindLeaks,
    SplitDataset,
    FindLabelIssues,
    PreviewAugmentation,
    TrainClassifier,
    ApplyClassifier,
    ExportClassifier,
    EvaluatePredictions,
    ComparePredictions,
    SetThresholds,
    CheckDrift,
    SelectForLabeling,
    SendToLabelStudio,
    PullFromLabelStudio,
    DecideDuplicates,
    ReviewLabelIssues,
    TagFindings,
    MoveToSplit,
    DeleteSamples,
    ExportDataset,
    UndoAction,
    CancelJob,
    LoopStatus,
)
PANELS = (
    MenuPanel,
    DatasetHealthPanel,
    ReviewPanel,
    LabelReportPanel,
    ClassifiersPanel,
    LoopPanel,
    ModelHealthPanel,
)


def register(plugin: PluginContext) -> None:
    """Register operators and panels; fiftyone.yml must name each too, or FiftyOne leaves it out without a word."""
    for operator in (*OPERATORS, *PANELS):
        plugin.register(operator)
