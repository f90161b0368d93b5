from __future__ import annotations

import socket
import sys

import pytest

from winnow.plugin.cluster.address import check_address, check_allowed, check_answers, check_installed
from winnow.plugin.errors import DataError, MissingPartError


@pytest.mark.parametrize("address", ["", "local", "auto", "head.example:6379", "192.0.2.7:6379", "[::1]:6379"])
def test_addresses_of_clusters_are_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize("address", ["here", "head.example", "http://head:80", "user:password@head:6379", "head:x"])
def test_what_is_no_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(DataError, match="HOST:PORT") as refused:
        check_address(address)

    assert "password" not in str(refused.value)


def test_rays_client_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match="--cluster auto"):
        check_address("ray://head:10001")


def test_an_address_without_a_cluster_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(DataError, match=f"no cluster answers at {address}"):
        check_answers(address)


def test_the_app_uses_the_named_cluster_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CLUSTER", "head:6379")

    for address in ("", "local", "head:6379"):
        check_allowed(address, "")
    with pytest.raises(DataError, match="WINNOW_CLUSTER"):
        check_allowed("other:6379", "")
    with pytest.raises(DataError, match="WINNOW_VECTOR_STORE"):
        check_allowed("local", "/etc")


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingPartError, match=r"fiftyone-winnow\[cluster\]"):
        check_installed()
