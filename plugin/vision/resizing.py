"""The one way in which images are scaled."""

from __future__ import annotations

from typing import Literal

import numpy as np

Interpolation = Literal["bicubic", "bilinear"]


def resize(image: np.ndarray, width: int, height: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """Return the (h, w, 3) uint8 image as (height, width, 3) uint8, antialiased.

    torch's kernel for 8-bit images follows Pillow's `resize` to within two grey levels, in a quarter of its time.
    """
    import torch  # late: a form that only knows this package should not wait for it
    from torch.nn.functional import interpolate

    # In this order, as its strides tell torch that channels come last: else the result lies channel by channel, and to
    # copy it anywhere takes twice the time of scaling it.
    channels_last = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
    scaled = interpolate(channels_last, (height, width), mode=interpolation, antialias=True)
    return scaled[0].permute(1, 2, 0).numpy()
