"""The addresses that Label Studio never calls by default, and the narrowest exception for one of them.

Label Studio 1.23 refuses ML backends and webhooks at private addresses twice over: ML_BLOCK_LOCAL_IP guards the calls
to ML backends, SSRF_PROTECTION_ENABLED the webhooks (and imports, and storages). Both look at one list of networks.
That list can be replaced by one that spares a single address, so that neither protection has to be switched off.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# core/utils/io.py of Label Studio 1.23.2: what USE_DEFAULT_BANNED_SUBNETS stands for.
BANNED_BY_DEFAULT: tuple[_Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "233.252.0.0/24",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",
        "2001:20::/28",
        "2001:db8::/32",
        "2002::/16",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)


def narrow_exception(address: str) -> dict[str, str]:
    """Return the settings with which Label Studio may call one address, and no other that it refuses by default.

    Args:
        address: An IP address. Behind a name, Label Studio looks at every address that the name leads to.

    Raises:
        ValueError: Not an IP address.
    """
    spared = ipaddress.ip_network(ipaddress.ip_address(address))
    banned: list[_Network] = []
    for network in BANNED_BY_DEFAULT:
        banned += _without(network, spared)
    networks = ",".join(str(network) for network in banned)
    return {"USE_DEFAULT_BANNED_SUBNETS": "false", "USER_ADDITIONAL_BANNED_SUBNETS": networks}


def reserved_address_of(url: str) -> str | None:
    """Return the first address behind a URL's host that Label Studio refuses by default, None when there is none.

    Names are resolved here; inside a container they may lead elsewhere.
    """
    for address in _addresses_of(url):
        if any(address in network for network in BANNED_BY_DEFAULT if network.version == address.version):
            return str(address)
    return None


def _without(network: _Network, spared: _Network) -> list[_Network]:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(spared, ipaddress.IPv4Network):
        return sorted(network.address_exclude(spared)) if spared.subnet_of(network) else [network]
    if isinstance(network, ipaddress.IPv6Network) and isinstance(spared, ipaddress.IPv6Network):
        return sorted(network.address_exclude(spared)) if spared.subnet_of(network) else [network]
    return [network]


def _addresses_of(url: str) -> list[_Address]:
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
