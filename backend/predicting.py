"""Tasks in, one entry per task out, in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..plugin.failures import Failure
from ..plugin.labeling.class_mapping import ClassMapping, map_classes
from ..plugin.labeling.image_access import ImageAccessError, describe_address
from ..plugin.labeling.image_sources import ImageSources, address_in
from ..plugin.labeling.labeling_config import LabelingConfig
from ..plugin.labeling.predictions import Answer, answer_for, to_prediction
from .contract import Task
from .hosting import HostedClassifier, ModelHost

# Enough to hide the latency of downloads; more would only crowd Label Studio.
_DOWNLOADS_AT_ONCE = 8

# A prediction, or `[]` for a task without one: Label Studio can't take null.
Entry = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Outcome:
    """What came of n tasks.

    Attributes:
        entries: n entries, in the order of the tasks.
        failures: Why, for each image that could not be used; `id` is the task's.
    """

    entries: list[Entry]
    failures: list[Failure]


@dataclass(frozen=True)
class _Image:
    """The image at `address`, which the task in row `row` keeps under `key`."""

    row: int
    key: str
    address: object


class Predictor:
    """Answers prediction requests; safe to share among threads.

    Args:
        host: Of the classifier.
        sources: Where images come from.
        batch_size: Images brought and predicted together; each request holds so many in memory.
    """

    def __init__(self, host: ModelHost, sources: ImageSources, batch_size: int) -> None:
        self._host = host
        self._sources = sources
        self._batch_size = batch_size

    def predict(self, tasks: Sequence[Task], config: LabelingConfig) -> Outcome:
        """Predict tasks; what can't be predicted costs its own entry only.

        Raises:
            NotReadyError: No classifier yet, or too many requests in hand.
        """
        with self._host.place() as served:
            classifier = served.classifier
            mappings = map_classes(classifier.classes, config)
            keys = sorted({mapping.control.data_key for mapping in mappings})
            images = [_Image(row, key, address_in(task.data, key)) for row, task in enumerate(tasks) for key in keys]
            answers: list[list[Answer]] = [[] for _ in tasks]
            failures: list[Failure] = []
            for image, result in self._probabilities(classifier, images):
                for outcome in _outcomes(classifier, mappings, image, result):
                    if isinstance(outcome, Answer):
                        answers[image.row].append(outcome)
                    else:
                        failures.append(Failure(str(tasks[image.row].id), describe_address(image.address), outcome))
            entries: list[Entry] = [to_prediction(found, served.version) if found else [] for found in answers]
        return Outcome(entries, failures)

    def _probabilities(
        self, classifier: HostedClassifier, images: Sequence[_Image]
    ) -> Iterator[tuple[_Image, np.ndarray | str]]:
        """Yield each image with its (k,) probabilities, or with the reason why there are none."""
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="image") as pool:
            for start in range(0, len(images), self._batch_size):
                batch = images[start : start + self._batch_size]
                opened = list(pool.map(self._open, batch))
                readable = [source for source in opened if not isinstance(source, str)]
                results = iter(self._forward(classifier, readable))
                for image, source in zip(batch, opened, strict=True):
                    yield image, source if isinstance(source, str) else next(results)

    def _forward(self, classifier: HostedClassifier, images: list[Path | BytesIO]) -> list[np.ndarray | str]:
        if not images:
            return []
        with self._host.turn():
            predicted = classifier.predict(images, batch_size=self._batch_size)
        reasons = {int(failure.id): failure.reason for failure in predicted.failures}
        results: list[np.ndarray | str] = []
        for row, probabilities in enumerate(predicted.probabilities):
            usable = row not in reasons and np.isfinite(probabilities).all()
            results.append(probabilities if usable else reasons.get(row, "the classifier gave no finite probabilities"))
        return results

    def _open(self, image: _Image) -> Path | BytesIO | str:
        try:
            return self._sources.open(image.address)
        except ImageAccessError as error:
            return str(error)


def _outcomes(
    classifier: HostedClassifier, mappings: Sequence[ClassMapping], image: _Image, result: np.ndarray | str
) -> list[Answer | str]:
    """Return what to write into each control about an image, or why nothing is."""
    if isinstance(result, str):
        return [result]
    return [_answer(classifier, mapping, result) for mapping in mappings if mapping.control.data_key == image.key]


def _answer(classifier: HostedClassifier, mapping: ClassMapping, probabilities: np.ndarray) -> Answer | str:
    answer = answer_for(mapping, probabilities, multilabel=classifier.multilabel)
    if answer is not None:
        return answer
    best = classifier.classes[int(np.argmax(probabilities))]
    return f"its most probable class '{best}' is not among the choices of '{mapping.control.name}'"
