"""How well two small grey images agree once one is laid over the other: shifts and scales searched, then refined.

An embedding says that two images show the same kind of thing; only pixels can say that they are the same shot. A coarse
search over integer shifts and a few scales on 16 x 16 pixels is followed by Gauss-Newton steps on 32 x 32 (Lucas and
Kanade 1981, in the inverse-free additive form of Baker and Matthews 2004, section 2) for shift, scale and aspect, with
gain and offset of the brightness left free. Agreement is then the zero-mean normalised cross-correlation over the
overlap, of the pixels and of their fine detail.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ..progress import Progress, silent

SIDE = 32
_COARSE_SIDE = SIDE // 2
_SCALES = (1 / 1.2, 1 / 1.1, 1.0, 1.1, 1.2)
_COARSE_SHIFT = 2
_STEPS = 5
_LARGEST_SHIFT = 9.0
_LARGEST_LOG_SCALE = 0.4
_SMALLEST_OVERLAP = 0.55
_DETAIL_SIGMA = 2.0
_BLOCK = 512
_THREADS = 2


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well the two images of each of m pairs agree after alignment.

    Attributes:
        correlation: (m,) float32 in [-1, 1]. Of the pixels.
        detail: (m,) float32 in [-1, 1]. Of what is left after a Gaussian blur (sigma 2 pixels) is subtracted.
    """

    correlation: np.ndarray
    detail: np.ndarray


@dataclass(frozen=True, eq=False)
class CoarseAlignment:
    """The best of the searched placements for each of m pairs.

    Attributes:
        correlation: (m,) float32 in [-1, 1].
        placement: (m, 4) float32. Shift down and right in pixels of 32, logarithms of the scales down and right.
    """

    correlation: np.ndarray
    placement: np.ndarray


def align_coarsely(thumbnails: np.ndarray, pairs: np.ndarray, progress: Progress = silent) -> CoarseAlignment:
    """Search the best placement of the second image on the first.

    Args:
        thumbnails: (n, 32, 32) uint8 or float32, grey.
        pairs: (m, 2) int. Rows of `thumbnails`.
        progress: Told after each block of pairs.
    """
    scaled = [_magnified(thumbnails, scale) for scale in _SCALES]
    upright = scaled[_SCALES.index(1.0)]

    def search(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, second = block.T
        best = np.full(len(block), -2, np.float32)
        placement = np.zeros((len(block), 4), np.float32)
        for scale, images in zip(_SCALES, scaled, strict=True):
            for down in range(-_COARSE_SHIFT, _COARSE_SHIFT + 1):
                for right in range(-_COARSE_SHIFT, _COARSE_SHIFT + 1):
                    found = _correlation(*_overlap(upright[first], images[second], down, right))
                    better = found > best
                    best[better] = found[better]
                    placement[better] = (2 * down * scale, 2 * right * scale, np.log(scale), np.log(scale))
        return best, placement

    return CoarseAlignment(*_blockwise(search, pairs, "aligning roughly", progress))


def align_finely(
    thumbnails: np.ndarray, pairs: np.ndarray, placement: np.ndarray, progress: Progress = silent
) -> Agreement:
    """Refine each placement and measure the agreement there.

    Args:
        thumbnails: (n, 32, 32) uint8 or float32, grey.
        pairs: (m, 2) int.
        placement: (m, 4) float32, from `align_coarsely`.
        progress: Told after each block of pairs.
    """
    images = np.asarray(thumbnails, np.float32)
    details = images - gaussian_filter(images, (0, _DETAIL_SIGMA, _DETAIL_SIGMA))

    def agree(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, second = pairs[block].T
        refined = _refine(images[first], images[second], placement[block])
        rows, columns = _positions(refined, *_grid(1))
        results = []
        for source in (images, details):
            moved, inside = _sample(source[second], rows, columns)
            results.append(_masked_correlation(source[first].reshape(-1, SIDE * SIDE), moved, inside))
        return results[0], results[1]

    return Agreement(*_blockwise(agree, np.arange(len(pairs)), "aligning pixels", progress))


def _blockwise(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], items: np.ndarray, step: str, progress: Progress
) -> list[np.ndarray]:
    """Run `function` on blocks of items in threads (numpy releases the GIL); join its two results in order."""
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    done, parts = 0, []
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            for block, part in zip(blocks, pool.map(function, blocks), strict=True):
                parts.append(part)
                done += len(block)
                progress(step, done, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if not parts:
        parts = [function(items)]
    return [np.concatenate(results) for results in zip(*parts, strict=True)]


def _magnified(thumbnails: np.ndarray, scale: float) -> np.ndarray:
    """Return (n, 16, 16) float32 such that one coarse pixel covers 2 * scale pixels of the thumbnail, centred."""
    centre = (SIDE - 1) / 2
    along = np.clip((np.arange(_COARSE_SIDE) - (_COARSE_SIDE - 1) / 2) * 2 * scale + centre, 0, SIDE - 1)
    low = np.minimum(along.astype(int), SIDE - 2)
    share = (along - low).astype(np.float32)
    images = np.asarray(thumbnails, np.float32)
    rows = images[:, low] * (1 - share)[:, None] + images[:, low + 1] * share[:, None]
    return rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share


def _overlap(first: np.ndarray, second: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both images' (m, q) pixels where pixel (y, x) of the first lies on (y + down, x + right) of the second."""
    height, width = first.shape[1:]
    one = first[:, max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    two = second[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    pixels = one.shape[1] * one.shape[2]
    return one.reshape(-1, pixels), two.reshape(-1, pixels)


def _correlation(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the (m,) correlations of two (m, q) arrays; images without any contrast correlate with nothing."""
    count = one.shape[1]
    sum_one, sum_two = one.sum(1), two.sum(1)
    covariance = np.einsum("ij,ij->i", one, two) - sum_one * sum_two / count
    variance = np.einsum("ij,ij->i", one, one) - sum_one**2 / count
    variance_two = np.einsum("ij,ij->i", two, two) - sum_two**2 / count
    return covariance / np.sqrt((np.maximum(variance, 0) + 1) * (np.maximum(variance_two, 0) + 1))


def _masked_correlation(one: np.ndarray, two: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the (m,) correlations over the pixels that are `inside`; -1 where too few are."""
    weight = inside.astype(np.float32)
    count = np.maximum(weight.sum(1), 1)
    one = (one - ((one * weight).sum(1) / count)[:, None]) * weight
    two = (two - ((two * weight).sum(1) / count)[:, None]) * weight
    found = (one * two).sum(1) / np.sqrt(((one * one).sum(1) + 1) * ((two * two).sum(1) + 1))
    return np.where(count >= _SMALLEST_OVERLAP * one.shape[1], found, -1).astype(np.float32)


def _grid(every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the (q,) positions, from the centre, of every `every`-th row and column of a thumbnail."""
    along = np.arange(every // 2, SIDE, every, dtype=np.float32) - (SIDE - 1) / 2
    down, right = np.meshgrid(along, along, indexing="ij")
    return down.ravel(), right.ravel()


def _positions(placement: np.ndarray, down: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the grid of the first image lies on the second: rows (m, q) and columns (m, q)."""
    centre = (SIDE - 1) / 2
    scales = np.exp(placement[:, 2:])
    rows = down[None] * scales[:, :1] + placement[:, :1] + centre
    columns = right[None] * scales[:, 1:] + placement[:, 1:2] + centre
    return rows, columns


def _sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate (m, 32, 32) images bilinearly at (m, q) positions; also tell which positions lie inside."""
    inside = (rows >= 0) & (rows <= SIDE - 1) & (columns >= 0) & (columns <= SIDE - 1)
    top = np.clip(np.floor(rows).astype(np.int32), 0, SIDE - 2)
    left = np.clip(np.floor(columns).astype(np.int32), 0, SIDE - 2)
    below, beside = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    flat, at, own = images.reshape(-1, SIDE * SIDE), top * SIDE + left, np.arange(len(images))[:, None]
    upper = flat[own, at] * (1 - beside) + flat[own, at + 1] * beside
    lower = flat[own, at + SIDE] * (1 - beside) + flat[own, at + SIDE + 1] * beside
    return upper * (1 - below) + lower * below, inside


def _refine(first: np.ndarray, second: np.ndarray, placement: np.ndarray) -> np.ndarray:
    """Return the (m, 4) placements after Gauss-Newton steps on every second row and column, best seen kept."""
    down, right = _grid(2)
    wanted = first[:, 1::2, 1::2].reshape(-1, len(down))
    current, best = placement.astype(np.float32), placement.astype(np.float32)
    agreement = np.full(len(first), -2, np.float32)
    damping = np.diag([1, 1, SIDE, SIDE, 1, 1]).astype(np.float32)
    reach = 0.7  # pixels between the two samples of a derivative, each way
    for step in range(_STEPS + 1):
        rows, columns = _positions(current, down, right)
        moved, inside = _sample(second, rows, columns)
        found = _masked_correlation(wanted, moved, inside)
        better = found > agreement
        agreement[better], best[better] = found[better], current[better]
        if step == _STEPS:
            break
        slope_down = (_sample(second, rows + reach, columns)[0] - _sample(second, rows - reach, columns)[0]) / (
            2 * reach
        )
        slope_right = (_sample(second, rows, columns + reach)[0] - _sample(second, rows, columns - reach)[0]) / (
            2 * reach
        )
        scales = np.exp(current[:, 2:])
        jacobian = np.stack(
            [
                slope_down,
                slope_right,
                slope_down * down * scales[:, :1],
                slope_right * right * scales[:, 1:],
                moved,
                np.ones_like(moved),
            ],
            axis=2,
        ) * inside[:, :, None].astype(np.float32)
        normal = np.einsum("mqi,mqj->mij", jacobian, jacobian) + damping
        solution = np.linalg.solve(normal, np.einsum("mqi,mq->mi", jacobian, wanted)[:, :, None])[:, :, 0]
        gain = np.maximum(solution[:, 4:5], 0.3)  # brightness of the first over the second; the step is scaled by it
        limits = np.array([1, 1, 0.08, 0.08], np.float32)
        bounds = np.array([_LARGEST_SHIFT, _LARGEST_SHIFT, _LARGEST_LOG_SCALE, _LARGEST_LOG_SCALE], np.float32)
        current = np.clip(current + np.clip(solution[:, :4] / gain, -limits, limits), -bounds, bounds)
    return best
