from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf

from winnow.plugin.errors import ClassifierError
from winnow.plugin.vision.backbones import hash_weights, load_backbone


def save_timm_folder(folder: Path, architecture: str = "test_vit", *, safe: bool = True) -> str:
    """Write config.json and seeded random weights as timm does for its hub; return their hash as a backbone."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = timm.create_model(architecture, num_classes=5).eval()
    save_for_hf(network, folder, safe_serialization=safe)
    network.reset_classifier(0)
    return hash_weights(network)


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
def test_a_folder_of_a_timm_model_is_a_backbone(prefix: str, tmp_path: Path) -> None:
    expected = save_timm_folder(tmp_path)

    backbone = load_backbone(f"{prefix}{tmp_path}")

    assert (backbone.architecture, backbone.width, backbone.weights_hash) == ("test_vit", 64, expected)


def test_pickled_weights_beside_the_safe_ones_are_not_opened(tmp_path: Path) -> None:
    expected = save_timm_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"no pickle")

    assert load_backbone(str(tmp_path)).weights_hash == expected


def test_a_folder_with_nothing_but_pickled_weights_is_refused(tmp_path: Path) -> None:
    save_timm_folder(tmp_path, safe=False)

    with pytest.raises(ClassifierError, match=r"model\.safetensors is missing"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_folder_with_a_foreign_description_is_refused(content: str, tmp_path: Path) -> None:
    save_timm_folder(tmp_path)
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(ClassifierError, match="does not describe a timm model"):
        load_backbone(str(tmp_path))


def test_a_model_that_its_architectures_name_would_not_make_again_is_refused(tmp_path: Path) -> None:
    save_timm_folder(tmp_path)
    description = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(description | {"model_args": {"global_pool": "max"}}))

    with pytest.raises(ClassifierError, match=r"not timm's 'test_vit' as it stands.*global_pool"):
        load_backbone(str(tmp_path))


class HubHandler(SimpleHTTPRequestHandler):
    """Answers as the Hugging Face hub does for /OWNER/NAME/resolve/REVISION/FILE, from a folder OWNER/NAME/FILE."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(re.sub(r"/resolve/[^/]+/", "/", path))

    def send_head(self):  # type: ignore[no-untyped-def]  # its type is the base class's own
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if Path(self.translate_path(self.path)).is_file():
            return super().send_head()
        self.send_response(404)
        self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def end_headers(self) -> None:
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{Path(self.translate_path(self.path)).name}"')
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class Hub:
    """A hub of our own on this machine, and the processes that ask it."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self._home = folder / "home"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(HubHandler, directory=str(self.files)))
        self.asked: list[str] = []
        self._server.asked = self.asked  # type: ignore[attr-defined]
        self._url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def load(self, name: str) -> str:
        """Load a backbone in a process of its own, as huggingface_hub reads its settings at import."""
        script = """
import sys
from winnow.plugin.errors import WinnowError
from winnow.plugin.vision.backbones import load_backbone
try:
    backbone = load_backbone(sys.argv[1])
    print(backbone.architecture, backbone.weights_hash)
except WinnowError as error:
    print(type(error).__name__, error)
"""
        settings = {"HF_ENDPOINT": self._url, "HF_HOME": str(self._home), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", script, name], env=os.environ | settings, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Return a hub that holds nothing yet."""
    started = Hub(tmp_path)
    yield started
    started.stop()


def test_a_model_on_the_hub_is_fetched_once(hub: Hub) -> None:
    weights_hash = save_timm_folder(hub.files / "owner" / "name")

    first = hub.load("hf-hub:owner/name")
    hub.stop()
    again = hub.load("hf-hub:owner/name")

    assert first.splitlines()[0] == again.splitlines()[0] == f"test_vit {weights_hash}"


def test_a_timm_name_is_fetched_as_safetensors(hub: Hub) -> None:
    weights_hash = save_timm_folder(hub.files / "timm" / "test_vit.r160_in1k")

    assert hub.load("test_vit.r160_in1k").splitlines()[0] == f"test_vit.r160_in1k {weights_hash}"


@pytest.mark.parametrize("name", ["hf-hub:timm/test_vit.r160_in1k", "test_vit.r160_in1k"])
def test_pickled_weights_on_the_hub_are_refused_unfetched(name: str, hub: Hub) -> None:
    save_timm_folder(hub.files / "timm" / "test_vit.r160_in1k", safe=False)

    message = hub.load(name)

    assert message.startswith("ClassifierError 'timm/test_vit.r160_in1k' on the hub holds no model.safetensors")
    assert hub.asked and not any(path.endswith(".bin") for path in hub.asked)


@pytest.mark.parametrize("name", ["hf-hub:owner/name", "test_vit"])
def test_a_hub_out_of_reach_is_told_without_trying_again(name: str, hub: Hub) -> None:
    hub.stop()

    message = hub.load(name)

    assert message.startswith("MissingPartError no weights for")
    assert "Retrying" not in message


def test_importing_backbones_waits_for_neither_torch_nor_timm() -> None:
    script = "import sys, winnow.plugin.vision.backbones; print({'torch', 'timm'} & sys.modules.keys())"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
