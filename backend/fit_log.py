"""Tells the operator how a project's labeling config fits the classifier: once, as Label Studio asks all the time."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..plugin.labeling.class_mapping import map_classes
from ..plugin.labeling.labeling_config import LabelingConfigError, parse_labeling_config

logger = logging.getLogger(__name__)


class FitLog:
    """Writes what does not fit to the log, again only when a project's config has changed."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, project: str, label_config: str, classes: Sequence[str]) -> None:
        """Log each sentence of `fit_of`, unless this was done for the project's config before."""
        if self._told.get(project) == label_config:
            return
        self._told[project] = label_config
        for sentence in fit_of(label_config, classes):
            logger.warning("project %s: %s", project, sentence)


def fit_of(label_config: str, classes: Sequence[str]) -> list[str]:
    """Return a sentence for each thing in a labeling config that can't be filled in, or that has no class."""
    try:
        config = parse_labeling_config(label_config)
    except LabelingConfigError as error:
        return [str(error)]
    sentences = [f"not filled in: {sentence}" for sentence in config.declined]
    mappings = map_classes(classes, config)
    if not mappings:
        named = ", ".join(f"'{name}'" for name in classes[:20])
        sentences.append(f"nothing is predicted, as no class of the classifier ({named}) is a choice of the config")
    return sentences + [note for mapping in mappings for note in mapping.notes()]
