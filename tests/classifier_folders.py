"""Folders of classifiers as training leaves them, without the weights: whoever only lists them needs no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fiftyone as fo

from winnow.plugin.home import winnow_home

CURVE = "epoch,step,loss,validation_accuracy\n0.5,1,2.0,\n1,2,1.0,0.6\n2,4,0.5,0.7\n"


def classifier_folder(
    dataset: fo.Dataset, name: str, *, number: int, curves: bool = False, finished: bool = True, **recipe: Any
) -> Path:
    """Write a folder below Winnow's home; `number` is its place in time, and part of its version."""
    folder = winnow_home() / "classifiers" / name
    folder.mkdir(parents=True)
    if finished:
        about = {
            "version": f"version{number}",
            "classes": ["cat", "dog"],
            "dataset": dataset.name,
            "trained_at": f"2026-01-0{number}T00:00:00+00:00",
            "kept": "fine-tuned" if curves else "probe",
            "metric": "accuracy",
            "validation": {"probe": 0.5, "fine-tuned": 0.75},
            "training_images": 100,
            "training_fingerprint": "abc",
            "preprocessing": {"input": {"size": 160}},
            "recipe": {"preset": "quick", "epochs": 2, "amp": True, **recipe},
        }
        (folder / "classifier.json").write_text(json.dumps(about))
    if curves:
        (folder / "logs").mkdir()
        (folder / "logs" / "curves.csv").write_text(CURVE)
    return folder


def predict(dataset: fo.Dataset, field: str, version: str, labels: list[str]) -> None:
    """Write predictions of one classifier, as applying it does."""
    dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.add_sample_field(f"{field}.model_version", fo.StringField)
    found = [fo.Classification(label=label, confidence=0.9, model_version=version) for label in labels]
    dataset.set_values(field, found)
