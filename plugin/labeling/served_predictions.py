"""A prediction as it was served, reduced to what its annotations are compared with later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .choice_trees import Written
from .class_mapping import ClassMapping
from .labeling_config import Control


@dataclass(frozen=True)
class ServedMapping:
    """What a version's predictions mean in one control.

    Attributes:
        version: Of the classifier.
        classes: Its k classes.
        multilabel: Whether each class is decided by itself.
        control: The control, without its choices.
        written: (k,) What is written for each class, None where the control has no choice for it.
    """

    version: str
    classes: tuple[str, ...]
    multilabel: bool
    control: Control
    written: tuple[Written | None, ...]

    @classmethod
    def of(cls, mapping: ClassMapping, version: str, classes: tuple[str, ...], *, multilabel: bool) -> ServedMapping:
        """Return what is kept of a mapping; a control for one choice gets one class, whatever the classifier is."""
        control = mapping.control
        bare = Control(control.name, control.image_name, control.data_key, control.kind, control.most, ())
        return cls(version, classes, multilabel and control.multiple, bare, mapping.written)

    @classmethod
    def from_json(cls, text: str) -> ServedMapping:
        """Return what `text` was made of."""
        about = json.loads(text)
        control = Control(**about["control"], choices=())
        written = tuple(tuple(each) if isinstance(each, list) else each for each in about["written"])
        return cls(about["version"], tuple(about["classes"]), about["multilabel"], control, written)

    @cached_property
    def text(self) -> str:
        """The mapping as JSON."""
        control = self.control
        return json.dumps(
            {
                "version": self.version,
                "classes": self.classes,
                "multilabel": self.multilabel,
                "control": {
                    "name": control.name,
                    "image_name": control.image_name,
                    "data_key": control.data_key,
                    "kind": control.kind,
                    "most": control.most,
                },
                "written": self.written,
            },
            ensure_ascii=False,
        )

    @cached_property
    def digest(self) -> str:
        """By what it is known again."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:24]

    @cached_property
    def places(self) -> Mapping[Any, int]:
        """Number of the class that each choice stands for."""
        return {written: place for place, written in enumerate(self.written) if written is not None}


@dataclass(frozen=True, eq=False, slots=True)
class ServedPrediction:
    """What one control of a task was filled in with, or would have been.

    Attributes:
        project: Number of the project.
        task: Number of the task.
        mapping: Control and classes.
        at: When, in seconds since 1970.
        shown: Whether it was given to Label Studio; False = withheld, so that annotators label blind.
        chosen: What it says.
        probabilities: (k,) float in 0..1.
        vector: (d,) float. The image's features in the classifier; None = not kept.
    """

    project: int
    task: int
    mapping: ServedMapping
    at: float
    shown: bool
    chosen: tuple[Written, ...]
    probabilities: np.ndarray
    vector: np.ndarray | None = None
