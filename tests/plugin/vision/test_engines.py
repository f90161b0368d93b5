from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from winnow.plugin.vision.backbones import Backbone, load_backbone
from winnow.plugin.vision.engines import OnnxEngine, engine_for
from winnow.plugin.vision.preprocessing import Input
from winnow.plugin.vision.torch_engine import TorchEngine, export_onnx

Engines = tuple[TorchEngine, OnnxEngine, np.ndarray]
on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is never served by ONNX Runtime")


@pytest.fixture(scope="module", params=["lite0", "test_vit", "test_resnet"])
def engines(
    request: pytest.FixtureRequest, random_weights: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Engines:
    """Return both engines of a network and five images."""
    name = request.param
    backbone = load_backbone() if name == "lite0" else load_backbone(name, random_weights(name))
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(backbone.network, backbone.input, path)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    images = coarse.repeat(backbone.input.size // 4, axis=1).repeat(backbone.input.size // 4, axis=2)
    return TorchEngine(backbone.network, backbone.input, "cpu"), OnnxEngine(path), images


class Mean(nn.Module):
    """(n, 3, h, w) -> (n, 3): small enough to be exported in a moment."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def test_onnx_runtime_gives_what_torch_gives(engines: Engines) -> None:
    by_torch, by_onnx, images = engines

    expected, found = by_torch(images), by_onnx(images)

    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert expected.std(axis=0).max() > 1e-3  # else any two networks would agree
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_outputs_do_not_depend_on_the_batch_size(engines: Engines) -> None:
    for engine, images in ((engines[0], engines[2]), (engines[1], engines[2])):
        whole = engine(images)

        in_parts = np.concatenate([engine(images[:1]), engine(images[1:3]), engine(images[3:])])

        np.testing.assert_allclose(in_parts, whole, atol=1e-4)


def test_images_are_normalised_by_the_engine() -> None:
    fitted = Input(size=4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    images = np.full((1, 4, 4, 3), 255, np.uint8)

    assert TorchEngine(Mean(), fitted, "cpu")(images).tolist() == [[1.0, 3.0, 1.0]]


@on_cpu
def test_the_exported_file_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))
    engine_for(Mean(), Input(size=4), "mean")
    (file,) = (tmp_path / "cache" / "onnx").iterdir()
    written = file.stat().st_mtime_ns

    engine = engine_for(Mean(), Input(size=4), "mean")

    assert isinstance(engine, OnnxEngine)
    assert file.stat().st_mtime_ns == written


@on_cpu
def test_another_normalisation_gets_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))
    images = np.full((1, 4, 4, 3), 255, np.uint8)

    found = [
        engine_for(Mean(), Input(size=4, mean=mean, std=(1.0, 1.0, 1.0)), "mean")(images).tolist()
        for mean in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    ]

    assert found == [[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]]


@on_cpu
def test_where_onnx_fails_torch_runs_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "file"))

    with caplog.at_level(logging.WARNING):
        engine = engine_for(Mean(), Input(size=4), "mean")

    assert isinstance(engine, TorchEngine)
    assert "torch runs it instead" in caplog.text


def test_the_tiny_backbone_is_a_network_like_any_other(tiny_vit: Backbone) -> None:
    images = np.zeros((3, tiny_vit.input.size, tiny_vit.input.size, 3), np.uint8)

    assert TorchEngine(tiny_vit.network, tiny_vit.input, "cpu")(images).shape == (3, tiny_vit.width)
