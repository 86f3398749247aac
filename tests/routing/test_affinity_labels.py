"""Tests of the labels of external PSKs and the backends that they lead to."""

import pytest

from routing import Backend, Balance, Capacity, ExternalPsks
from routing.affinity import MAX_TICKETS, by_external_psk
from tests.routing.cases import (
    Keys,
    backend,
    backends,
    busy,
    hello,
    name,
    owned,
    pool,
    routable,
    state,
)

A = b"A" * 16
SEALED = bytes(100)
LABEL = b"Client_identity"


def _name(found: Backend | None) -> str | None:
    return None if found is None else found.name


PSKS = ExternalPsks({LABEL: name("b1"), A: name("b1"), b"gone": name("left")})


@pytest.mark.parametrize(
    ("psk", "owner"),
    [
        ((LABEL,), "b1"),
        ((A,), "b1"),
        ((b"other", LABEL), "b1"),
        ((b"gone",), None),
        ((LABEL + b"?",), None),
        ((b"other",) * MAX_TICKETS + (LABEL,), None),
        ((), None),
    ],
)
def test_a_configured_label_leads_to_its_backend(psk: tuple[bytes, ...], owner: str | None) -> None:
    """By the whole identity and nothing less, whatever its age; the first that yields one wins."""
    members = pool(backends(1, 1, 1), names=[owned("b0", A)], psks=PSKS)
    for age in (0, 7):
        found = by_external_psk(hello(psk=psk, age=age), members, state())
        assert _name(found) == owner


HASHED = pool(
    [backend(f"b{i}", i, server_id=i) for i in range(9)],
    names=[owned("b0", A)],
    routable=Keys(),
    psks=ExternalPsks(hashed=True),
    balance=Balance.ROUND_ROBIN,
)


def test_another_label_goes_where_its_hash_says() -> None:
    """The same from everywhere, whatever the balance; labels are spread over the pool."""
    labels = [b"meter-%d" % number for number in range(200)]
    found = [by_external_psk(hello(psk=(label,), age=0), HASHED, state()) for label in labels]
    again = [by_external_psk(hello(psk=(label,), age=0), HASHED, state(turn=5)) for label in labels]
    assert found == again
    assert set(found) == set(HASHED.backends)


@pytest.mark.parametrize(
    ("identity", "age"),
    [
        (b"meter", 1),
        (A + SEALED, 0),
        (routable(3) + SEALED, 0),
    ],
)
def test_what_may_be_a_ticket_is_not_hashed(identity: bytes, age: int) -> None:
    """An identity with an age, or with a name that somebody knows, is none of an external PSK."""
    assert by_external_psk(hello(psk=(identity,), age=age), HASHED, state()) is None


def test_without_leave_no_label_is_hashed() -> None:
    """A pool that knows nothing of external PSKs does not guess."""
    asked = hello(psk=(b"meter",), age=0)
    assert by_external_psk(asked, pool(backends(1)), state()) is None
    assert by_external_psk(asked, pool(backends(1), psks=PSKS), state()) is None


def test_labels_that_hash_alike_do_not_pile_up() -> None:
    """One label's thousand connections use the pool to its bound, and no backend further."""
    load = busy()
    for _ in range(900):
        found = by_external_psk(hello(psk=(b"meter",), age=0), HASHED, state(load))
        assert found is not None
        load.opened(found.index)
    assert max(load.statistics().values()) <= 141  # four deviations of chance over a share of 100


def test_the_reservation_of_a_labels_first_choice_holds() -> None:
    """A client's second connection stays beside the first, which took the last place."""
    members = pool(backends(1, 1, 1), capacity=Capacity(sessions=1), psks=ExternalPsks(hashed=True))
    asked = hello(psk=(b"meter",), age=0)
    first = by_external_psk(asked, members, state())
    assert first is not None
    load = busy(**{first.name: 1})
    assert by_external_psk(asked, members, state(load)) not in {first, None}
    assert by_external_psk(asked, members, state(load, reservation=first.name)) == first
    moment = state(load, reservation=first.name, tried=(first.name,))
    assert by_external_psk(asked, members, moment) not in {first, None}
    (other, _) = (member.name for member in members.backends if member != first)
    assert by_external_psk(asked, members, state(reservation=other)) == first
