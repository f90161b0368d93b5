"""Files to vectors, beside FiftyOne's `compute_embeddings` with the same weights, and beside the bare network.

    python -m benchmarks.embeddings [--quick | --million] [--json]

Images are made from scikit-image's photos. Rates are measured side by side in one process: FiftyOne runs at batches of
1 and 32 and with 0 and 2 workers, and its best counts. `--quick`: a few images of each kind, a smoke test. `--million`:
only the peak memory over 1,000,000 small images (half an hour, 12 GB of disk).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from .isolation import isolate
from .report import Target, finish, peak_memory

_ROUNDS = 3
_LARGER = "vit_small_patch16_224"  # random weights: speed does not depend on them
_PEER_IMAGES = 96  # of each kind, for FiftyOne, whose four settings take their time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few images: a smoke test")
    parser.add_argument("--million", action="store_true", help="only the memory over a million images")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)  # one measurement, in a process of its own
    arguments = parser.parse_args()
    home = isolate()
    if arguments.memory_of is not None:
        print(_memory_beside_vectors(home, arguments.memory_of))
        return
    if arguments.million:
        beside = _memory_in_process(1_000_000)
        finish(
            [Target("peak memory beside the vectors of 1,000,000 images, GB", beside, at_most=2)],
            {},
            as_json=arguments.json,
        )
        return
    targets, details = measure(home, quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    from winnow.plugin.vision.backbones import load_backbone

    backbone = load_backbone()
    kinds = {"JPEG 500 x 375": (500, 375, "jpg", 512), "JPEG 4000 x 3000": (4000, 3000, "jpg", 48)}
    kinds["PNG 32 x 32"] = (32, 32, "png", 512)
    details: dict[str, Any] = {}
    targets = []
    for number, (kind, (width, height, suffix, count)) in enumerate(kinds.items()):
        paths = make_images(home / f"kind-{number}", width, height, suffix, 8 if quick else count)
        print(f"{kind} ...", file=sys.stderr)
        found = details[kind] = _beside_fiftyone(home, backbone, paths, rounds=1 if quick else _ROUNDS)
        targets.append(Target(f"{kind}: rate over FiftyOne's best", found["over_fiftyone"], at_least=2.2))
        targets.append(Target(f"{kind}: lowest cosine to FiftyOne's vectors", found["cosine"], at_least=0.9999))
        if number == 0:
            targets.append(Target(f"{kind}: share of the bare forward rate", found["of_forward"], at_least=0.85))
            details[f"{_LARGER}: share of the bare forward rate"] = _larger(home, paths[:128], quick=quick)
    print("unchanged files, a corrupt file in every batch, memory ...", file=sys.stderr)
    again = details["unchanged"] = _second_run(home, backbone, 64 if quick else 10_000)
    targets.append(Target("first run over a second run on unchanged images", again["ratio"], at_least=50))
    targets.append(
        Target(
            "a corrupt file in every batch of 32: largest difference elsewhere", _corrupt(home, backbone), at_most=1e-4
        )
    )
    few, many = (200, 1_000) if quick else (1_000, 100_000)
    memory = details["memory_gb_beside_vectors"] = {count: _memory_in_process(count) for count in (few, many)}
    targets.append(
        Target(f"peak memory beside vectors, {many:,} over {few:,} images", memory[many] / memory[few], at_most=1.25)
    )
    return targets, details


def make_images(folder: Path, width: int, height: int, suffix: str, count: int, different: int = 64) -> list[str]:
    """Write photos of one size: up to 64 different crops, each file with a tail of its own behind the image's end."""
    from skimage import data

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(photo()) for photo in (data.astronaut, data.coffee, data.chelsea, data.rocket)]
    encoded = []
    for number in range(min(count, different)):
        photo = photos[number % len(photos)]
        size = tuple(int(side * rng.uniform(0.6, 1)) for side in photo.size)
        left, top = (int(rng.integers(0, whole - side + 1)) for whole, side in zip(photo.size, size, strict=True))
        crop = photo.crop((left, top, left + size[0], top + size[1])).resize((width, height), Image.Resampling.BICUBIC)
        buffer = BytesIO()
        crop.save(buffer, "JPEG" if suffix == "jpg" else "PNG", quality=90)
        encoded.append(buffer.getvalue())
    paths = [folder / f"{number:06d}.{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded[number % len(encoded)] + number.to_bytes(4, "big"))
    return [str(path) for path in paths]


def _beside_fiftyone(home: Path, backbone: Any, paths: list[str], *, rounds: int) -> dict[str, Any]:
    import fiftyone as fo
    import fiftyone.utils.torch as fout
    from timm.data import create_transform, resolve_model_data_config

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in paths])
    peer = dataset.limit(_PEER_IMAGES)
    network = backbone.network
    transforms = create_transform(**resolve_model_data_config(network), is_training=False)
    config = {"model": network, "transforms": transforms, "ragged_batches": False, "as_feature_extractor": True}
    model = fout.TorchImageModel(fout.TorchImageModelConfig(config))
    settings = [{"batch_size": size, "num_workers": workers} for size in (1, 32) for workers in (0, 2)]
    ours, bare, theirs = [], [], {str(each): [] for each in settings}
    forward = forward_of(backbone, min(len(paths), 256))
    _embed(home, backbone, paths[:8])  # the one-time export
    for _ in range(rounds):
        bare.append(rate(forward, min(len(paths), 256)))
        ours.append(rate(lambda: _embed(home, backbone, dataset.values("filepath")), len(paths)))
        for each in settings:
            theirs[str(each)].append(rate(lambda each=each: peer.compute_embeddings(model, **each), len(peer)))
    vectors = _embed(home, backbone, paths).vectors
    cosine = _cosines(vectors[: len(peer)], np.asarray(peer.compute_embeddings(model, batch_size=32)))
    best = max(theirs, key=lambda each: median(theirs[each]))
    return {
        "images_per_second": {name: round(median(rates), 1) for name, rates in theirs.items()}
        | {"winnow": round(median(ours), 1), "bare forward": round(median(bare), 1)},
        "fiftyone_best": best,
        "over_fiftyone": median(own / other for own, other in zip(ours, theirs[best], strict=True)),
        "of_forward": median(own / other for own, other in zip(ours, bare, strict=True)),
        "cosine": float(cosine.min()),
    }


def _larger(home: Path, paths: list[str], *, quick: bool) -> float:
    """Return the share of the bare forward rate with a network that takes some 70 ms of a core an image."""
    from winnow.plugin.vision.backbones import create_network, describe_network

    backbone = describe_network(_LARGER, _LARGER, create_network(_LARGER))
    forward = forward_of(backbone, len(paths))
    _embed(home, backbone, paths[:4])  # the one-time export
    ratios = []
    for _ in range(1 if quick else _ROUNDS):
        bare = rate(forward, len(paths))
        ratios.append(rate(lambda: _embed(home, backbone, paths), len(paths)) / bare)
    return median(ratios)


def forward_of(backbone: Any, count: int) -> Callable[[], object]:
    """Return a run of the engine over prepared images on all cores."""
    from winnow.plugin.machine import available_cores
    from winnow.plugin.vision.engines import engine_for
    from winnow.plugin.vision.pipeline import CPU_BATCH

    engine = engine_for(backbone.network, backbone.input, f"{backbone.architecture}-{backbone.weights_hash}")
    size = backbone.input.size
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    slices = [images[start : start + CPU_BATCH] for start in range(0, count, CPU_BATCH)]
    if not engine.concurrent:
        return lambda: engine(images)

    def run() -> None:
        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(engine, slices))

    return run


def _embed(home: Path, backbone: Any, paths: list[str], root: Path | None = None) -> Any:
    """Embed into an empty cache, unless one is given."""
    import tempfile

    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    root = root or Path(tempfile.mkdtemp(dir=home))
    return embed_images(paths, paths, backbone, Preprocessing(input=backbone.input), thumbnails=False, cache_root=root)


def rate(run: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    run()
    return count / (time.perf_counter() - started)


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours * theirs).sum(axis=1) / norms


def _second_run(home: Path, backbone: Any, count: int) -> dict[str, float]:
    paths = make_images(home / "unchanged", 500, 375, "jpg", count)
    time.sleep(2.5)  # a file younger than that may change within its file system's tick, and is read again
    root = home / "unchanged-cache"
    first = 1 / rate(lambda: _embed(home, backbone, paths, root), 1)
    again = [1 / rate(lambda: _embed(home, backbone, paths, root), 1) for _ in range(_ROUNDS)]
    return {"images": count, "first_s": first, "again_s": median(again), "ratio": first / median(again)}


def _corrupt(home: Path, backbone: Any) -> float:
    """Return the largest difference to a clean run's vectors; infinity where one is missing."""
    paths = make_images(home / "corrupt", 500, 375, "jpg", 128)
    clean = _embed(home, backbone, paths)
    bad = set(range(5, len(paths), 32))
    for row in bad:
        Path(paths[row]).write_bytes(Path(paths[row]).read_bytes()[:3000])
    found = _embed(home, backbone, paths)
    good = [row for row in range(len(paths)) if row not in bad]
    if found.ids.tolist() != [paths[row] for row in good] or len(found.failures) != len(bad):
        return float("inf")
    return float(np.abs(found.vectors - clean.vectors[good]).max())


def _memory_in_process(count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.embeddings", "--memory-of", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _memory_beside_vectors(home: Path, count: int) -> float:
    """Return the peak of this process in GB while it embeds small files, without the vectors themselves."""
    from dataclasses import replace

    from winnow.plugin.vision.backbones import load_backbone

    backbone = load_backbone()
    paths = make_images(home / "small", 32, 32, "png", count)
    small = replace(backbone, input=replace(backbone.input, size=32, mode="squash"))
    found = _embed(home, small, paths)
    return peak_memory() - found.vectors.nbytes / 1e9


if __name__ == "__main__":
    main()
