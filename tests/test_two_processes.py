"""Two processes that train together share each batch, give what one gives, and outlive one's death."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.killed_once import KILLED, LEARNT
from winnow.__main__ import app
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.training.curves import CURVES, read_curves

CLASSES = ("lying", "standing")
TWO = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
       "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "winnow")  # fmt: skip
RESTARTED = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
             "--max-restarts", "1")  # fmt: skip
# Without random views, so that it does not matter which process an image falls to; and in small steps, which make
# little of the last bits of a sum.
STEPS = ("--optimizer", "sgd", "--learning-rate", "0.002", "--head-learning-rate", "0.02")
PLAIN = ("--flip", "0", "--zoom", "0", "--shift", "0", *STEPS)
SETTINGS = ("--epochs", "2", "--batch-size", "8", "--image-size", "64", *PLAIN)


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


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return variables for processes with a home of their own for unfinished runs."""
    return os.environ | {"OMP_NUM_THREADS": "1", "WINNOW_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def alone(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the classifier that one process trains."""
    folder = tmp_path_factory.mktemp("alone") / "classifier"
    run = CliRunner().invoke(app, ["train", str(stripes), *SETTINGS, "--output", str(folder), "--json"])
    assert run.exit_code == 0, run.output
    return folder


def train_in_two(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*TWO, "train", *(str(argument) for argument in arguments), "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_two_processes_give_the_classifier_that_one_gives(stripes: Path, alone: Path, tmp_path: Path) -> None:
    shared = train_in_two(stripes, *SETTINGS, "--output", tmp_path / "two")

    assert shared.returncode == 0, shared.stderr
    assert len(shared.stdout.splitlines()) == 1  # one process speaks
    folders = (tmp_path / "two", alone)
    two, one = (load_classifier(folder) for folder in folders)
    assert two.details["validation"] == pytest.approx(one.details["validation"], abs=0.02)
    points = [read_curves(folder / "logs" / CURVES) for folder in folders]
    assert [point["step"] for point in points[0]] == [point["step"] for point in points[1]]
    losses = [[point["loss"] for point in found] for found in points]
    assert losses[0] == pytest.approx(losses[1], rel=0.02, abs=1e-3)
    paths = sorted(str(path) for path in stripes.glob("test/*/*.png"))
    found = [classifier.predict(paths).probabilities for classifier in (two, one)]
    assert np.abs(found[0] - found[1]).max() < 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_a_training_that_loses_a_process_goes_on_from_its_last_state(
    stripes: Path, alone: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [*RESTARTED, str(Path(__file__).with_name("killed_once.py")), "train", str(stripes), *SETTINGS]
    command += ["--output", str(tmp_path / "made"), "--json"]
    killed, learnt = tmp_path / "killed", tmp_path / "learnt"
    given = environment | {KILLED: str(killed), LEARNT: str(learnt), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}

    run = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=300)

    assert run.returncode == 0, run.stderr
    points = [read_curves(folder / "logs" / CURVES) for folder in (tmp_path / "made", alone)]
    assert [point["step"] for point in points[0]] == [point["step"] for point in points[1]]
    losses = [[point["loss"] for point in found] for found in points]
    assert losses[0] == pytest.approx(losses[1], rel=0.02, abs=1e-3)
    assert killed.exists()
    # No batch twice, but for one that was learnt from and not saved yet when the launcher ended the first process.
    assert 0 <= learnt.stat().st_size - points[1][-1]["step"] <= 1
    assert list((Path(environment["WINNOW_HOME"]) / "training").glob("*/*")) == []  # the state of an ended run is gone


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_a_launcher_whose_restarted_processes_would_not_find_each_other_is_refused(
    stripes: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [*RESTARTED, "-m", "winnow", "train", str(stripes), "--output", str(tmp_path / "none"), "--json"]

    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    assert run.returncode == 1
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in run.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="processes find each other by gloo, tried on Linux")
def test_when_the_first_process_fails_the_other_ends_too(stripes: Path, tmp_path: Path) -> None:
    run = train_in_two(stripes, "--preset", "huge", "--output", tmp_path / "none")

    assert run.returncode == 1
    assert "preset must be one of" in run.stderr
