"""What the operators' tests share: the plugin in FiftyOne's plugins folder, and a small dataset with known faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 50)}
PER_CLASS = {"train": 10, "test": 4}


@pytest.fixture(scope="session", autouse=True)
def plugin() -> None:
    """Link the plugin into the session's plugins folder."""
    from winnow.plugin.workflows.install import install

    install()


@pytest.fixture
def colours(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    """Return 42 images of three colours, split by tags, with one wrong label and one copy of a training image in test.

    The field `note` is a string field, `boxes` one of Detections: neither is a label field.
    """
    import fiftyone as fo

    rng = np.random.default_rng(0)
    samples = []
    for label, colour in COLOURS.items():
        for split, count in PER_CLASS.items():
            for number in range(count):
                path = tmp_path / "images" / split / f"{label} {number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                _patches(colour, rng).save(path)
                samples.append(
                    fo.Sample(filepath=str(path), tags=[split], ground_truth=fo.Classification(label=label), note="")
                )
    Image.open(samples[0].filepath).save(samples[10].filepath.replace(".png", ".jpg"), quality=80)
    samples[10].filepath = samples[10].filepath.replace(".png", ".jpg")
    samples[3].ground_truth.label = "red"

    made = dataset()
    made.add_samples(samples)
    made.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    return made


def _patches(colour: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    """Return a 48-pixel image of coarse random patches around a colour."""
    patches = np.clip(np.array(colour) + rng.normal(0, 40, (6, 6, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(patches).resize((48, 48), Image.Resampling.NEAREST)
