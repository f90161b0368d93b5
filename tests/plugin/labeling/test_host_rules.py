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


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "LOCALHOST."])
def test_odd_spelling_of_an_address_is_a_name_that_nobody_listed(host: str) -> None:
    rules = HostRules.from_entries(["images.example.org", "93.184.216.0/24"])

    with pytest.raises(ImageAccessError) as caught:
        rules.addresses_of(host, 80)

    assert caught.value.problem is AccessProblem.REFUSED


@pytest.mark.parametrize(
    "private",
    ["10.0.0.1", "169.254.169.254", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
     "0.0.0.0", "224.0.0.1", "100.64.0.1"],
)  # fmt: skip
def test_one_private_address_among_the_answers_for_a_name_refuses_it(
    monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    answers = [(None, None, None, "", (address, 80)) for address in ("93.184.216.34", private)]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answers)

    with pytest.raises(ImageAccessError, match="leads to the private address"):
        HostRules.from_entries(["images.example.org"]).addresses_of("images.example.org", 80)


def test_name_is_resolved_once_so_that_a_changing_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(None, None, None, "", (next(answers), 80))])

    addresses = HostRules.from_entries(["images.example.org"]).addresses_of("images.example.org", 80)

    assert addresses == ["93.184.216.34"]
