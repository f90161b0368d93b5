"""Many pairs of images compared by their keypoints: in threads, each image read once, few held at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from ..errors import UnreadableImageError
from ..machine import available_cores
from ..progress import Progress, silent
from .decoder import DECODING_ERRORS, decode
from .keypoints import SMALLEST_SIDE, LocalFeatures, local_features, match
from .preprocessing import Preprocessing

Features = Callable[[int], LocalFeatures | None]

_AT_ONCE = 128  # pairs
_HELD = 512  # images, of about 250 KB
_SHORTER_SIDE = 192  # pixels that a reduced JPEG keeps at least


def match_images(pairs: np.ndarray, features: Features, progress: Progress = silent) -> np.ndarray:
    """Compare the two images of each pair; see `keypoints.Match`.

    Args:
        pairs: (p, 2) int64.
        features: Returns those of an image by its number, None = it has none. Called in threads.
        progress: Told after each block of pairs.

    Returns:
        (p, 2) float32: how many keypoints follow one placement, and the share of the overlap in which the pixels agree;
        zeros where an image has no features.
    """
    found = np.zeros((len(pairs), 2), np.float32)
    order = _neighbors_together(pairs)
    held: OrderedDict[int, LocalFeatures] = OrderedDict()
    without: set[int] = set()

    def compare(pair: int) -> tuple[int, float]:
        matched = match(*(held[image] for image in pairs[pair].tolist()))
        return matched.inliers, round(matched.agreement, 4)

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="winnow-keypoints") as pool:
        try:
            for start in range(0, len(order), _AT_ONCE):
                block = order[start : start + _AT_ONCE]
                missing = [
                    image for image in np.unique(pairs[block]).tolist() if image not in held and image not in without
                ]
                for image, its in zip(missing, pool.map(features, missing), strict=True):
                    if its is None:
                        without.add(image)
                    else:
                        held[image] = its
                comparable = [pair for pair in block.tolist() if not without.intersection(pairs[pair].tolist())]
                wanted = np.unique(pairs[comparable]).tolist()
                for image in wanted:
                    held.move_to_end(image)
                while len(held) > max(_HELD, len(wanted)):
                    held.popitem(last=False)
                found[comparable] = np.reshape(list(pool.map(compare, comparable)), (-1, 2))
                progress("comparing keypoints", start + len(block), len(order))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def features_of_files(paths: Sequence[str] | np.ndarray, preprocessing: Preprocessing) -> Features:
    """Return what reads the features of the n-th file: None where it is small, or cannot be read any more."""
    settings = replace(preprocessing.decode, draft=True)

    def read(number: int) -> LocalFeatures | None:
        path = str(paths[number])
        if _is_small(path):
            return None
        try:
            return local_features(decode(path, settings, target=_SHORTER_SIDE))
        except UnreadableImageError:
            return None

    return read


def _is_small(path: str) -> bool:
    """Tell by its header whether an image is too small for keypoints; those that Pillow cannot open may be large."""
    try:
        with Image.open(path) as image:
            return max(image.size) <= SMALLEST_SIDE
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return False


def _neighbors_together(pairs: np.ndarray) -> np.ndarray:
    """Return an order of the pairs in which those that share an image lie close to each other."""
    if not len(pairs):
        return np.empty(0, np.int64)
    images, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(pairs.shape)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(len(images), len(images)))
    place = np.empty(len(images), np.int64)
    place[reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)] = np.arange(len(images))
    places = np.sort(place[ends], axis=1)
    return np.lexsort((places[:, 1], places[:, 0]))
