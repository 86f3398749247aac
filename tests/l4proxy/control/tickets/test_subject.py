"""Tests of a backend that is interviewed: when it is asked again, and what is kept of it."""

import pytest

from l4proxy.control.membership import Member
from l4proxy.control.tickets.interview import Interview
from l4proxy.control.tickets.layouts import PLAIN, Ticket, read_names
from l4proxy.control.tickets.subject import (
    EVERY_SECONDS,
    LASTING_SECONDS,
    RETRY_SECONDS,
    Subject,
    TicketRules,
    TicketStanding,
)
from l4proxy.control.tickets.visit import LASTING, Approach, TicketFault
from routing import Address, BackendName, PoolName
from sni import ServerName

APP, A, B = PoolName("app"), BackendName("a"), BackendName("b")
HOME = Address("127.0.0.1", 1)
SHOWN = (Ticket.of(bytes(200)),) * 2
WELL = Interview(SHOWN, "TLSv1.3", 300.0, resumed=True)
PASSING = [fault for fault in TicketFault if fault not in LASTING]


def subject(every: float = EVERY_SECONDS) -> Subject:
    """A backend of which nothing is known."""
    return Subject(APP, A, Approach(HOME), every)


def take(known: Subject, came: Interview, now: float = 1.0) -> None:
    """The subject takes what an interview has shown."""
    known.take(came, read_names(came.tickets), now)


def test_a_backend_that_shows_names_is_asked_at_the_usual_pace() -> None:
    """Names, their layout and what the interview came to are kept."""
    known = subject()
    take(known, WELL, 5.0)
    assert known.standing == TicketStanding(None, 5.0, "TLSv1.3", resumed=True)
    assert known.layouts == {PLAIN}
    assert known.pause() == EVERY_SECONDS


def test_names_before_a_fault_are_names() -> None:
    """An interview that broke off after it had shown enough has no fault."""
    known = subject()
    take(known, Interview(SHOWN, fault=TicketFault.TIMEOUT))
    assert known.standing.fault is None


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_again_soon(fault: TicketFault) -> None:
    """However often it fails; and what was proven before stays proven."""
    known = subject()
    take(known, WELL)
    for _ in range(5):
        take(known, Interview(fault=fault))
        assert known.pause() == RETRY_SECONDS
    assert known.layouts == {PLAIN}


@pytest.mark.parametrize("fault", sorted(LASTING))
def test_what_lasts_is_tried_once_more_and_then_seldom(fault: TicketFault) -> None:
    """One odd answer is not believed; two in a row are. Then its old layouts are gone too."""
    known = subject()
    take(known, WELL)
    came = Interview(fault=fault) if fault is not TicketFault.NAMELESS else Interview()
    take(known, came)
    assert (known.standing.fault, known.pause()) == (fault, RETRY_SECONDS)
    take(known, came)
    assert known.pause() == LASTING_SECONDS
    assert known.layouts == frozenset()
    take(known, WELL)
    assert known.pause() == EVERY_SECONDS


def test_no_pause_is_longer_than_it_must_be() -> None:
    """Who is asked often is asked again as often; who is asked seldom, not more."""
    known = subject(every=10.0)
    take(known, Interview(fault=TicketFault.TIMEOUT))
    assert known.pause() == 10.0
    known = subject(every=10 * LASTING_SECONDS)
    for _ in range(2):
        take(known, Interview(fault=TicketFault.NO_TICKETS))
    assert known.pause() == 10 * LASTING_SECONDS


def test_who_returns_begins_anew() -> None:
    """A backend with a fault is woken, and its fault is to be found twice again."""
    known = subject()
    for _ in range(2):
        take(known, Interview(fault=TicketFault.NO_TICKETS))
    known.forgive()
    assert known.wake.is_set()
    take(known, Interview(fault=TicketFault.NO_TICKETS))
    assert known.pause() == RETRY_SECONDS


def test_who_is_known_is_not_woken() -> None:
    """A backend that has its names is left in peace when it returns."""
    known = subject()
    known.forgive()
    take(known, WELL)
    known.forgive()
    assert not known.wake.is_set()


def test_a_name_is_kept_beyond_the_next_interview() -> None:
    """Tickets may be given until then, and last as long as the server says; or it does not say."""
    assert subject(every=100.0).kept(300.0) == 500.0
    assert subject().kept(None) is None


def test_rules_say_how_each_backend_is_visited() -> None:
    """Address, preamble and what the pool has in common."""
    name = ServerName("app.example.com")
    rules = TicketRules(name, 60.0, 2.0, {A: b"first"}, b"GET /")
    assert rules.approach(Member(A, HOME)) == Approach(HOME, name, b"first", b"GET /", 2.0)
    assert rules.approach(Member(B, HOME)) == Approach(HOME, name, b"", b"GET /", 2.0)


@pytest.mark.parametrize("times", [(0.0, 3.0), (60.0, 0.0), (-1.0, 3.0)])
def test_times_are_above_zero(times: tuple[float, float]) -> None:
    """A pace or a timeout of nothing is refused."""
    with pytest.raises(ValueError, match="above 0"):
        TicketRules(None, *times)


def test_another_manner_is_another_subject() -> None:
    """Address, name, preamble and pace make the manner."""
    assert subject().is_asked_like(subject())
    assert not subject().is_asked_like(subject(every=1.0))
    assert not subject().is_asked_like(
        Subject(APP, A, Approach(HOME, preamble=b"x"), EVERY_SECONDS)
    )
