"""How well two small grey images agree once one is laid over the other: placements searched, then refined.

An embedding says that two images show the same kind of thing; only pixels can say that they are the same shot. A coarse
search over orientations, scales, quarter-way angles and shifts on 16 x 16 pixels is followed by Gauss-Newton steps on
32 x 32 (Lucas and Kanade 1981, in the additive form of Baker and Matthews 2004, section 2) for an affine placement,
with gain and offset of the brightness left free. Agreement is then the zero-mean normalised cross-correlation over the
overlap, of the pixels and of their fine detail.

A placement is (a, b, c, d, down, right): the pixel of the first image that lies (y, x) from its centre lies
(a y + b x + down, c y + d x + right) from the centre of the second, once that is in its orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter

from ..machine import available_cores
from ..progress import Progress, silent
from .orientation import ORIENTATIONS, orient, oriented

SIDE = 32
_COARSE_SIDE = SIDE // 2
PIXEL_ROWS_WIDTH = _COARSE_SIDE**2
_ZOOMS = (1.12, 1.25, 1.4)
_SHIFT = 2  # coarse pixels, each way
_SHIFTS = 2 * _SHIFT + 1
_WINDOW = _COARSE_SIDE - 2 * _SHIFT
_STEPS = 6
_LARGEST_SHIFT = 9.0
_LARGEST_CHANGE = 0.3  # of a, b, c, d while a placement is refined
_SMALLEST_OVERLAP = 0.5
_DETAIL_SIGMA = 2.0
_AT_ONCE = 32_768  # pairs of 8 x 8 pixels, or images
_BLOCK = 128  # pairs whose pixels fit a core's cache


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
        placement: (m, 6) float32.
    """

    correlation: np.ndarray
    placement: np.ndarray


def pixel_rows(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n, 256) float32 rows of length 1: inner products are correlations of 16 x 16 pixels."""
    rows = _pooled(thumbnails, 2)
    for start in range(0, len(rows), _AT_ONCE):
        rows[start : start + _AT_ONCE] = _unit(rows[start : start + _AT_ONCE])
    return rows


def orientation_agreement(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return (m, 8) float32 correlations of 8 x 8 pixels with the second image in each orientation, as it lies."""
    rows = _unit(_pooled(thumbnails, 4))
    side = SIDE // 4
    order = np.arange(side * side).reshape(1, side, side)
    found = np.empty((len(pairs), len(ORIENTATIONS)), np.float32)
    for start in range(0, len(pairs), _AT_ONCE):
        first, second = pairs[start : start + _AT_ONCE].T
        for number in ORIENTATIONS:
            turned = rows[second][:, oriented(order, number).ravel()]
            found[start : start + len(first), number] = np.einsum("ij,ij->i", rows[first], turned)
    return found


def align_coarsely(
    thumbnails: np.ndarray,
    pairs: np.ndarray,
    orientation: np.ndarray | None = None,
    angles: Sequence[float] = (0.0,),
    progress: Progress = silent,
) -> CoarseAlignment:
    """Search the best placement of the second image on the first.

    Args:
        thumbnails: (n, 32, 32) uint8 or float32, grey.
        pairs: (m, 2) int. Rows of `thumbnails`.
        orientation: (m,) int. In which the second image of each pair is looked at; None = upright.
        angles: By which the second image is turned besides, in degrees.
        progress: Told after each block of pairs.
    """
    if not len(pairs):
        return CoarseAlignment(np.empty(0, np.float32), np.empty((0, 6), np.float32))
    views = _views(angles)

    def search(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, second = pairs[block].T
        turned = np.zeros(len(block), int) if orientation is None else orientation[block]
        one, two = _Spectra(thumbnails, first, np.zeros_like(turned), middle=True), _Spectra(thumbnails, second, turned)
        best = np.full(len(block), -2, np.float32)
        placement = np.zeros((len(block), 6), np.float32)
        for of_first, of_second in views:
            found = _shifted_correlations(one, of_first, two, of_second)
            place = found.argmax(axis=1)
            highest = found[np.arange(len(block)), place]
            better = highest > best
            best[better] = highest[better]
            # What lies at of_first q in the first image lies at of_second (q + shift) in the second.
            shift = 2 * (np.stack(np.divmod(place[better], _SHIFTS), axis=1) - _SHIFT).astype(np.float32)
            matrix = of_second @ np.linalg.inv(of_first)
            placement[better] = np.hstack([np.tile(matrix.ravel(), (better.sum(), 1)), shift @ of_second.T])
        return best, placement

    return CoarseAlignment(*_blockwise(search, np.arange(len(pairs)), "aligning roughly", progress))


def _views(angles: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the matrices by which the first and the second image are sampled.

    A zoomed image is sampled within itself, so that the closer view lies whole in the wider one, whichever is first.
    """
    upright = np.eye(2, dtype=np.float32)
    turns = [np.array([[c, -s], [s, c]], np.float32) for c, s in ((np.cos(a), np.sin(a)) for a in np.radians(angles))]
    zooms = [view for zoom in _ZOOMS for turn in turns for view in ((upright, turn / zoom), (upright / zoom, turn))]
    return [(upright, turn) for turn in turns] + zooms


def invert(placement: np.ndarray) -> np.ndarray:
    """Return the (m, 6) placements of the first images on the second ones."""
    matrix = np.linalg.inv(placement[:, :4].reshape(-1, 2, 2))
    shift = -np.einsum("mij,mj->mi", matrix, placement[:, 4:])
    return np.hstack([matrix.reshape(-1, 4), shift]).astype(np.float32)


def align_finely(
    thumbnails: np.ndarray,
    pairs: np.ndarray,
    placement: np.ndarray,
    orientation: np.ndarray | None = None,
    progress: Progress = silent,
) -> Agreement:
    """Refine each placement and measure the agreement there.

    Of the two images the closer view is laid on the wider one, so that all of it counts.

    Args:
        thumbnails: (n, 32, 32) uint8 or float32, grey.
        pairs: (m, 2) int.
        placement: (m, 6) float32, from `align_coarsely`.
        orientation: (m,) int, as there.
        progress: Told after each block of pairs.
    """
    if not len(pairs):
        return Agreement(np.empty(0, np.float32), np.empty(0, np.float32))
    turned = np.abs(np.linalg.det(placement[:, :4].reshape(-1, 2, 2))) > 1
    start = np.where(turned[:, None], invert(placement), placement)

    def agree(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, second = (np.asarray(thumbnails[rows], np.float32) for rows in pairs[block].T)
        if orientation is not None:
            second = orient(second, orientation[block])
        swap = turned[block, None, None]
        wanted, moving = np.where(swap, second, first), np.where(swap, first, second)
        rows, columns = _positions(_refine(wanted, moving, start[block]), *_grid(1))
        sampled, inside = _sample(np.stack([moving, _detail(moving)], axis=3), rows, columns)
        return (
            _masked_correlation(wanted.reshape(-1, SIDE * SIDE), sampled[..., 0], inside),
            _masked_correlation(_detail(wanted).reshape(-1, SIDE * SIDE), sampled[..., 1], inside),
        )

    return Agreement(*_blockwise(agree, np.arange(len(pairs)), "aligning pixels", progress))


def _detail(images: np.ndarray) -> np.ndarray:
    return images - gaussian_filter(images, (0, _DETAIL_SIGMA, _DETAIL_SIGMA))


def _blockwise(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], items: np.ndarray, step: str, progress: Progress
) -> list[np.ndarray]:
    """Run `function` on blocks of at least one item, in threads (numpy releases the GIL); join its two results."""
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    done, parts = 0, []
    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            for block, part in zip(blocks, pool.map(function, blocks), strict=True):
                parts.append(part)
                done += len(block)
                progress(step, done, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [np.concatenate(results) for results in zip(*parts, strict=True)]


def _pooled(thumbnails: np.ndarray, every: int) -> np.ndarray:
    """Return (n, (32 / every)^2) float32: the means of squares of pixels."""
    side = SIDE // every
    means = np.empty((len(thumbnails), side * side), np.float32)
    for start in range(0, len(thumbnails), _AT_ONCE):
        part = thumbnails[start : start + _AT_ONCE]
        total = np.zeros((len(part), side, side), np.uint16)
        for down in range(every):  # exact, and four times as fast as numpy's mean over two axes
            for right in range(every):
                total += part[:, down::every, right::every]
        np.divide(total.reshape(len(part), -1), np.float32(every**2), out=means[start : start + len(part)])
    return means


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True) + 1)


def _sampled(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return (m, 16, 16): the images at `matrix` times each second pixel's position from the centre."""
    along = (np.arange(_COARSE_SIDE, dtype=np.float32) - (_COARSE_SIDE - 1) / 2) * 2
    down, right = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    rows = matrix[0, 0] * down + matrix[0, 1] * right + (SIDE - 1) / 2
    columns = matrix[1, 0] * down + matrix[1, 1] * right + (SIDE - 1) / 2
    rows, columns = np.clip(rows, 0, SIDE - 1), np.clip(columns, 0, SIDE - 1)
    top, left = np.minimum(rows.astype(int), SIDE - 2), np.minimum(columns.astype(int), SIDE - 2)
    below, beside = rows - top, columns - left
    flat, at = images.reshape(-1, SIDE * SIDE), top * SIDE + left
    upper = flat[:, at] * (1 - beside) + flat[:, at + 1] * beside
    lower = flat[:, at + SIDE] * (1 - beside) + flat[:, at + SIDE + 1] * beside
    return (upper * (1 - below) + lower * below).reshape(-1, _COARSE_SIDE, _COARSE_SIDE)


class _Spectra:
    """What correlations of some rows' 16 x 16 samples need: made once for each different image and matrix."""

    def __init__(self, thumbnails: np.ndarray, rows: np.ndarray, orientation: np.ndarray, middle: bool = False) -> None:
        different, self._at = np.unique(8 * rows.astype(np.int64) + orientation, return_inverse=True)
        self._images = orient(np.asarray(thumbnails[different // 8], np.float32), different % 8)
        self._middle = middle
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def of(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's spectrum (m, 144) complex64 and norm: (m, 1) of its middle, or (m, 25) of each shift."""
        key = matrix.tobytes()
        if key not in self._known:
            samples = _sampled(self._images, matrix)
            if self._middle:
                inner = samples[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
                inner = inner - inner.mean(axis=(1, 2), keepdims=True)
                samples = np.zeros_like(samples)
                samples[:, :_WINDOW, :_WINDOW] = inner
                norm = np.einsum("mij,mij->m", inner, inner)[:, None]
            else:
                samples = samples - samples.mean(axis=(1, 2), keepdims=True)
                squares, sums = _BOX @ (samples * samples) @ _BOX.T, _BOX @ samples @ _BOX.T
                norm = np.maximum(squares - sums * sums / _WINDOW**2, 0).reshape(len(samples), -1)
            self._known[key] = rfft2(samples).reshape(len(samples), -1), norm
        spectrum, norm = self._known[key]
        return spectrum[self._at], norm[self._at]


def _shifted_correlations(one: _Spectra, of_first: np.ndarray, two: _Spectra, of_second: np.ndarray) -> np.ndarray:
    """Return (m, 25): how the middle of the first images correlates with each shift of it in the second ones.

    Images without any contrast correlate with nothing.
    """
    (first, norm), (second, norms) = one.of(of_first), two.of(of_second)
    product = first.conj() * second
    covariance = product.real @ _COSINES - product.imag @ _SINES  # the second's mean drops out, as the first's is 0
    return covariance / np.sqrt((norm + 1) * (norms + 1))


def _waves() -> tuple[np.ndarray, np.ndarray]:
    """Return what turns a half spectrum's real and imaginary part, (144, 25) each, into the 25 wanted shifts."""
    down, right = np.meshgrid(np.arange(_COARSE_SIDE), np.arange(_COARSE_SIDE // 2 + 1), indexing="ij")
    twice = np.where((right == 0) | (right == _COARSE_SIDE // 2), 1, 2) / _COARSE_SIDE**2
    shifts = np.stack(np.divmod(np.arange(_SHIFTS**2), _SHIFTS))
    phase = 2 * np.pi / _COARSE_SIDE * (down.reshape(-1, 1) * shifts[0] + right.reshape(-1, 1) * shifts[1])
    return tuple((wave(phase) * twice.reshape(-1, 1)).astype(np.float32) for wave in (np.cos, np.sin))


_COSINES, _SINES = _waves()
# Sums the window of each shift.
_BOX = np.array([[shift <= at < shift + _WINDOW for at in range(_COARSE_SIDE)] for shift in range(_SHIFTS)], np.float32)


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
    a, b, c, d, shift_down, shift_right = (placement[:, [column]] for column in range(6))
    centre = (SIDE - 1) / 2
    return a * down + b * right + shift_down + centre, c * down + d * right + shift_right + centre


def _sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate (m, 32, 32, c) images bilinearly at (m, q) positions, to (m, q, c); also tell which lie inside."""
    inside = (rows >= 0) & (rows <= SIDE - 1) & (columns >= 0) & (columns <= SIDE - 1)
    top = np.clip(rows, 0, SIDE - 2).astype(np.int32)
    left = np.clip(columns, 0, SIDE - 2).astype(np.int32)
    below, beside = (rows - top)[..., None].astype(np.float32), (columns - left)[..., None].astype(np.float32)
    flat = images.reshape(len(images) * SIDE * SIDE, -1)
    at = top * SIDE + left + (np.arange(len(images), dtype=np.int32) * SIDE * SIDE)[:, None]

    def corner(offset: int) -> np.ndarray:
        return flat.take(at + offset, axis=0, mode="clip")  # in half the time of flat[at + offset]

    upper, lower = corner(0), corner(SIDE)
    upper += (corner(1) - upper) * beside
    lower += (corner(SIDE + 1) - lower) * beside
    upper += (lower - upper) * below
    return upper, inside


def _refine(first: np.ndarray, second: np.ndarray, placement: np.ndarray) -> np.ndarray:
    """Return the (m, 6) placements after Gauss-Newton steps on every second row and column, best seen kept."""
    down, right = _grid(2)
    wanted = first[:, 1::2, 1::2].reshape(-1, len(down))
    start = placement.astype(np.float32)
    current, best = start, start.copy()
    agreement = np.full(len(first), -2, np.float32)
    damping = np.diag([SIDE, SIDE, SIDE, SIDE, 1, 1, 1, 1]).astype(np.float32)
    bounds = np.array([_LARGEST_CHANGE] * 4 + [_LARGEST_SHIFT] * 2, np.float32)
    limits = np.array([0.08] * 4 + [1] * 2, np.float32)
    centre = start * np.array([1, 1, 1, 1, 0, 0], np.float32)
    slopes = np.gradient(second, axis=(1, 2))
    channels = np.stack([second, *slopes], axis=3)
    for step in range(_STEPS + 1):
        rows, columns = _positions(current, down, right)
        sampled, inside = _sample(channels, rows, columns)
        moved, slope_down, slope_right = (sampled[..., channel] for channel in range(3))
        found = _masked_correlation(wanted, moved, inside)
        better = found > agreement
        agreement[better], best[better] = found[better], current[better]
        if step == _STEPS:
            break
        parts = [slope_down * down, slope_down * right, slope_right * down, slope_right * right]
        parts += [slope_down, slope_right, moved, np.ones_like(moved)]
        jacobian = np.stack(parts, axis=2) * inside[:, :, None].astype(np.float32)
        normal = jacobian.transpose(0, 2, 1) @ jacobian + damping
        solution = np.linalg.solve(normal, jacobian.transpose(0, 2, 1) @ wanted[:, :, None])[:, :, 0]
        gain = np.maximum(solution[:, 6:7], 0.3)  # brightness of the first over the second; the step is scaled by it
        moved_to = current + np.clip(solution[:, :6] / gain, -limits, limits)
        current = centre + np.clip(moved_to - centre, -bounds, bounds)
    return best
