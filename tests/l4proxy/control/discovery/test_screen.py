"""What others name is dialled only where it may be."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.control.discovery.screen import Unfit, screen, unfit

REFUSED = [
    ("127.0.0.1", Unfit.LOOPBACK),
    ("127.255.255.254", Unfit.LOOPBACK),
    ("::1", Unfit.LOOPBACK),
    ("::ffff:127.0.0.1", Unfit.LOOPBACK),
    ("169.254.169.254", Unfit.LINK_LOCAL),
    ("fe80::1", Unfit.LINK_LOCAL),
    ("fe80::1%2", Unfit.LINK_LOCAL),
    ("::ffff:169.254.169.254", Unfit.LINK_LOCAL),
    ("224.0.0.1", Unfit.MULTICAST),
    ("ff02::1", Unfit.MULTICAST),
    ("0.0.0.0", Unfit.UNSPECIFIED),  # noqa: S104 - nobody binds it
    ("0.1.2.3", Unfit.UNSPECIFIED),
    ("::", Unfit.UNSPECIFIED),
    ("::ffff:0.0.0.0", Unfit.UNSPECIFIED),
    ("255.255.255.255", Unfit.RESERVED),
    ("::127.0.0.1", Unfit.RESERVED),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_leads_back_to_us_is_refused(text: str, reason: Unfit) -> None:
    """No address of the machine or its link may be dialled, in whatever form it comes."""
    assert unfit(ip_address(text)) is reason


@pytest.mark.parametrize("text", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"])
def test_what_is_elsewhere_may_be_dialled(text: str) -> None:
    """Private and public addresses of others are backends like any."""
    assert unfit(ip_address(text)) is None


def test_the_loopback_alone_can_be_allowed() -> None:
    """Who allows the loopback allows nothing else."""
    found = [ip_address(text) for text, _ in REFUSED]
    fit, refused = screen(found, allow_loopback=True)
    assert fit == {ip_address(text) for text in ("127.0.0.1", "127.255.255.254", "::1")}
    assert Unfit.LOOPBACK not in refused
    assert refused.total() == sum(reason is not Unfit.LOOPBACK for _, reason in REFUSED)


def test_a_mapped_address_is_the_ipv4_address() -> None:
    """One backend in two spellings is one backend."""
    found = [ip_address("::ffff:10.0.0.1"), ip_address("10.0.0.1")]
    fit, refused = screen(found, allow_loopback=False)
    assert fit == {ip_address("10.0.0.1")}
    assert not refused


@given(st.lists(st.ip_addresses(), max_size=20), st.booleans())
def test_nothing_is_lost(found: list[object], allow: bool) -> None:
    """Every address is either fit or counted."""
    addresses = [ip_address(str(each)) for each in found]
    fit, refused = screen(addresses, allow_loopback=allow)
    assert len(fit) <= len(addresses) - refused.total()
    assert all(unfit(each) in {None, Unfit.LOOPBACK if allow else None} for each in fit)
