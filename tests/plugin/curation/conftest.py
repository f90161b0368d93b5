"""Real garments with copies planted among them, as the arrays that curation works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

SPARE_EVERY = 40


@dataclass(frozen=True, eq=False)
class Garments:
    """Planted copies, their sources and about 75 other images.

    Attributes:
        embeddings: (n, d) float32.
        thumbnails: (n, 32, 32) uint8.
        splits: (n,) object.
        shot: (n,) int. Images of the same shot share a number.
        is_copy: (n,) bool. Planted: a re-encoded, cropped or shifted image of the other split.
    """

    embeddings: np.ndarray
    thumbnails: np.ndarray
    splits: np.ndarray
    shot: np.ndarray
    is_copy: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Garments:
        return Garments(*(getattr(self, name)[rows] for name in Garments.__dataclass_fields__))


@pytest.fixture(scope="session")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Garments:
    """Return the demo's planted copies with their sources, and every 40th of the other images."""
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing
    from winnow.plugin.workflows.planting import plant

    folder = tmp_path_factory.mktemp("garments")
    planted = plant(folder, seed=0)
    shots = set(planted.copies) | set(planted.copies.values())
    spare = {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*")} - shots - set(planted.unreadable)
    names = sorted(shots) + sorted(spare)[::SPARE_EVERY]
    backbone = load_backbone("lite0")
    preprocessing = Preprocessing(input=replace(backbone.input, size=160, mode="squash"))
    found = embed_images(names, [str(folder / name) for name in names], backbone, preprocessing)
    sources = [planted.copies.get(name, name) for name in names]
    return Garments(
        embeddings=found.vectors,
        thumbnails=found.thumbnails,
        splits=np.array([Path(name).parts[0] for name in names], object),
        shot=np.unique(sources, return_inverse=True)[1],
        is_copy=np.array([name in planted.copies for name in names]),
    )
