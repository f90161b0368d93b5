"""The demo's planted wrong labels: where the automatic cut lies, and what the ranking under it would allow.

    python -m benchmarks.demo_labels [--seeds N] [--quick] [--json]

For each seed the demo's images are planted anew, near-duplicates are found, as the demo finds them first, and wrong
labels by `lite0`, as the demo does, and by the earlier layers and the mirror image besides (`lite0+layers`). Beside
precision and recall of the flagged labels stands the share of wrong ones among as many of the most suspicious as there
are: what both would be if their number were known. `--quick`: one seed, `lite0` alone, a smoke test.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from .isolation import isolate
from .report import Target, finish

_BACKBONES = ("lite0", "lite0+layers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many times images are planted")
    parser.add_argument("--quick", action="store_true", help="one seed, one backbone: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    home = isolate()
    seeds, backbones = (1, _BACKBONES[:1]) if arguments.quick else (arguments.seeds, _BACKBONES)
    found: dict[str, list[dict[str, float]]] = {backbone: [] for backbone in backbones}
    for seed in range(seeds):
        for backbone, scores in _judged(home / f"seed-{seed}", seed, backbones).items():
            print(f"seed {seed}, {backbone}: {scores}", file=sys.stderr)
            found[backbone].append(scores)
    own = found[_BACKBONES[0]]
    targets = [Target(f"{name}, mean", fmean(each[name] for each in own), 0.85) for name in ("precision", "recall")]
    targets += [Target(f"{name}, lowest", min(each[name] for each in own), 0.78) for name in ("precision", "recall")]
    targets.append(Target("suggestions right where the flag is", fmean(each["suggested"] for each in own), 0.95))
    means = {backbone: _means(scores) for backbone, scores in found.items()}
    finish(targets, {"means": means, "seeds": found}, as_json=arguments.json)


def _means(scores: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(fmean(each[name] for each in scores), 3) for name in scores[0]}


def _judged(folder: Path, seed: int, backbones: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return what was found of the wrong labels of one seed, by backbone."""
    import winnow
    from winnow.plugin.datasets.targets import open_target
    from winnow.plugin.workflows.planting import plant

    true = {str((folder / name).resolve()): label for name, label in plant(folder, seed).wrong_labels.items()}
    dataset = open_target(str(folder)).dataset
    winnow.find_duplicates(dataset)
    found = {}
    for backbone in backbones:
        params = winnow.LabelIssueParams(vectors=winnow.VectorParams(backbone=backbone))
        report = winnow.find_label_issues(dataset, params)
        found[backbone] = _scores(dataset, true) | {"estimated": round(report.issues.estimated, 1)}
    return found


def _scores(dataset: Any, true: dict[str, str]) -> dict[str, float]:
    names = ("filepath", "label_issue", "label_quality", "suggested_label.label")
    paths, flagged, quality, suggested = (np.array(values, object) for values in dataset.values(list(names)))
    judged = np.array([value is not None for value in quality])  # files that can't be read are not
    paths, flagged, suggested = paths[judged], flagged[judged].astype(bool), suggested[judged]
    wrong = np.array([path in true for path in paths])
    worst = np.argsort(quality[judged].astype(float), kind="stable")[: wrong.sum()]
    hits = flagged & wrong
    right = [suggested[row] == true[paths[row]] for row in np.flatnonzero(hits)]
    scores = {
        "precision": hits.sum() / max(flagged.sum(), 1),
        "recall": hits.sum() / wrong.sum(),
        "suggested": np.mean(right),
        "at the true number": wrong[worst].mean(),
    }
    return {name: round(float(value), 4) for name, value in scores.items()} | {
        "flagged": int(flagged.sum()),
        "wrong": int(wrong.sum()),
    }


if __name__ == "__main__":
    main()
