"""How fast each recommended backbone runs on this machine, as a share of `lite0`'s rate in the same run.

    python -m benchmarks.backbones [--quick] [--json]

Random weights: speed does not depend on them. Each network takes turns with `lite0` on prepared images of its own size,
all cores, three rounds; the median ratio counts. `--quick`: the two smallest.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median
from typing import Any

from .embeddings import forward_of, rate
from .isolation import isolate
from .report import Target, finish

RECOMMENDED = (
    "mobilenetv4_conv_small",
    "resnet50",
    "convnext_tiny",
    "vit_small_patch16_224",
    "vit_base_patch32_clip_224",
    "vit_base_patch16_siglip_224",
    "vit_small_patch16_dinov3",
    "vit_small_patch14_dinov2",
)
_QUICK = ("mobilenetv4_conv_small", "vit_small_patch16_224")
_ROUNDS = 3
_LITE0_IMAGES, _IMAGES = 64, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the two smallest: a smoke test")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    isolate()
    targets, details = measure(_QUICK if arguments.quick else RECOMMENDED)
    finish(targets, details, as_json=arguments.json)


def measure(names: tuple[str, ...]) -> tuple[list[Target], dict[str, Any]]:
    """Return no targets, as the issue asks for none, and each network's size and speed."""
    from winnow.plugin.vision.backbones import create_network, describe_network, load_backbone

    lite0 = forward_of(load_backbone(), _LITE0_IMAGES)
    found: dict[str, Any] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        backbone = describe_network(name, name, create_network(name))
        run = forward_of(backbone, _IMAGES)
        ratios = []
        for _ in range(_ROUNDS):
            reference = rate(lite0, _LITE0_IMAGES)
            ratios.append(rate(run, _IMAGES) / reference)
        parameters = sum(each.numel() for each in backbone.network.parameters())
        found[name] = {
            "million_parameters": round(parameters / 1e6, 1),
            "width": backbone.width,
            "size": backbone.input.size,
            "share_of_lite0": round(median(ratios), 3),
        }
    return [], {"backbones": found}


if __name__ == "__main__":
    main()
