"""What it costs to compare photos by their keypoints, beside embedding them: the dearest step of the search."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SIZE = (500, 375)
_ACROSS = 4  # places of a photo in each direction


def keypoint_cost(photos: list[Image.Image], folder: Path, *, quick: bool) -> dict[str, Any]:
    """Embed different pictures with lite0 at its own input size, search them, and compare the processor time.

    Args:
        photos: Each makes sixteen pictures that share no pixel, JPEG files of 500 x 375; four where it is to be quick.
        folder: Where the files and a cache go, which must not exist yet.
        quick: A smoke test.

    Returns:
        `pictures`, `pairs_compared` by keypoints, `flagged_pairs` (wrong, as no two share a pixel), the processor
        seconds of embedding and of comparing, and what the second is of the first: `share_of_embedding`.
    """
    from winnow.plugin.curation.duplicates import judge
    from winnow.plugin.curation.search import search
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.matching import features_of_files, match_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    paths = _places(photos, folder, 2 if quick else _ACROSS)
    backbone = load_backbone()
    preprocessing = Preprocessing(input=backbone.input)
    embed_images(paths[:8], paths[:8], backbone, preprocessing, cache_root=folder / "started")  # makes the network
    embedding = _Spent()
    found = embedding.on(lambda: embed_images(paths, paths, backbone, preprocessing, cache_root=folder / "cache"))
    features = features_of_files(paths, preprocessing)
    comparing, compared = _Spent(), []

    def verify(pairs: np.ndarray, told: Callable[[str, int, int], None]) -> np.ndarray:
        compared.append(len(pairs))
        return comparing.on(lambda: match_images(pairs, features, told))

    pairs = judge(search(found.vectors, found.thumbnails), found.vectors, found.thumbnails, verify=verify)
    return {
        "pictures": len(paths),
        "pairs_compared": sum(compared),
        "flagged_pairs": int(pairs.flagged.sum()),
        "embedding_seconds": round(embedding.seconds, 2),
        "comparing_seconds": round(comparing.seconds, 2),
        "share_of_embedding": round(comparing.seconds / embedding.seconds, 3),
    }


class _Spent:
    """Processor time of all threads of this process, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on(self, work: Callable[[], Any]) -> Any:
        """Do the work and count its time."""
        started = time.process_time()
        try:
            return work()
        finally:
            self.seconds += time.process_time() - started


def _places(photos: list[Image.Image], folder: Path, across: int) -> list[str]:
    """Cut each photo into as many places in each direction, and write them."""
    folder.mkdir(parents=True)
    paths = []
    for photo in photos:
        width, height = photo.width // across, photo.height // across
        for place in range(across**2):
            left, top = place % across * width, place // across * height
            paths.append(str(folder / f"{len(paths):04d}.jpg"))
            photo.crop((left, top, left + width, top + height)).resize(_SIZE).save(paths[-1], quality=90)
    return paths
