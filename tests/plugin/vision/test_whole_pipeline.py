"""From files of every mode and size to vectors: the same, however they are batched, ordered, read and run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.engines import ENGINES_AGREE
from winnow.plugin.vision import ahead, pipeline
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.decoder import Decode
from winnow.plugin.vision.embeddings import embed_images
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine

MODES = {
    "1": "png",
    "L": "jpg",
    "LA": "png",
    "P": "gif",
    "RGB": "jpg",
    "RGBA": "webp",
    "CMYK": "jpg",
    "I;16": "png",
    "F": "tif",
}
SIZES = st.integers(1, 90)
IMAGES = st.lists(st.tuples(st.sampled_from(sorted(MODES)), SIZES, SIZES), min_size=1, max_size=9)


def write(folder: Path, images: list[tuple[str, int, int]], rng: np.random.Generator) -> list[str]:
    paths = []
    for number, (mode, width, height) in enumerate(images):
        path = folder / f"{number}.{MODES[mode]}"
        if mode == "I;16":
            Image.fromarray(rng.integers(0, 4096, (height, width), dtype=np.uint16)).save(path)
        elif mode == "F":
            Image.fromarray(rng.uniform(0, 4095, (height, width)).astype(np.float32)).save(path)
        else:
            pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
            Image.fromarray(pixels, "RGBA").convert("RGB" if mode in ("CMYK", "1", "P") else "RGBA").convert(mode).save(
                path
            )
        paths.append(str(path))
    return paths


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=IMAGES,
    batch_size=st.integers(1, 12),
    cores=st.integers(1, 4),
    on_torch=st.booleans(),
    readers=st.sampled_from(["threads", "1"]),
    seed=st.integers(0, 99),
)
def test_vectors_are_those_of_each_file_alone(
    images: list[tuple[str, int, int]],
    batch_size: int,
    cores: int,
    on_torch: bool,
    readers: str,
    seed: int,
    tiny_vit: Backbone,
) -> None:
    rng = np.random.default_rng(seed)
    preprocessing = Preprocessing(Decode(value_range=(0, 4095)), tiny_vit.input)
    alone = TorchEngine(tiny_vit.network, tiny_vit.input, "cpu")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_READERS", readers)
        for module in (ahead, pipeline):
            patch.setattr(module, "available_cores", lambda: cores)
        if on_torch:
            patch.setattr("winnow.plugin.vision.embeddings.engine_of", lambda *_: alone)
        paths = write(Path(folder), images, rng)
        order = rng.permutation(len(paths))

        found = embed_images(
            order,
            [paths[row] for row in order],
            tiny_vit,
            preprocessing,
            batch_size=batch_size,
            cache_root=Path(folder),
        )

        assert found.failures == ()
        expected = np.concatenate([alone(preprocessing(paths[row])[None]) for row in order])
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4 if on_torch else ENGINES_AGREE)
