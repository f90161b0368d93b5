"""`winnow serve` in its own process: HTTPS, a sub-path, an earlier version, and the end of it all."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.small_classifier import CLASSES, small_classifier

CONFIG = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + "</Choices></View>"
)
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved classifier, and beside it a state folder with another version of it."""
    from winnow.plugin.training.classifier import save_classifier

    home = tmp_path_factory.mktemp("serving")
    classifier = small_classifier(home)
    save_classifier(classifier, home / "model")
    earlier = small_classifier(home, thresholds=(0.1, 0.2, 0.3))
    save_classifier(earlier, home / "state" / "versions" / earlier.version)
    return home / "model"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1, signed by itself, and its key."""
    home = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (home / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return home / "cert.pem", home / "key.pem"


@contextmanager
def serving(folder: Path, *options: object, url: str = "http://127.0.0.1") -> Iterator[tuple[httpx.Client, Any]]:
    """Run `winnow serve`, wait until the classifier is loaded, and give a client and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "winnow", "serve", folder, "--port", port, "--log-format", "json", *options]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    trusted = [option for option in options if str(option).endswith("cert.pem")]
    context = ssl.create_default_context(cafile=trusted[0]) if trusted else True
    client = httpx.Client(base_url=f"{url}:{port}", verify=context, timeout=60)
    try:
        for _ in range(1200):
            assert process.poll() is None, process.stderr.read()
            try:
                if client.get("/health").json()["classifier"] == "ready":
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield client, process
    finally:
        client.close()
        process.kill()
        process.communicate()


def test_https_below_a_sub_path_with_an_earlier_version(folder: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    state = folder.parent / "state"
    (version,) = os.listdir(state / "versions")
    options = ("--tls-cert", cert, "--tls-key", key, "--root-path", "/p", "--state", state, "--version", version)

    with serving(folder, *options, url="https://localhost") as (client, _):
        answers = [client.get(path).json() for path in ("/p/versions", "/versions")]
        health = client.get("/p/health")

    assert answers == [{"versions": [version]}] * 2
    assert health.json()["model_version"] == version


def test_requests_in_hand_are_answered_when_the_server_is_told_to_stop(folder: Path) -> None:
    tasks = [{"id": number, "data": {"image": PIXEL}} for number in range(2000)]
    body = {"tasks": tasks, "label_config": CONFIG}

    with serving(folder) as (client, process), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/predict", json=body)
        while client.get("/status").json()["queue"]["requests"] == 0:
            assert not asked.done()
        process.send_signal(signal.SIGTERM)
        answer = asked.result()
        log = [json.loads(line) for line in process.stderr]
        status = process.wait(30)

    assert answer.status_code == 200
    assert all(answer.json()["results"]) and len(answer.json()["results"]) == 2000
    assert status in (0, -signal.SIGTERM)
    assert [line["status"] for line in log if line.get("path") == "/predict"] == [200]


def test_certificate_that_cannot_be_used_is_told_before_the_server_starts(folder: Path) -> None:
    from winnow.backend.serve import ServeOptions, serve
    from winnow.backend.settings import SettingsError

    here = Path(__file__)

    with pytest.raises(SettingsError, match="PEM"):
        serve(folder, ServeOptions(tls_cert=here, tls_key=here), environment={})
    with pytest.raises(SettingsError, match="only one"):
        serve(folder, ServeOptions(tls_cert=here), environment={})
