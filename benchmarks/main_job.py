"""The main job on the demo's images: what it finds of the planted faults, and what it costs beside bare inference.

    python -m benchmarks.main_job [--quick] [--json]

Ten seeds are run with the probe preset for precision and recall (findings do not depend on the preset); then the whole
job once more with the default preset from an empty cache, timed step by step, beside the bare forward passes and
training steps that its images cost on prepared tensors in the same process. `--quick`: one seed, probe only.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from .isolation import isolate
from .report import Target, finish, peak_memory

_RATE_IMAGES = 320
_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, probe preset: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    targets, details = measure(isolate(), quick=arguments.quick)
    finish(targets, details, as_json=arguments.json)


def measure(home: Path, *, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Run everything and return the issue's targets and what is worth keeping beside them."""
    timing, planted = _timing(home, "probe" if quick else "quick")
    found = {0: planted} if quick else {seed: _planted(home / f"seed-{seed}", seed) for seed in range(10)}
    kinds = ("duplicates", "label_issues")
    targets = [
        Target(f"{kind}: mean {measure}", fmean(scores[kind][measure] for scores in found.values()), at_least=0.75)
        for kind in kinds
        for measure in ("precision", "recall")
    ]
    unreadable = min(scores["unreadable"]["recall"] for scores in found.values())
    targets += [
        Target("unreadable files reported, lowest share of a seed", unreadable, at_least=1.0),
        Target("whole job over bare forward and training steps", timing["ratio"], at_most=3.0),
        Target("whole job, minutes", timing["seconds"]["total"] / 60, at_most=4.0),
    ]
    return targets, {"seeds": found, "timing": timing, "peak_memory_gb": round(peak_memory(), 2)}


def _planted(folder: Path, seed: int) -> dict[str, Any]:
    from winnow.plugin.workflows.demo import DemoParams, run_demo

    print(f"seed {seed} ...", file=sys.stderr)
    return run_demo(DemoParams(folder=folder, seed=seed, preset="probe")).summary()["planted"]


def _timing(home: Path, preset: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Time the whole job from an empty cache, and the bare work on the same machine right after; tell what it found."""
    import os

    os.environ["WINNOW_HOME"] = str(home / "fresh")
    from winnow.plugin.training.recipe import preset_recipe
    from winnow.plugin.workflows.demo import DemoParams, run_demo
    from winnow.plugin.workflows.planting import plant

    plant(home / "warm-up", 0)  # the file system's and Pillow's first touch are not the job's
    print("the whole job ...", file=sys.stderr)
    started = time.perf_counter()
    report = run_demo(DemoParams(folder=home / "timed", seed=0, preset=preset))
    wall = time.perf_counter() - started
    seconds = {**report.curate.summary()["seconds"], "total": round(wall, 2)}

    forward, step = _bare_rates(report.curate.training.trained.classifier)
    images = report.curate.images
    recipe = preset_recipe(preset)
    fitted_on = report.curate.training.selection.train.sum() * (1 - recipe.validation_share)
    bare = 2 * images / forward + recipe.epochs * fitted_on / step
    timing = {
        "preset": preset,
        "images": images,
        "seconds": seconds,
        "images_per_second": {
            name: round(images / value, 1) for name, value in seconds.items() if value >= 0.01 and name != "total"
        },
        "bare_forward_images_per_second": round(forward, 1),
        "bare_training_images_per_second": round(step, 1),
        "bare_seconds": round(float(bare), 2),
        "ratio": float(wall / bare),
    }
    return timing, report.summary()["planted"]


def _bare_rates(classifier: Any) -> tuple[float, float]:
    """Return images a second of forward passes (ONNX Runtime) and of training steps (torch) on prepared tensors."""
    import numpy as np
    import torch

    from winnow.plugin.training.optimization import make_optimizer
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.vision.engines import engine_for
    from winnow.plugin.vision.torch_engine import ImageNetwork

    fitted = classifier.preprocessing.input
    images = np.random.default_rng(0).integers(0, 256, (_BATCH, fitted.size, fitted.size, 3), np.uint8)
    engine = engine_for(classifier.network, fitted, f"classifier-{classifier.version}")
    engine(images)
    started = time.perf_counter()
    for _ in range(_RATE_IMAGES // _BATCH):
        engine(images)
    forward = _RATE_IMAGES / (time.perf_counter() - started)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = ImageNetwork(classifier.network, fitted).to(device).to(memory_format=torch.channels_last).eval()
    optimizer = make_optimizer(classifier.network, Recipe())
    batch, labels = torch.from_numpy(images).to(device), torch.zeros(_BATCH, dtype=torch.long, device=device)
    started = time.perf_counter()
    for _ in range(_RATE_IMAGES // _BATCH):
        loss = torch.nn.functional.cross_entropy(model(batch), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return forward, _RATE_IMAGES / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
