"""`accelerate launch -m winnow train`: two processes share each batch, and give what one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from winnow.__main__ import app
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.training.curves import CURVES, read_curves

CLASSES = ("lying", "standing")
TWO = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
       "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "winnow")  # fmt: skip
# Without random views, so that it does not matter which process an image falls to; and in small steps, which make
# little of the last bits of a sum.
STEPS = ("--optimizer", "sgd", "--learning-rate", "0.002", "--head-learning-rate", "0.02")
PLAIN = ("--flip", "0", "--zoom", "0", "--shift", "0", *STEPS)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 40 training and 10 test pictures of stripes, lying or standing."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("stripes")
    for split, count in (("train", 20), ("test", 5)):
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                wave = np.sin(np.arange(64) * rng.uniform(0.3, 0.9) + rng.uniform(0, 6))
                grey = np.tile(wave, (64, 1)) + rng.normal(0, 1.5, (64, 64))
                values = np.clip(127 + 40 * (grey if label else grey.T), 0, 255).astype(np.uint8)
                Image.fromarray(values).save(folder / split / name / f"{number}.png")
    return folder


def train_in_two(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*TWO, "train", *(str(argument) for argument in arguments), "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_two_processes_give_the_classifier_that_one_gives(stripes: Path, tmp_path: Path) -> None:
    given = (stripes, "--epochs", "2", "--batch-size", "8", "--image-size", "64", *PLAIN)

    shared = train_in_two(*given, "--output", tmp_path / "two")
    alone = CliRunner().invoke(app, ["train", *map(str, given), "--output", str(tmp_path / "one"), "--json"])

    assert shared.returncode == 0, shared.stderr
    assert len(shared.stdout.splitlines()) == 1  # one process speaks
    two, one = (json.loads(output.splitlines()[-1]) for output in (shared.stdout, alone.output))
    assert two["validation"] == pytest.approx(one["validation"], abs=0.02)
    points = [read_curves(tmp_path / folder / "logs" / CURVES) for folder in ("two", "one")]
    assert [point["step"] for point in points[0]] == [point["step"] for point in points[1]]
    losses = [[point["loss"] for point in found] for found in points]
    assert losses[0] == pytest.approx(losses[1], rel=0.02, abs=1e-3)
    paths = sorted(str(path) for path in stripes.glob("test/*/*.png"))
    found = [load_classifier(tmp_path / folder).predict(paths).probabilities for folder in ("two", "one")]
    assert np.abs(found[0] - found[1]).max() < 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_when_the_first_process_fails_the_other_ends_too(stripes: Path, tmp_path: Path) -> None:
    run = train_in_two(stripes, "--preset", "huge", "--output", tmp_path / "none")

    assert run.returncode == 1
    assert "preset must be one of" in run.stderr
