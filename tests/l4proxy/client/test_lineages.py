"""What a client remembers: bounded, per target, and only for as long as a proof holds."""

import ssl
import time
from dataclasses import replace
from types import MappingProxyType

import pytest

from attestation import AgentClaims, AttestationResult, Evidence, Expectation, KeyOrigin, judge
from l4proxy.client.lineages import (
    MAX_INSTANCES,
    MAX_TARGETS,
    Lineage,
    Lineages,
    Shown,
    Target,
    Vouch,
)
from tests.l4proxy.agent.parts import KINDS, policy

REFUSED = judge(Evidence("none", b"", MappingProxyType({})), policy(), KINDS, Expectation(), 0.0)
HERE = Target("127.0.0.1", 443, "app.example.com")


def result(until: float | None = 100.0, origin: KeyOrigin = KeyOrigin.INSIDE) -> AttestationResult:
    """A verdict that holds until then."""
    return replace(REFUSED, trust_until=until, agent=AgentClaims(key_origin=origin))


def lineage(key: bytes = b"a", found: AttestationResult | None = None) -> Lineage:
    """The lineage of an instance, proved at 10."""
    return Lineage(Shown(b"", (), b"", key), found or result(), 10.0, 10.0)


@pytest.mark.parametrize(
    ("now", "utc", "holds"),
    [(10, 10, True), (69.9, 99.9, True), (70, 10, False), (10, 100, False)],
)
def test_it_holds_for_its_time(now: float, utc: float, holds: bool) -> None:
    """It ends with the rules or with the evidence, whichever comes first."""
    assert lineage().holds(60.0, now, utc) is holds


def test_a_member_ends_with_its_set() -> None:
    """Whatever its evidence allows, and whichever clock is set back."""
    found = lineage()
    found.vouch = Vouch("enclave-a", 10.0, 30.0)
    assert found.holds(60.0, 10.0, 29.9)
    assert not found.holds(60.0, 10.0, 30.0)
    found.vouch = Vouch("enclave-a", 10.0, 30.0, 40.0)
    assert found.holds(60.0, 39.9, 10.0)
    assert not found.holds(60.0, 40.0, 10.0)


def test_what_was_refused_never_holds() -> None:
    """Without an end there was no trust."""
    assert not lineage(found=result(None)).holds(60.0, 10.0, 10.0)


def test_a_key_is_known_if_it_was_made_inside() -> None:
    """Others may hold a key that came from outside, and one of which nobody says."""
    assert lineage().known_by_key
    assert not lineage(found=result(origin=KeyOrigin.IMPORTED)).known_by_key
    assert not lineage(found=replace(result(), agent=None)).known_by_key


def test_the_last_one_is_current() -> None:
    """The instance that has answered last is the one to go on with."""
    known = Lineages()
    assert known.current(HERE) is None
    assert known.of(HERE, b"a") is None
    one, other = lineage(b"a"), lineage(b"b")
    for each in (one, other, one):
        known.note(HERE, each)
    assert known.current(HERE) is one
    assert known.of(HERE, b"b") is other
    assert known.of(HERE._replace(port=444), b"b") is None


def test_instances_are_bounded() -> None:
    """A target with ever new instances costs no more than some."""
    known = Lineages()
    for number in range(MAX_INSTANCES + 5):
        known.note(HERE, lineage(b"%d" % number))
    assert known.of(HERE, b"4") is None
    assert known.of(HERE, b"5") is not None


def test_targets_are_bounded() -> None:
    """The target that was used longest ago is forgotten."""
    known = Lineages()
    for port in range(1, MAX_TARGETS + 1):
        known.note(HERE._replace(port=port), lineage())
    known.note(HERE._replace(port=1), lineage())
    known.note(HERE, lineage())
    assert known.current(HERE._replace(port=1)) is not None
    assert known.current(HERE._replace(port=2)) is None


def test_sessions_are_kept_only_where_tickets_may_be_trusted() -> None:
    """No session, one without a ticket, and one that others could take up are not kept."""
    trusted = lineage(found=replace(result(), resumption=True))
    trusted.keep(None)
    assert trusted.session is None
    begun = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="app.example.com"
    )
    trusted.keep(begun.session)
    assert trusted.session is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (HERE, "127.0.0.1:443 (app.example.com)"),
        (Target("::1", 443, ""), "[::1]:443"),
        (Target("app.example.com", 443, "app.example.com"), "app.example.com:443"),
    ],
)
def test_a_target_in_writing(target: Target, expected: str) -> None:
    """Reports name where a connection was to lead."""
    assert str(target) == expected


def test_the_clock_of_these_tests_is_made_up() -> None:
    """A verdict of today would not hold at 10 seconds after 1970."""
    assert time.time() > 100.0
