"""Certificates and proxies, against a server with a certificate of its own."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.host_rules import HostRules
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError
from winnow.plugin.labeling.trust import Trust, TrustError


@pytest.fixture
def private_ca(tmp_path: Path) -> Path:
    """Return a PEM file with a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "ca.pem"
    private = serialization.PrivateFormat.PKCS8
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def secure_label_studio(web_servers: Any, answering: Any, private_ca: Path) -> Any:
    """Return a server over HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(private_ca)
    server = web_servers(context)
    server.routes["/data/upload/a.png"] = answering(200, b"image")
    return server


def test_private_ca_is_trusted_where_its_file_is_given(secure_label_studio: Any, private_ca: Path) -> None:
    downloader = Downloader(secure_label_studio.url, "0123abcd", trust=Trust(private_ca))

    assert downloader.from_label_studio("/data/upload/a.png") == b"image"


def test_certificate_that_nobody_vouches_for_is_refused(secure_label_studio: Any) -> None:
    with pytest.raises(ImageAccessError) as caught:
        Downloader(secure_label_studio.url, "0123abcd").from_label_studio("/data/upload/a.png")

    assert caught.value.problem is AccessProblem.UNREACHABLE
    assert secure_label_studio.asked == []


def test_system_store_is_trusted_beside_a_private_ca(private_ca: Path) -> None:
    system, both = Trust().context, Trust(private_ca).context

    assert both.cert_store_stats()["x509"] == system.cert_store_stats()["x509"] + 1
    assert both.verify_mode is ssl.CERT_REQUIRED
    assert both.check_hostname


@pytest.mark.parametrize(("content", "reason"), [(None, "no such file"), ("no certificate", "holds no certificate")])
def test_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(TrustError, match=rf"ca\.pem'.*{reason}"):
        Downloader(trust=Trust(file))


def test_label_studio_is_asked_through_the_proxy_that_was_named(web_servers: Any, answering: Any) -> None:
    proxy = web_servers()
    proxy.routes["http://studio.invalid/data/upload/a.png"] = answering(200, b"image")
    downloader = Downloader("http://studio.invalid", "0123abcd", trust=Trust(proxy=proxy.url))

    body = downloader.from_label_studio("/data/upload/a.png")

    assert body == b"image"


def test_proxy_of_the_environment_is_never_asked(
    web_servers: Any, answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, studio, other = web_servers(), web_servers(), web_servers()
    studio.routes["/data/a.png"] = other.routes["/data/a.png"] = answering(200, b"image")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    downloader = Downloader(studio.url, "0123abcd", HostRules.from_entries(["127.0.0.0/8"]))

    bodies = [downloader.from_label_studio("/data/a.png"), downloader.from_url(f"{other.url}/data/a.png")]

    assert bodies == [b"image"] * 2
    assert proxy.asked == []


def test_malformed_proxy_is_told_without_its_password() -> None:
    with pytest.raises(TrustError) as caught:
        Downloader(trust=Trust(proxy="ftp://me:s3cret@proxy"))

    assert "s3cret" not in str(caught.value)
