"""Torch's side of inference: the network with its normalisation, its GPU engine, its export to ONNX."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .preprocessing import Input

logger = logging.getLogger(__name__)


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

    A batch that does not fit the GPU's memory is halved until it does, and so are the batches after it. A network that
    gives numbers beyond half precision (65,504 at most, on the way too) runs in float32 from then on.

    Args:
        network: (n, 3, h, w) float32, normalised -> (n, d). It stays on the device where it is; elsewhere runs a copy.
        fitted: Its input.
        device: As in "cuda"; None = a GPU where torch sees one.
        half: Whether to run in half precision; None = on a GPU.
    """

    concurrent = False

    def __init__(
        self, network: nn.Module, fitted: Input, device: str | None = None, *, half: bool | None = None
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.on_gpu = self.device.type == "cuda"
        model = ImageNetwork(_on(self.device, network), fitted)
        self._network = model.eval().to(self.device).to(memory_format=torch.channels_last)
        self._half = self.on_gpu if half is None else half
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
                if self.on_gpu:
                    torch.cuda.empty_cache()
                logger.warning("out of GPU memory at %d images a batch; going on with %d", len(part), self._limit)
                continue
            start += len(part)
        return np.concatenate(outputs)

    def room(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return uint8 memory to gather a batch in; the GPU fetches it from there by itself."""
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.on_gpu).numpy()

    def start(self, images: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin with (n, size, size, 3) uint8 images in memory from `room`; return what waits for their outputs.

        On a GPU this returns as soon as all is queued; elsewhere, or where a batch is too large, the work is done when
        its outputs are asked for.
        """
        if not self.on_gpu or len(images) > (self._limit or len(images)):
            return partial(self, images)
        half = self._half
        try:
            outputs = self._forward(torch.from_numpy(images).to(self.device, non_blocking=True))
        except torch.OutOfMemoryError:
            return partial(self, images)
        found = torch.empty(outputs.shape, dtype=outputs.dtype, pin_memory=True)
        found.copy_(outputs, non_blocking=True)
        queued = torch.cuda.Event()
        queued.record()

        def finish() -> np.ndarray:
            queued.synchronize()  # of this batch alone: the next one is queued behind it
            # A copy, since pinned memory is scarce and its outputs may be kept; `images` stays alive until here.
            whole = found.numpy().copy()
            return self(images) if half and not np.isfinite(whole).all() else whole

        return finish

    def _run(self, images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(images)
        if self.on_gpu:
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        outputs = self._forward(batch).cpu().numpy()
        if self._half and not np.isfinite(outputs).all():
            self._half = False
            logger.warning("the network gives numbers beyond half precision; going on in float32")
            outputs = self._forward(batch).cpu().numpy()
        return outputs

    def _forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast(self.device.type, torch.float16, enabled=self._half):
            return self._network(batch).float()


def _on(device: torch.device, network: nn.Module) -> nn.Module:
    """Return the network itself where it is on that kind of device, else a copy: moving it would move the caller's."""
    first = next(chain(network.parameters(), network.buffers()), None)
    return network if first is None or first.device.type == device.type else copy.deepcopy(network)


def export_onnx(network: nn.Module, fitted: Input, path: Path) -> None:
    """Write the network with its normalisation as an ONNX file: `images` (n, size, size, 3) uint8 -> `outputs`."""
    write_onnx(ImageNetwork(network, fitted), fitted.size, path, ("outputs",))


def write_onnx(model: nn.Module, size: int, path: Path, outputs: tuple[str, ...]) -> None:
    """Write a model of (n, size, size, 3) uint8 `images`, of any number, as an ONNX file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "model.onnx"
        with warnings.catch_warnings():  # deprecations inside torch's exporter: nothing that a user could act on
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model.eval(),
                (example,),
                made,
                dynamo=True,
                external_data=False,
                dynamic_shapes={"images": {0: torch.export.Dim("n")}},
                input_names=["images"],
                output_names=list(outputs),
                verbose=False,
            )
        os.replace(made, path)
