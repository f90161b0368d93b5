"""Near-duplicates among photos and thousands of look-alikes, beside imagededup and FiftyOne's brain.

    python -m benchmarks.duplicates [--cifar FOLDER] [--sheet FILE.png] [--quick] [--json]

scikit-image's photos are edited in twelve ways with four random draws each, among 3,000 Fashion-MNIST images (and,
where CIFAR-10's images lie in FOLDER as JPEG files, 3,000 of those). Cuts are the automatic one and the peers'
defaults; imagededup's CNN and the brain get lite0's vectors, as their own networks need a download. imagededup is
compared where it is installed. Flagged pairs among the images that nobody edited are counted beside; `--sheet` draws
a fixed sample of those of each. What keypoints cost is measured on places of the photos, beside embedding them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .isolation import isolate
from .keypoint_cost import keypoint_cost
from .report import Target, finish
from .sheets import draw_pairs, png, sample
from .transforms import EDITS

# Left out: the motorcycles and the second name of the cat, which are twins; chessboards and the colour wheel, whose
# flips are themselves.
_PHOTOS = (
    *("astronaut", "brick", "camera", "chelsea", "cell", "clock", "coffee", "coins", "grass", "gravel", "moon"),
    *("hubble_deep_field", "immunohistochemistry", "page", "retina", "rocket", "text", "microaneurysms"),
)
_DRAWS = 4
_CIFAR = 3_000
_SHOWN = 50  # pairs of each finder

Pairs = list[tuple[int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cifar", type=Path, help="folder with CIFAR-10's images as JPEG files, as further look-alikes"
    )
    parser.add_argument("--sheet", type=png, help="draw pairs of look-alikes that each flags into this PNG file")
    parser.add_argument("--quick", action="store_true", help="one draw, few look-alikes: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    home = isolate()
    targets, details = measure(home, arguments.cifar, arguments.sheet, quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, cifar: Path | None, sheet: Path | None, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    others = _look_alikes(home / "others", cifar, quick=quick)
    finders: dict[str, Callable[[list[str]], Pairs]] = {"winnow": _winnow(home), **_peers(home)}
    draws = 1 if quick else _DRAWS
    counts = {name: _Counts() for name in finders}
    for draw in range(draws):
        print(f"draw {draw + 1} of {draws} ...", file=sys.stderr)
        names, sources, paths = _edited(home / f"draw-{draw}", draw)
        for finder, find in finders.items():
            started = time.perf_counter()
            counts[finder].add(find(paths + others), names, sources)
            counts[finder].seconds += time.perf_counter() - started
    alone = {finder: find(others) for finder, find in finders.items()}
    if sheet is not None:
        _draw(sheet, others, alone)
    print("cost of keypoints ...", file=sys.stderr)
    cost = keypoint_cost([_photo(name) for name in _PHOTOS], home / "places", quick=quick)
    ours = counts["winnow"]
    targets = [
        Target("automatic cut: precision", ours.precision, at_least=0.99),
        Target("automatic cut: recall", ours.recall, at_least=0.95),
    ]
    details = {
        "copies": draws * len(_PHOTOS) * len(EDITS),
        "look_alikes": len(others),
        "finders": {name: each.to_dict() for name, each in counts.items()},
        "pairs_per_1000_look_alikes": {name: round(1000 * len(each) / len(others), 2) for name, each in alone.items()},
        "keypoints": cost,
    }
    if "imagededup PHash" not in finders:
        details["left_out"] = "imagededup is not installed: pip install imagededup"
    return targets, details


class _Counts:
    """What a finder did with the copies."""

    def __init__(self) -> None:
        self._found: dict[str, list[bool]] = {name: [] for name in EDITS}
        self._right = self._flagged = 0
        self.seconds = 0.0

    def add(self, pairs: Pairs, names: list[str], sources: list[int]) -> None:
        """Count one draw: image `row` is the edit `names[row]` of photo `sources[row]`, "" = the photo itself."""
        found = set()
        for pair in pairs:
            of = [sources[row] if row < len(sources) else None for row in pair]
            if of == [None, None]:
                continue
            self._flagged += 1
            if of[0] == of[1]:
                self._right += 1
                found.update(pair)
        for row, name in enumerate(names):
            if name:
                self._found[name].append(row in found)

    @property
    def precision(self) -> float:
        """Share of right pairs among the flagged ones that contain a photo or a copy."""
        return self._right / self._flagged if self._flagged else float("nan")

    @property
    def recall(self) -> float:
        """Share of copies that a flagged pair joins with their source or another copy of it."""
        return float(np.mean([hit for hits in self._found.values() for hit in hits]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; the interval is Wilson's, 95 %."""
        by_edit = {name: [round(float(np.mean(hits)), 3), *_wilson(hits)] for name, hits in self._found.items()}
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "recall_and_interval": by_edit,
            "seconds": round(self.seconds, 1),
        }


def _wilson(hits: list[bool], z: float = 1.96) -> tuple[float, float]:
    share, spread = float(np.mean(hits)), z**2 / len(hits)
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt((share * (1 - share) + spread / 4) / len(hits)) / (1 + spread)
    return round(max(0.0, middle - half), 3), round(min(1.0, middle + half), 3)


def _photo(name: str) -> Image.Image:
    from skimage import data

    return Image.fromarray(getattr(data, name)()).convert("RGB")


def _edited(folder: Path, draw: int) -> tuple[list[str], list[int], list[str]]:
    """Write the photos and one copy an edit; return each file's edit ("" = none), its photo's number and its path."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(draw)
    names, sources, paths = [], [], []
    for number, photo in enumerate(_PHOTOS):
        image = _photo(photo)
        for edit, change in {"": None, **EDITS}.items():
            path = folder / f"{photo}-{len(paths)}.png"
            (image if change is None else change(image, rng)).save(path)
            names.append(edit)
            sources.append(number)
            paths.append(str(path))
    return names, sources, paths


def _look_alikes(folder: Path, cifar: Path | None, *, quick: bool) -> list[str]:
    """Write the embedded Fashion-MNIST images as files; return them, and some of CIFAR-10's."""
    sheets = Path(__file__).parents[1] / "examples" / "fashion_mnist"
    folder.mkdir(parents=True)
    paths = []
    for sheet in sorted(sheets.glob("*/*.png")):
        pixels = np.asarray(Image.open(sheet))
        for row in range(pixels.shape[0] // 28):
            for column in range(pixels.shape[1] // 28):
                paths.append(folder / f"{sheet.parent.name}-{sheet.stem}-{row}-{column}.png")
                Image.fromarray(pixels[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]).save(paths[-1])
    found = [str(path) for path in paths]
    if cifar is not None:
        found += [str(path) for path in sorted(cifar.rglob("*.jpg"))[:_CIFAR]]
    return found[::10] if quick else found


def _winnow(home: Path) -> Callable[[list[str]], Pairs]:
    def find(paths: list[str]) -> Pairs:
        scored = score(paths, home / "cache")
        return [(a, b) for a, b in scored.rows[scored.flagged].tolist()]

    return find


def score(paths: list[str], cache: Path, splits: np.ndarray | None = None) -> Any:
    """Return the `DuplicatePairs` of the files as the jobs score them, without FiftyOne around it."""
    from winnow.plugin.workflows.pairs import score_images

    backbone, preprocessing, found = embed(paths, cache)
    if len(found.ids) != len(paths):
        raise ValueError(f"{len(paths) - len(found.ids)} files cannot be read")
    return score_images(paths, found.vectors, found.thumbnails, splits, backbone=backbone, preprocessing=preprocessing)


def embed(paths: list[str], cache: Path) -> tuple[Any, Any, Any]:
    """Return lite0, the preprocessing that a collection of small images gets, and the files' embeddings."""
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=160, mode="squash"))
    return backbone, preprocessing, embed_images(paths, paths, backbone, preprocessing, cache_root=cache)


def _peers(home: Path) -> dict[str, Callable[[list[str]], Pairs]]:
    def brain(paths: list[str]) -> Pairs:
        import fiftyone as fo
        import fiftyone.brain as fob

        vectors = embed(paths, home / "cache")[2].vectors
        dataset = fo.Dataset()
        ids = dataset.add_samples([fo.Sample(filepath=path, media_type="image") for path in paths])
        row = {sample: number for number, sample in enumerate(ids)}
        index = fob.compute_near_duplicates(dataset, embeddings=vectors)
        pairs = [(row[a], row[b]) for a, near in index.neighbors_map.items() for b, _ in near]
        dataset.delete()
        return pairs

    finders = {"FiftyOne brain, lite0 vectors": brain}
    try:
        from imagededup.methods import CNN, PHash
    except ImportError:
        return finders

    def unique(found: dict[str, list[str]], paths: list[str]) -> Pairs:
        row = {path: number for number, path in enumerate(paths)}
        return sorted({(min(row[a], row[b]), max(row[a], row[b])) for a, near in found.items() for b in near if a != b})

    def phash(paths: list[str]) -> Pairs:
        hasher = PHash(verbose=False)
        return unique(hasher.find_duplicates(encoding_map={path: hasher.encode_image(path) for path in paths}), paths)

    def cnn(paths: list[str]) -> Pairs:
        vectors = embed(paths, home / "cache")[2].vectors
        finder = CNN.__new__(CNN)  # without its network, which would have to be downloaded
        finder.verbose = False
        finder.logger = CNN.__init__.__globals__["return_logger"]("benchmark")
        return unique(finder.find_duplicates(encoding_map=dict(zip(paths, vectors, strict=True))), paths)

    return {**finders, "imagededup PHash": phash, "imagededup CNN, lite0 vectors": cnn}


def _draw(sheet: Path, paths: list[str], alone: dict[str, Pairs]) -> None:
    """Draw a fixed sample of the pairs that each finder flags."""
    sections = {}
    for finder, pairs in alone.items():
        shown = [(paths[a], paths[b]) for a, b in sample(pairs, _SHOWN)]
        sections[f"{finder}: {len(shown)} of {len(pairs)} flagged pairs"] = shown
    draw_pairs(sheet, sections)


if __name__ == "__main__":
    main()
