"""Which hosts may be asked."""

from __future__ import annotations

import pytest

from winnow.plugin.labeling.host_rules import HostRules
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "93.184.216.34", "localhost", "example.org"]
)
def test_nothing_may_be_asked_where_nothing_is_listed(host: str) -> None:
    with pytest.raises(ImageAccessError) as caught:
        HostRules().addresses_of(host, 80)

    assert caught.value.problem is AccessProblem.REFUSED


def test_listed_name_that_leads_to_a_private_address_is_refused() -> None:
    rules = HostRules.from_entries(["localhost"])

    with pytest.raises(ImageAccessError, match="private address"):
        rules.addresses_of("localhost", 80)


def test_listed_name_with_its_private_network_listed_is_allowed() -> None:
    rules = HostRules.from_entries(["LocalHost", "127.0.0.0/8", "::1"])

    assert "127.0.0.1" in rules.addresses_of("localhost", 80)


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_address_in_a_listed_network_is_allowed_however_it_is_written(host: str) -> None:
    assert HostRules.from_entries(["10.1.0.0/16"]).addresses_of(host, 80) == [host]


def test_name_that_does_not_exist_is_unreachable() -> None:
    rules = HostRules.from_entries(["nowhere.invalid"])

    with pytest.raises(ImageAccessError) as caught:
        rules.addresses_of("nowhere.invalid", 80)

    assert caught.value.problem is AccessProblem.UNREACHABLE


@pytest.mark.parametrize("entry", ["http://example.org", "example.org:8080", "*.example.org", "user@example.org"])
def test_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        HostRules.from_entries([entry])
