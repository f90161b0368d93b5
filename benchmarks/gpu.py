"""What a GPU gains, and that it gives what a processor gives. Needs a GPU, and neither FiftyOne nor MongoDB.

    python -m benchmarks.gpu --data FOLDER [--part PART] [--quick] [--json]

FOLDER holds `cifar10-train.zip` and `labels.npz`, as for `benchmarks.label_issues`. Embedding is measured beside the
bare network on batches that lie ready, and beside threads and processes that only read; search beside exact FAISS
search on the processor (timed on 2,000 queries); training with automatic mixed precision beside training without.
"labels" looks for the human errors among all 50,000 images with the help of networks that were fine-tuned out of fold.
`--quick`: few of everything, and also without a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .isolation import isolate
from .label_cells import CLASSES, cifar, embed
from .neighbors import planted_rows
from .report import Target, finish
from .training import Images, bare_rate

_NEIGHBORS = 8
_TIMED = 2_000
_LARGER = "vit_small_patch16_224"  # random weights: speed does not depend on them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-10 and its noisy labels")
    parser.add_argument("--part", choices=_PARTS, action="append", help="only this part")
    parser.add_argument("--quick", action="store_true", help="few of everything: a smoke test, on any machine")
    parser.add_argument("--json", action="store_true", help="last line of stdout: one JSON object")
    arguments = parser.parse_args()
    import torch

    if not torch.cuda.is_available() and not arguments.quick:
        parser.error("torch sees no GPU here; --quick runs on any machine")
    home = isolate()
    images = cifar(home, arguments.data, 300 if arguments.quick else 50_000)
    targets: list[Target] = []
    details: dict[str, Any] = {"gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None}
    for part in arguments.part or _PARTS:
        print(f"{part} ...", file=sys.stderr, flush=True)
        found, details[part] = _PARTS[part](home, *images, quick=arguments.quick)
        print(details[part], file=sys.stderr, flush=True)
        targets += found
    finish(targets, details, as_json=arguments.json)


def _reading(paths: list[str], size: int) -> dict[str, float]:
    """Read, hash, decode and scale files, with nobody who wants the pixels: by threads and by processes."""
    from winnow.plugin.vision.content_reader import ContentReader
    from winnow.plugin.vision.preprocessing import Input, Preprocessing
    from winnow.plugin.vision.readers import READERS_VARIABLE, Apart, read_ahead
    from winnow.plugin.vision.regions import regions_of

    reader, found = ContentReader(Preprocessing(input=Input(size=size))), {}
    given = os.environ.get(READERS_VARIABLE)
    for name, count in (("threads", 4_000), ("processes", len(paths))):
        os.environ[READERS_VARIABLE] = name
        some = paths[:count]
        started = time.perf_counter()
        read = read_ahead(regions_of(some, None), reader, on_gpu=True, window=512, apart=Apart(reader, size))
        first = len(next(read))
        begun = time.perf_counter()
        rest = sum(map(len, read))
        assert first + rest == len(some)
        found[name] = rest / (time.perf_counter() - begun)
        found[f"{name}: seconds to the first"] = begun - started
        print(f"reading alone, {name}: {found[name]:,.0f} images a second", file=sys.stderr, flush=True)
    os.environ.pop(READERS_VARIABLE)
    if given is not None:
        os.environ[READERS_VARIABLE] = given
    return found


def _embedding(home: Path, paths: list[str], *_: np.ndarray, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Embed files of 32 x 32 pixels, beside the network alone; compare vectors with those of the processor.

    The second of two runs counts: the first one starts the processes that read.
    """
    from winnow.plugin.vision.backbones import create_network, describe_network, load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.engines import engine_for
    from winnow.plugin.vision.preprocessing import Preprocessing
    from winnow.plugin.vision.readers import close_readers
    from winnow.plugin.vision.torch_engine import TorchEngine

    targets: list[Target] = []
    details: dict[str, Any] = {"reading alone": _reading(paths[:64] if quick else paths[:20_000], 224)}
    close_readers()
    for name in ("lite0", _LARGER):
        backbone = load_backbone() if name == "lite0" else describe_network(name, name, create_network(name))
        preprocessing = Preprocessing(input=backbone.input)
        some = paths[:64] if quick else paths[:20_000]
        embed_images(some[:64], some[:64], backbone, preprocessing, cache_root=home / f"warm {name}")
        rates = []
        for run in ("first", "second"):
            started = time.perf_counter()
            vectors = embed_images(some, some, backbone, preprocessing, cache_root=home / f"{name} {run}").vectors
            rates.append(len(some) / (time.perf_counter() - started))
            print(f"{name}, {run} run: {rates[-1]:,.0f} images a second", file=sys.stderr, flush=True)
        engine = engine_for(backbone.network, backbone.input, "benchmark")
        ready = np.stack([preprocessing(path) for path in some[:256]])
        rounds = max(len(some) // len(ready), 1)
        engine(ready)
        started = time.perf_counter()
        for _ in range(rounds):
            engine(ready)
        bare = rounds * len(ready) / (time.perf_counter() - started)
        print(f"{name}, bare: {bare:,.0f} images a second", file=sys.stderr, flush=True)
        whole = engine(ready)
        parts = np.concatenate([engine(ready[start : start + 7]) for start in range(0, len(ready), 7)])
        apart = float((np.linalg.norm(whole - parts, axis=1) / np.linalg.norm(whole, axis=1)).max())
        by_processor = TorchEngine(backbone.network, backbone.input, "cpu")(ready)
        ours = vectors[: len(ready)]
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(by_processor, axis=1)
        cosine = float(((ours * by_processor).sum(axis=1) / norms).min())
        details[name] = {
            "images_per_second": rates[1],
            "images_per_second_of_the_first_run": rates[0],
            "bare": bare,
            "lowest_cosine": cosine,
            "apart_in_batches_of_7": apart,  # relative
        }
        targets += [
            Target(f"{name}: share of the bare forward rate", rates[1] / bare, at_least=0.85),
            Target(f"{name}: lowest cosine to the processor's vectors", cosine, at_least=0.999),
        ]
    return targets, details


def _search(home: Path, *_: object, quick: bool) -> tuple[list[Target], dict[str, Any]]:
    """Find the neighbours of all rows among themselves, beside exact search on the processor."""
    import faiss

    from winnow.plugin.curation.torch_search import find_gpu, search_on

    targets, details = [], {}
    for count in (2_000,) if quick else (200_000, 500_000):
        rows, _, _ = planted_rows(count)
        search_on(find_gpu() or "cpu", rows[:1000], rows[:1000], _NEIGHBORS + 1)
        started = time.perf_counter()
        similarity, _ = search_on(find_gpu() or "cpu", rows, rows, _NEIGHBORS + 1)
        seconds = time.perf_counter() - started
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        started = time.perf_counter()
        exact, _ = index.search(rows[:_TIMED], _NEIGHBORS + 1)
        peer = (time.perf_counter() - started) * count / min(_TIMED, count)
        apart = float(np.abs(similarity[:_TIMED] - exact).max())
        details[f"{count:,}"] = {"seconds": seconds, "exact_seconds_on_the_processor": peer, "apart": apart}
        targets += [
            Target(f"{count:,}: largest difference of a similarity from FAISS's", apart, at_most=1e-4),
            Target(f"{count:,}: exact search on the processor over the GPU's", peer / seconds, at_least=1.0),
        ]
    return targets, details


def _training(
    home: Path, paths: list[str], true: np.ndarray, *_: np.ndarray, quick: bool
) -> tuple[list[Target], dict[str, Any]]:
    """Fine-tune with and without automatic mixed precision, on the same images."""
    import torch

    from winnow.plugin.training.calibration import expected_calibration_error
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.training.training import train
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.preprocessing import Preprocessing

    few, tested = (200, 100) if quick else (10_000, 5_000)
    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=160, mode="squash"))
    vectors = embed(paths[:few], home)
    images = LabelledImages(np.array(paths[:few], object), true[:few], vectors, np.full(few, -1))
    test = slice(few, few + tested)
    some = Images("CIFAR-10", (paths[:few], true[:few]), (paths[test], true[test]))
    details: dict[str, Any] = {}
    for name, amp in (("with AMP", True), ("without AMP", False)):
        recipe = Recipe(epochs=1 if quick else 4, amp=amp, batch_size=128)
        spent: dict[str, float] = {}
        last = time.perf_counter()

        def progress(step: str, done: int, total: int, spent: dict[str, float] = spent) -> None:
            nonlocal last
            now = time.perf_counter()
            spent[step] = spent.get(step, 0.0) + now - last
            last = now

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trained = train(images, None, [str(n) for n in range(CLASSES)], backbone, preprocessing, recipe, progress)
        logits, _ = trained.classifier.logits(paths[test])
        right = logits.argmax(axis=1) == true[test]
        confidence = trained.classifier.probabilities(logits).max(axis=1)
        fitted = round(few * (1 - recipe.validation_share)) * recipe.epochs
        network = trained.classifier.network
        device = "cuda" if torch.cuda.is_available() else "cpu"
        bare = [bare_rate(network, some, preprocessing, recipe, device, images=few) for _ in range(2)][-1]
        details[name] = {
            "kept": trained.kept,
            "accuracy": float(right.mean()),
            "ece": expected_calibration_error(confidence, right),
            "images_per_second": fitted / spent["fine-tuning"],
            "bare_images_per_second": bare,
            "seconds": spent,
            "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None,
        }
    mixed, plain = details["with AMP"], details["without AMP"]["accuracy"]
    targets = [
        Target("accuracy lost by mixed precision", plain - mixed["accuracy"], at_most=0.01),
        Target(
            "training throughput over a bare loop's",
            mixed["images_per_second"] / mixed["bare_images_per_second"],
            at_least=0.9,
        ),
    ]
    return targets, details


def _labels(
    home: Path, paths: list[str], true: np.ndarray, given: np.ndarray, *, quick: bool
) -> tuple[list[Target], dict[str, Any]]:
    """Judge human labels by embeddings, by networks that were fine-tuned out of fold, and by both."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    from winnow.plugin.curation.label_issues import find_label_issues
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.training.out_of_fold import fine_tuned_probabilities
    from winnow.plugin.training.recipe import Recipe
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.preprocessing import Preprocessing

    wrong = given != true
    started = time.perf_counter()
    size = 160 if quick else 224
    layers = embed(paths, home, "lite0" if quick else "lite0+layers", size)
    embedded = time.perf_counter() - started
    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=size, mode="squash"))
    vectors = embed(paths, home, "lite0", size)
    images = LabelledImages(np.array(paths, object), given, vectors, np.full(len(paths), -1))
    recipe = Recipe(epochs=1 if quick else 4, batch_size=128)
    started = time.perf_counter()
    made = fine_tuned_probabilities(images, [str(n) for n in range(CLASSES)], backbone, preprocessing, recipe)
    details: dict[str, Any] = {
        "embedding_seconds": embedded,
        "fine_tuning_seconds": time.perf_counter() - started,
        "kept": made.kept,
        "accuracy_of_the_networks": float((made.probabilities.argmax(axis=1) == true).mean()),
    }
    ways: dict[str, dict[str, np.ndarray]] = {
        "embeddings": {"embeddings": layers},
        "fine-tuned": {"pred_probs": made.probabilities},
        "both": {"pred_probs": made.probabilities, "embeddings": layers},
    }
    for name, evidence in ways.items():
        found = find_label_issues(given, **evidence)
        suspicious = 1 - found.quality.astype(np.float64)
        order = np.argsort(-suspicious, kind="stable")
        hits = (found.is_issue & wrong).sum()
        details[name] = {
            "AP": float(average_precision_score(wrong, suspicious)),
            "AUROC": float(roc_auc_score(wrong, suspicious)),
            **{f"precision_at_{k}": float(wrong[order[:k]].mean()) for k in (100, 1_000, int(wrong.sum()))},
            "F1": float(2 * hits / (found.is_issue.sum() + wrong.sum())),
            "suggestions_right": float((found.suggested == true)[found.is_issue & wrong].mean()),
            "estimated": found.estimated,
            "wrong": int(wrong.sum()),
        }
    return [Target("average precision, fine-tuned out of fold", details["both"]["AP"], at_least=0.70)], details


_PARTS = {"embedding": _embedding, "search": _search, "training": _training, "labels": _labels}


if __name__ == "__main__":
    main()
