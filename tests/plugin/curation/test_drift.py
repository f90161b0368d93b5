from __future__ import annotations

import numpy as np

from winnow.plugin.curation.drift import check_drift

WIDTH = 16


def images(count: int, seed: int = 0, moved: float = 0.0) -> np.ndarray:
    """Return vectors around five centres, all moved by so much."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(99).normal(size=(5, WIDTH))
    return (centres[rng.integers(5, size=count)] + rng.normal(size=(count, WIDTH)) + moved).astype(np.float32)


def test_images_that_moved_are_a_drift() -> None:
    found = check_drift(images(300), images(250, seed=1, moved=0.5))

    assert found.is_drift
    assert found.effect_size > 0.3
