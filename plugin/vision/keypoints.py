"""Whether two large images show the same shot: keypoints that match under one placement, and pixels that agree there.

Keypoints are ORB's (Rublee et al. 2011, "ORB: an efficient alternative to SIFT or SURF"), which told copies from others
as surely as SIFT here in a fifth of its time. Matches are mutual nearest neighbours that pass Lowe's ratio test (2004,
section 7.1); RANSAC finds the affine placement that most of them follow. Letters, bricks and squares of a chessboard
match those of other images too, so a placement counts by the share of the overlap in which the pixels agree as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

SMALLEST_SIDE = 128  # of the longer side; smaller images are thumbnails themselves
_SIDE = 320
_SHORTEST = 64  # pixels of 320; ORB has no keypoints within 31 pixels of the border
_KEYPOINTS = 400
_RATIO = 0.8
_FEWEST_MATCHES = 8  # no stranger's placement is looked for at less
_LARGEST_ERROR = 3.0  # pixels of 320
_LARGEST_ZOOM = 4.0
_LARGEST_STRETCH = 2.5
_SMALLEST_OVERLAP = 0.5
_SMALLEST_SPREAD = 0.1  # of the overlap: skies agree with each other around a few specks
_NOISE = _SIDE / 128  # pixels; blur of what is compared
_WINDOW = _SIDE / 24  # pixels; blur within which it is compared
_AGREES = 0.6  # correlation within a window
_CONTRAST = 16.0  # variance in grey levels below which a window has nothing to compare
_FEWEST_BUSY = 0.05  # share of the overlap


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """The grey picture of an image, its longer side 320 pixels, and its keypoints.

    Attributes:
        picture: (h, w) uint8.
    """

    picture: np.ndarray

    @cached_property
    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (k, 2) float32 positions x, y, and (k, 32) uint8 descriptors of at most 400 keypoints."""
        import cv2  # late: a form that only knows this package should not wait for it

        detector: Any = cv2.ORB.create(nfeatures=_KEYPOINTS, fastThreshold=10)  # whose types know no mask None
        found, descriptors = detector.detectAndCompute(self.picture, None)
        if descriptors is None:
            return np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8)
        return np.array([keypoint.pt for keypoint in found], np.float32), descriptors

    @cached_property
    def mirrored(self) -> LocalFeatures:
        """Those of the mirror image."""
        return LocalFeatures(np.ascontiguousarray(self.picture[:, ::-1]))


@dataclass(frozen=True)
class Match:
    """How far two images agree under the placement that most of their keypoints follow.

    Attributes:
        inliers: Keypoints that follow it.
        agreement: Share of the overlap in which the pixels agree, in [0, 1], of what has contrast; 0 where the images
            overlap by less than half of the closer view, or the keypoints lie in one corner of it.
    """

    inliers: int = 0
    agreement: float = 0.0


def local_features(image: np.ndarray) -> LocalFeatures | None:
    """Return the features of the (h, w, 3) uint8 image; None where it is too small or too narrow to have any."""
    import cv2

    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= SMALLEST_SIDE:
        return None
    size = round(width * _SIDE / longer), round(height * _SIDE / longer)
    if min(size) < _SHORTEST:
        return None
    smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA if longer > _SIDE else cv2.INTER_LINEAR)
    return LocalFeatures(cv2.cvtColor(smaller, cv2.COLOR_RGB2GRAY))


def match(first: LocalFeatures, second: LocalFeatures) -> Match:
    """Match two images, the second one mirrored too where it does not match as it is. Their order does not matter."""
    if first.picture.shape > second.picture.shape or (
        first.picture.shape == second.picture.shape and first.picture.tobytes() > second.picture.tobytes()
    ):
        first, second = second, first
    upright = _match(first, second)
    if upright.agreement > 0:
        return upright
    mirrored = _match(first, second.mirrored)
    return mirrored if mirrored.agreement > 0 else upright


def _match(first: LocalFeatures, second: LocalFeatures) -> Match:
    import cv2

    here, there = _mutual_matches(first.keypoints[1], second.keypoints[1])
    if len(here) < _FEWEST_MATCHES:
        return Match()
    # OpenCV seeds RANSAC's generator anew in each call: the same points always give the same placement.
    placement, inside = cv2.estimateAffine2D(
        first.keypoints[0][here],
        second.keypoints[0][there],
        method=cv2.RANSAC,
        ransacReprojThreshold=_LARGEST_ERROR,
        maxIters=1000,
        confidence=0.999,
    )
    if placement is None or int(inside.sum()) < _FEWEST_MATCHES or not _is_plausible(placement):
        return Match()
    spread = cv2.contourArea(cv2.convexHull(first.keypoints[0][here][inside[:, 0] > 0]))
    return Match(int(inside.sum()), _agreement(first.picture, second.picture, placement, spread))


def _mutual_matches(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the matched keypoints of both images; they are each other's nearest, and the second nearest is far off."""
    import cv2

    if len(first) < _FEWEST_MATCHES or len(second) < _FEWEST_MATCHES:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    distance, nearest = cv2.batchDistance(first, second, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
    _, back = cv2.batchDistance(second, first, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
    mutual = back[nearest[:, 0], 0] == np.arange(len(first))
    kept = np.flatnonzero(mutual & (distance[:, 0] < _RATIO * distance[:, 1]))
    return kept, nearest[kept, 0]


def _is_plausible(placement: np.ndarray) -> bool:
    """Tell whether a (2, 3) placement is one that editing makes: no extreme zoom or stretch, not mirrored."""
    larger, smaller = np.linalg.svd(placement[:, :2], compute_uv=False)
    return bool(
        np.linalg.det(placement[:, :2]) > 0
        and smaller * _LARGEST_ZOOM > 1
        and larger < _LARGEST_ZOOM
        and larger < _LARGEST_STRETCH * smaller
    )


def _agreement(first: np.ndarray, second: np.ndarray, placement: np.ndarray, spread: float) -> float:
    """Return the share of the overlap in which windows of the two pictures correlate.

    It is 0 where too little overlaps, or where keypoints of a `spread` of so many pixels speak for too little of it.
    """
    import cv2

    height, width = first.shape
    laid = lambda picture: cv2.warpAffine(  # noqa: E731
        picture.astype(np.float32), placement, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    inside = laid(np.ones_like(second)) > 0.99
    covered = inside.mean()
    of_second = covered * first.size * abs(np.linalg.det(placement[:, :2])) / second.size
    if max(covered, of_second) < _SMALLEST_OVERLAP or spread < _SMALLEST_SPREAD * covered * first.size:
        return 0.0
    weight = inside.astype(np.float32)
    blur = lambda values: cv2.GaussianBlur(values, (0, 0), _WINDOW)  # noqa: E731
    total = np.maximum(blur(weight), 1e-3)
    one, two = (cv2.GaussianBlur(picture, (0, 0), _NOISE) for picture in (first.astype(np.float32), laid(second)))
    mean_one, mean_two = blur(one * weight) / total, blur(two * weight) / total
    variance_one = np.maximum(blur(one * one * weight) / total - mean_one**2, 0)
    variance_two = np.maximum(blur(two * two * weight) / total - mean_two**2, 0)
    covariance = blur(one * two * weight) / total - mean_one * mean_two
    correlation = covariance / np.sqrt((variance_one + 4) * (variance_two + 4))
    busy = inside & (np.maximum(variance_one, variance_two) > _CONTRAST)
    if busy.sum() <= _FEWEST_BUSY * inside.sum():
        return 0.0
    return float((correlation[busy] > _AGREES).mean())
