"""Engines: uint8 images in, float32 outputs out. ONNX Runtime on a CPU (2.5 times torch's speed there), torch on a GPU.

Normalising is the first layer of what an engine runs, so an exported network cannot be fed with the wrong mean.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ..home import winnow_home
from .preprocessing import Input, Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from .backbones import Backbone

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """Runs one network.

    Attributes:
        concurrent: Each call keeps one core busy, and threads may call at the same time; else one caller at a time.
    """

    concurrent: bool

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Map (n, size, size, 3) uint8 images to (n, d) float32 outputs."""


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine on a device that may work beside the processor.

    Attributes:
        on_gpu: Whether it does: `start` then returns while the device computes.
    """

    on_gpu: bool

    def room(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return uint8 memory to gather a batch in, from which the way to the device is short."""

    def start(self, images: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin with a batch, whose memory is not to be written any more; return what waits for its outputs."""


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


def has_gpu() -> bool:
    """Tell whether `engine_for` would take a GPU."""
    import torch  # late: a form that only knows the jobs' settings should not wait for it

    return torch.cuda.is_available()


def engine_of(backbone: Backbone, preprocessing: Preprocessing) -> Engine:
    """Return the fastest engine of this machine for a backbone, see `engine_for`."""
    key = f"{backbone.architecture}-{backbone.weights_hash}"
    return engine_for(backbone.network, preprocessing.input, key)


def engine_for(network: nn.Module, fitted: Input, key: str) -> Engine:
    """Return the fastest engine for this machine.

    Args:
        network: (n, 3, h, w) float32 -> (n, d), in evaluation mode.
        fitted: Its input.
        key: Names weights and architecture: the exported file is kept under it and found again by the next process.
    """
    from .torch_engine import TorchEngine, export_onnx  # late, see above

    if has_gpu():
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
