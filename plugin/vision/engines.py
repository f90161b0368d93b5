"""Engines: uint8 images in, float32 outputs out. ONNX Runtime on a CPU (2.5 times torch's speed there), torch on a GPU.

Normalising is the first layer of what an engine runs, so an exported network cannot be fed with the wrong mean.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from ..home import winnow_home
from .preprocessing import Input

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """Runs one network.

    Attributes:
        concurrent: Each call keeps one core busy, and threads may call at the same time; else one caller at a time.
    """

    concurrent: bool

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Map (n, size, size, 3) uint8 images to (n, d) float32 outputs."""


class ImageNetwork(nn.Module):
    """A network with its normalisation in front: (n, h, w, 3) uint8 -> (n, d) float32."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, fitted: Input) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(fitted.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(fitted.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network((images.permute(0, 3, 1, 2).float() - self.mean) / self.std)


class TorchEngine:
    """Runs a network in torch; on a GPU in half precision and channels_last, from pinned memory.

    A batch that does not fit the GPU's memory is halved until it does, and so are the batches after it.
    """

    concurrent = False

    def __init__(self, network: nn.Module, fitted: Input, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = ImageNetwork(network, fitted).eval().to(self.device).to(memory_format=torch.channels_last)
        self._limit: int | None = None  # images at a time, once a batch was too large

    def __call__(self, images: np.ndarray) -> np.ndarray:
        outputs: list[np.ndarray] = []
        start = 0
        while start < len(images) or not outputs:
            part = images[start : start + (self._limit or len(images))]
            try:
                outputs.append(self._run(part))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self._limit = len(part) // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                logger.warning("out of GPU memory at %d images a batch; going on with %d", len(part), self._limit)
                continue
            start += len(part)
        return np.concatenate(outputs)

    def _run(self, images: np.ndarray) -> np.ndarray:
        on_gpu = self.device.type == "cuda"
        batch = torch.from_numpy(images)
        if on_gpu:
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=on_gpu):
            return self._network(batch).float().cpu().numpy()


class OnnxEngine:
    """Runs an ONNX file in ONNX Runtime on the CPU, on one core a call.

    Cores that work on images of their own never wait for each other, as those that share one image's layers do: on two
    cores the first way gave 20 % more images a second.
    """

    concurrent = True

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self._session.run(None, {"images": images})[0]


def engine_for(network: nn.Module, fitted: Input, key: str) -> Engine:
    """Return the fastest engine for this machine.

    Args:
        network: (n, 3, h, w) float32 -> (n, d), in evaluation mode.
        fitted: Its input.
        key: Names weights and architecture: the exported file is kept under it and found again by the next process.
    """
    if torch.cuda.is_available():
        return TorchEngine(network, fitted)
    constants = hashlib.sha256(repr((fitted.mean, fitted.std)).encode()).hexdigest()[:8]  # they are in the file too
    path = winnow_home() / "cache" / "onnx" / f"{key}-{fitted.size}-{constants}.onnx"
    try:
        if path.exists():
            with contextlib.suppress(Exception):  # a damaged file: written again below
                return OnnxEngine(path)
        export_onnx(network, fitted, path)
        return OnnxEngine(path)
    except Exception as cause:  # an operator that ONNX lacks, a read-only folder: slower, but as right
        logger.warning("no ONNX engine for %s (%s: %s); torch runs it instead", key, type(cause).__name__, cause)
        return TorchEngine(network, fitted, "cpu")


def export_onnx(network: nn.Module, fitted: Input, path: Path) -> None:
    """Write the network with its normalisation as an ONNX file: `images` (n, size, size, 3) uint8 -> `outputs`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, fitted.size, fitted.size, 3, dtype=torch.uint8)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "model.onnx"
        with warnings.catch_warnings():  # deprecations inside torch's exporter: nothing that a user could act on
            warnings.simplefilter("ignore")
            torch.onnx.export(
                ImageNetwork(network, fitted).eval(),
                (example,),
                made,
                dynamo=True,
                external_data=False,
                dynamic_shapes={"images": {0: torch.export.Dim("n")}},
                input_names=["images"],
                output_names=["outputs"],
                verbose=False,
            )
        os.replace(made, path)
