"""The narrowest exception from the addresses that Label Studio refuses."""

from __future__ import annotations

import ipaddress

import pytest

from winnow.plugin.labeling.reserved_addresses import BANNED_BY_DEFAULT, narrow_exception, reserved_address_of


def refused(address: str, banned: str) -> bool:
    """Do as Label Studio does (core/utils/io.py, validate_ip)."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in banned.split(","))


@pytest.mark.parametrize("spared", ["127.0.0.1", "172.18.0.5", "::1", "fd00::12"])
def test_exception_spares_one_address_and_bans_every_other_as_before(spared: str) -> None:
    banned = narrow_exception(spared)["USER_ADDITIONAL_BANNED_SUBNETS"]

    by_default = ",".join(map(str, BANNED_BY_DEFAULT))
    edges = {str(address) for network in BANNED_BY_DEFAULT for address in (network[0], network[-1])}
    near = {str(ipaddress.ip_address(spared) + distance) for distance in (1, 2, 3, 4099)}
    others = (edges | near) - {spared}
    assert not refused(spared, banned)
    assert [refused(each, banned) for each in others] == [refused(each, by_default) for each in others]
    assert not refused("93.184.216.34", banned)


def test_public_address_needs_no_exception() -> None:
    assert reserved_address_of("http://93.184.216.34:9090") is None


def test_reserved_address_of_a_url_is_told() -> None:
    assert reserved_address_of("http://10.1.2.3:9090/sub") == "10.1.2.3"
