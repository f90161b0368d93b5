"""Tells the operator how each project's labeling config fits the classifier: in the log once, and on demand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from ..plugin.labeling.class_mapping import map_classes
from ..plugin.labeling.labeling_config import LabelingConfigError, parse_labeling_config

logger = logging.getLogger(__name__)

# Projects are named by whoever calls; the ones told of last are remembered.
_MOST_PROJECTS = 200


class FitLog:
    """Writes what does not fit to the log, again only when a project's config or the classes have changed.

    Safe to share among threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, tuple[object, list[str]]] = {}

    def tell(self, project: str, label_config: str, classes: Sequence[str]) -> None:
        """Log each sentence of `fit_of`, unless this was done for the project's config and these classes before."""
        told_for = (label_config, tuple(classes))
        with self._lock:
            if self._told.get(project, (None, []))[0] == told_for:
                return
        sentences = fit_of(label_config, classes)
        with self._lock:
            self._told.pop(project, None)
            self._told[project] = (told_for, sentences)
            if len(self._told) > _MOST_PROJECTS:
                del self._told[next(iter(self._told))]
        for sentence in sentences:
            logger.warning("project %s: %s", project, sentence)

    def by_project(self) -> dict[str, list[str]]:
        """Return the sentences of each project that was told of; none where everything fits."""
        with self._lock:
            return {project: list(sentences) for project, (_, sentences) in self._told.items()}


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
    return sentences + list(config.remarks) + [note for mapping in mappings for note in mapping.notes()]
