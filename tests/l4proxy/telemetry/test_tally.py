"""Counters are sorted by what they count, and strangers' labels cannot make them grow."""

import errno

from l4proxy.dataplane import counters as names
from l4proxy.dataplane import listener
from l4proxy.telemetry.tally import (
    MAX_ERROR_NAME_LENGTH,
    MAX_ERROR_NAMES,
    OTHER,
    AcceptPause,
    Tally,
    tally,
)
from routing import BackendName, PoolName
from tests.l4proxy.telemetry.fake import FakeBalancer, FakeTotals

APP = PoolName("app")
A = (APP, BackendName("a"))


def counted(*rows: tuple[str, str, int]) -> Tally:
    """The tally of these rows."""
    return tally(FakeTotals(list(rows)), FakeBalancer().snapshot.pools)


def test_what_was_counted_of_a_backend_stands_together() -> None:
    """Connections, bytes and failed dials are found under pool and backend."""
    found = counted(
        (names.FORWARDED, "app/a", 5),
        (names.BYTES_UP, "app/a", 7),
        (names.BYTES_DOWN, "app/a", 9),
        (names.DIAL_FAILED, "app/a/econnrefused", 2),
        (names.DIAL_FAILED, "app/a/unknown", 1),
    )
    served = found.backends[A]
    assert (served.forwarded, served.to_backend, served.to_client) == (5, 7, 9)
    assert served.dial_failures == {"econnrefused": 2, "unknown": 1}
    assert found.forwarded == 5


def test_a_backend_with_an_address_for_a_name_is_found() -> None:
    """Colons and brackets in a name do not disturb its label."""
    found = counted((names.DIAL_FAILED, "api/[2001:db8::1]:443/etimedout", 3))
    key = (PoolName("api"), BackendName("[2001:db8::1]:443"))
    assert found.backends[key].dial_failures == {"etimedout": 3}


def test_zeros_are_there_from_the_start() -> None:
    """Each reason, ending, pool and backend that can be named is there before it is counted."""
    found = counted()
    assert found.accepted == 0
    for counts in (found.refused, found.ended, found.accept_pauses, found.decisions[APP]):
        assert counts
        assert not any(counts.values())
    assert len(found.backends) == 3


def test_simple_counters_are_taken_over() -> None:
    """Refusals, endings, decisions and pauses stand under their labels."""
    found = counted(
        (names.ACCEPTED, "", 11),
        (names.REFUSED, "not_tls", 1),
        (names.ENDED, "complete", 2),
        (names.ACCEPT_PAUSED, "emfile", 3),
        (names.CHOSEN, "app/selected", 4),
        (names.FAILURES, "KeyError", 5),
    )
    assert found.accepted == 11
    assert found.refused["not_tls"] == 1
    assert found.ended["complete"] == 2
    assert found.accept_pauses["emfile"] == 3
    assert found.decisions[APP]["selected"] == 4
    assert found.internal_failures == {"KeyError": 5}


def test_unknown_labels_are_counted_together() -> None:
    """A label that nobody knows is neither shown nor lost."""
    found = counted(
        (names.REFUSED, 'a"b\n', 1),
        (names.REFUSED, "x" * 1000, 2),
        (names.CHOSEN, "app/nonsense", 3),
        (names.DIAL_FAILED, "app/a/nonsense", 4),
        (names.FAILURES, "no identifier", 5),
        (names.FAILURES, "E" * (MAX_ERROR_NAME_LENGTH + 1), 6),
    )
    assert found.refused[OTHER] == 3
    assert found.decisions[APP][OTHER] == 3
    assert found.backends[A].dial_failures == {OTHER: 4}
    assert found.internal_failures == {OTHER: 11}


def test_unknown_backends_are_left_out() -> None:
    """What belongs to no backend of the configuration is not shown."""
    found = counted(
        (names.FORWARDED, "app/gone", 1),
        (names.DIAL_FAILED, "gone/a/econnrefused", 1),
        (names.CHOSEN, "gone/selected", 1),
        (names.FORWARDED, "", 1),
    )
    assert found.forwarded == 0
    assert set(found.decisions) == {"app", "api"}


def test_names_of_errors_are_bounded() -> None:
    """More classes of errors than one tells apart are counted as other."""
    rows = [(names.FAILURES, f"Error{number}", 1) for number in range(MAX_ERROR_NAMES + 8)]
    found = counted(*rows).internal_failures
    assert len(found) == MAX_ERROR_NAMES + 1
    assert found[OTHER] == 8


def test_every_pause_of_the_listener_has_a_name() -> None:
    """What the listener pauses for is what is counted by name."""
    errors = {errno.errorcode[number].lower() for number in listener._EXHAUSTED}  # noqa: SLF001 - the two must agree
    assert {str(pause) for pause in AcceptPause} == {"connections", *errors}
