"""Which hosts images may be fetched from: task data is written by many people, and must not reach into the network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from .image_access import AccessProblem, ImageAccessError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NOT_ALLOWED = "not among the allowed hosts (WINNOW_IMAGE_HOSTS)"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class HostRules:
    """The hosts that the operator lists.

    Attributes:
        names: Host names, lower case. A listed name that leads to a private address is refused all the same, unless the
            address is listed too: whoever runs a public name's DNS could otherwise point it into the network.
        networks: Addresses and networks, private ones included.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = field(default=())

    @classmethod
    def from_entries(cls, entries: Iterable[str]) -> HostRules:
        """Sort entries such as `images.example.org`, `192.0.2.7` or `10.1.0.0/16` into names and networks.

        Raises:
            ValueError: An entry that is a URL, or has a port or a wildcard.
        """
        names: set[str] = set()
        networks: list[_Network] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                if any(character in entry for character in "/:*@ "):
                    raise ValueError(
                        f"'{entry}' is not a host name, an address or a network such as 10.1.0.0/16"
                    ) from None
                names.add(entry.lower().rstrip("."))
        return cls(frozenset(names), tuple(networks))

    def addresses_of(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to for a host, each of them checked: connect to these, not to the name.

        Raises:
            ImageAccessError: Not listed, not resolvable, or leading to a private address that is not listed.
        """
        literal = _literal(host)
        if literal is not None:
            if not self._is_listed(literal):
                raise ImageAccessError(AccessProblem.REFUSED, f"address {host} is {_NOT_ALLOWED}")
            return [host]
        if host.lower().rstrip(".") not in self.names:
            raise ImageAccessError(AccessProblem.REFUSED, f"host '{host}' is {_NOT_ALLOWED}")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ImageAccessError(AccessProblem.UNREACHABLE, f"host '{host}' cannot be resolved") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            resolved = _literal(address)
            if resolved is None or not (_is_public(resolved) or self._is_listed(resolved)):
                raise ImageAccessError(
                    AccessProblem.REFUSED,
                    f"host '{host}' leads to the private address {address}, which is {_NOT_ALLOWED}",
                )
        return addresses

    def _is_listed(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)


def _literal(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address if isinstance(address, ipaddress.IPv4Address) else _embedded(address) or address


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the address that one of IPv6 leads to in the end: ::ffff:10.0.0.1 is 10.0.0.1 to the operating system.

    So it is to translators (NAT64, RFC 6052) and relays (6to4, RFC 3056) on the way, where there are any.
    """
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_public(address: _Address) -> bool:
    return address.is_global and not address.is_multicast
