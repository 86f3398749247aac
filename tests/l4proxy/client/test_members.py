"""The pre-verified set: who is let in by it, for how long, and who is not."""

import time
from dataclasses import replace

import pytest

from attestation import Expectation, KeyOrigin, PolicyError, SimulatedTee, judge
from l4proxy.client import (
    AttestedClient,
    Basis,
    Continuity,
    Fault,
    OnSwitch,
)
from l4proxy.client.lineages import Lineage, Shown, Target
from l4proxy.client.members import MAX_SETS, SKEW_SECONDS, Moment, Sets, take
from l4proxy.set_wire import MAX_EPOCH_SECONDS, Entry
from tests.l4proxy.agent.parts import KINDS, NAME, policy
from tests.l4proxy.client.parts import (
    HOST,
    REATTEST,
    REFUSE,
    Enclave,
    Server,
    account,
    client,
    diverted,
    failing,
    refused,
    serving,
    switch,
)


async def test_a_member_is_let_in_by_its_key() -> None:
    """No proof is asked for, and the client says whose word it takes, and until when."""
    other = Server()
    one = Server(members=lambda: [other.enclave.entry(age=30.0)])
    async with serving(one), serving(other), switch(one.port) as way:
        asking = client(REFUSE)
        first = await account(asking, way.port)
        way.to = other.port
        second = await account(asking, way.port)
        third = await account(asking, way.port)
    assert (first.basis, first.vouch) == (Basis.EXPORTER, None)
    assert (second.standing, second.basis) == (Continuity.SWITCHED, Basis.SET)
    # The ticket of the first is offered, is not taken up, and costs no connection.
    assert (other.connections, other.proofs) == (2, 0)
    place = second.vouch
    assert place is not None
    assert place.by == first.name
    assert 29.0 <= time.time() - place.verified_at <= 40.0
    assert 560.0 <= place.until - time.time() <= 571.0
    assert second.proved_at == place.verified_at
    assert second.result.accepted
    assert (third.standing, third.basis) == (Continuity.RESUMED, Basis.LINEAGE)
    assert third.vouch == place


async def test_fail_over_is_free_inside_the_set() -> None:
    """Back and forth, without a ticket: who sent the set is a member by this client's own proof."""
    enclaves = [Enclave(), Enclave()]
    for enclave in enclaves:
        enclave.claims = replace(enclave.claims, ticket_keys=None)
    other = Server(enclaves[1])
    one = Server(enclaves[0], members=lambda: [enclaves[1].entry()])
    async with serving(one), serving(other), switch(one.port) as way:
        asking = client(REFUSE)
        await account(asking, way.port)
        found = []
        for server in (other, one, other, one):
            way.to = server.port
            found.append(await account(asking, way.port))
    assert {(each.standing, each.basis) for each in found} == {(Continuity.SWITCHED, Basis.SET)}
    assert found[-1].vouch is not None
    assert found[-1].vouch.by == "this client"
    assert (one.proofs, other.proofs) == (1, 0)


async def test_a_genuine_enclave_that_is_not_in_the_set_is_refused() -> None:
    """A diversion within the policy is noticed before a byte of the application."""
    stranger, other = Server(), Server()
    one = Server(members=lambda: [other.enclave.entry()])
    error = await diverted(client(REFUSE), one, stranger)
    assert error.fault is Fault.STRANGER
    assert stranger.enclave.digest.hex() in error.detail
    assert stranger.proofs == 0


async def test_a_stranger_can_prove_itself_where_the_rules_say_so() -> None:
    """It does so on a connection of its own, and its set is the one from then on."""
    stranger, other = Server(), Server()
    one = Server(members=lambda: [other.enclave.entry()])
    stranger.members = lambda: [other.enclave.entry()]
    async with serving(one), serving(stranger), serving(other), switch(one.port) as way:
        asking = client(REATTEST)
        await account(asking, way.port)
        way.to = stranger.port
        second = await account(asking, way.port)
        way.to = other.port
        third = await account(asking, way.port)
    assert (second.standing, second.basis) == (Continuity.SWITCHED, Basis.EXPORTER)
    assert third.vouch is not None
    assert third.vouch.by == second.name


async def test_a_member_is_judged_by_the_clients_own_policy() -> None:
    """What was good enough for the enclave that sent it is not for this client."""
    other = Server(Enclave(SimulatedTee(b"other")))
    one = Server(members=lambda: [other.enclave.entry()])
    async with serving(one), serving(other), switch(one.port) as way:
        for rules in (REFUSE, REATTEST):
            way.to = one.port
            asking = client(rules)
            await account(asking, way.port)
            way.to, port = other.port, way.port
            there = Server(heard=other.heard, port=port)
            error = await refused(asking, there)
            refuses = rules is REFUSE
            assert error.fault is (Fault.STRANGER if refuses else Fault.REFUSED)
            assert failing(error) == "pcr0"
            assert "pcr0: found " in error.detail


async def test_an_imported_key_is_no_member() -> None:
    """Even a policy that takes imported keys takes them by the exporter alone."""
    imported = Enclave()
    imported.claims = replace(imported.claims, key_origin=KeyOrigin.IMPORTED)
    asked = policy(key_origin=["inside", "imported"], freshness={"mode": "exporter"})
    other = Server(imported)
    one = Server(members=lambda: [imported.entry()])
    async with serving(one), serving(other), switch(one.port) as way:
        asking = client(REFUSE, asked)
        await account(asking, way.port)
        way.to, port = other.port, way.port
        error = await refused(asking, Server(heard=other.heard, port=port))
        asking = client(REATTEST, asked)
        way.to = one.port
        await account(asking, port)
        way.to = other.port
        assert (await account(asking, port)).basis is Basis.EXPORTER
    assert error.fault is Fault.STRANGER
    assert "key_origin" in error.detail


async def test_an_imported_sender_is_no_member_of_its_own_set() -> None:
    """It may vouch for others, as it has proved itself; it is met by the exporter alone."""
    imported = Enclave()
    imported.claims = replace(imported.claims, key_origin=KeyOrigin.IMPORTED, ticket_keys=None)
    asked = policy(key_origin=["inside", "imported"], freshness={"mode": "exporter"})
    one = Server(imported, members=lambda: [Enclave().entry()])
    async with serving(one):
        asking = client(REATTEST, asked)
        found = [(await account(asking, one.port)).basis for _ in range(2)]
    assert found == [Basis.EXPORTER, Basis.EXPORTER]


async def test_evidence_for_another_key_lets_nobody_in() -> None:
    """An entry counts for the key that its evidence speaks of, whatever it is called."""
    thief, true = Server(), Enclave()
    one = Server(members=lambda: [replace(true.entry(), key=thief.enclave.digest)])
    error = await diverted(client(REFUSE), one, thief)
    assert error.fault is Fault.STRANGER
    assert failing(error) == "key_binding"


async def test_the_end_of_the_epoch() -> None:
    """When the set has ended, the next connection proves itself, and brings a new one."""
    ahead = [0.0]
    asking = AttestedClient(policy(), REFUSE, kinds=KINDS, clock=lambda: time.time() + ahead[0])
    other = Server()
    one = Server(members=lambda: [other.enclave.entry(age=-ahead[0])])
    other.members = lambda: [one.enclave.entry(age=-ahead[0])]
    async with serving(one), serving(other), switch(one.port) as way:
        await account(asking, way.port)
        way.to = other.port
        assert (await account(asking, way.port)).basis is Basis.SET
        ahead[0] = 700.0
        found = [(await account(asking, way.port)).basis for _ in range(2)]
        way.to = one.port
        found.append((await account(asking, way.port)).basis)
    assert found == [Basis.EXPORTER, Basis.LINEAGE, Basis.SET]
    assert other.proofs == 1


async def test_the_end_of_the_epoch_during_a_handshake() -> None:
    """Whoever holds it up gains no time: the connection has to prove itself."""
    ahead = [0.0]
    asking = AttestedClient(policy(), REFUSE, kinds=KINDS, clock=lambda: time.time() + ahead[0])
    other = Server()
    one = Server(members=lambda: [other.enclave.entry()])
    async with serving(one), serving(other), switch(one.port) as way:
        await account(asking, way.port)
        way.to = other.port
        context = other.enclave.context()
        context.sni_callback = lambda *_: ahead.append(ahead.pop() + 601.0)
        async with serving(Server(other.enclave, context=context)) as slow:
            way.to = slow.port
            assert (await account(asking, way.port)).basis is Basis.EXPORTER


async def test_no_set_is_as_good_as_none_asked_for() -> None:
    """Where the agent verifies no peers, every instance proves itself."""
    one, other = Server(), Server()
    async with serving(one), serving(other), switch(one.port) as way:
        asking = client(REFUSE)
        await account(asking, way.port)
        way.to = other.port
        assert (await account(asking, way.port)).basis is Basis.EXPORTER


async def test_a_resumed_connection_brings_no_set() -> None:
    """Only who has proved himself on this very connection is heard: nobody else is asked."""
    one = Server()
    stranger = Server()
    async with serving(one), serving(stranger), switch(one.port) as way:
        asking = client(REATTEST)
        await account(asking, way.port)
        one.members = lambda: [stranger.enclave.entry()]
        assert (await account(asking, way.port)).basis is Basis.LINEAGE
        way.to = stranger.port
        assert (await account(asking, way.port)).basis is Basis.EXPORTER
    assert one.proofs == 1


async def test_a_pinned_instance_stays_the_only_one() -> None:
    """With `on_switch: refuse` not even a member takes its place."""
    other = Server()
    one = Server(members=lambda: [other.enclave.entry()])
    async with serving(one), serving(other), switch(one.port) as way:
        asking = client(replace(REFUSE, on_switch=OnSwitch.REFUSE))
        await account(asking, way.port)
        way.to, other.port = other.port, way.port
        assert (await refused(asking, other)).fault is Fault.SWITCHED


async def test_who_breaks_off_at_a_ticket_is_still_a_stranger() -> None:
    """A second handshake, without the ticket, leads no stranger past the set."""
    stranger, other = Server(), Server()
    one = Server(members=lambda: [other.enclave.entry()])
    async with serving(one), serving(stranger), switch(one.port) as way:
        asking = client(REFUSE)
        await account(asking, way.port)
        broken = Server(stranger.enclave)
        # The same TLS, which cannot stand what the client offers first.
        context = stranger.enclave.context()
        tried: list[bool] = []

        def first_breaks(_: object, name: str | None, __: object) -> int | None:
            tried.append(True)
            return 40 if len(tried) == 1 else None

        context.sni_callback = first_breaks
        broken.context = context
        async with serving(broken):
            way.to, broken.port = broken.port, way.port
            error = await refused(asking, broken)
    assert error.fault is Fault.STRANGER
    assert len(tried) == 2


async def test_what_is_no_set() -> None:
    """A proved enclave that sends something else is told as such; nothing is said to it."""
    server = Server(members=lambda: [replace(Enclave().entry(), key=b"short")])
    async with serving(server):
        error = await refused(client(REFUSE), server)
    assert error.fault is Fault.MALFORMED


def test_a_set_needs_the_exporter() -> None:
    """By a nonce nobody has proved himself on a connection, and no set is believed."""
    with pytest.raises(PolicyError, match="expected exporter"):
        client(REFUSE, policy(freshness={"mode": "nonce"}))


NOW = Moment(1000.0, 2_000_000_000.0)
AT = int(NOW.now_utc)


@pytest.fixture(scope="module")
def own() -> Entry:
    """The sender's own proof."""
    return Enclave().entry()


@pytest.fixture(scope="module")
def sender() -> Lineage:
    """One that has proved itself."""
    enclave = Enclave()
    entry = enclave.entry()
    expected = Expectation(spki=enclave.key.spki, exporter=entry.exporter)
    result = judge(entry.evidence, policy(), KINDS, expected, time.time())
    assert result.accepted
    return Lineage(Shown(b"", (), b"", enclave.digest), result, *NOW)


def of_others(own: Entry, *times: tuple[int, int]) -> list[Entry]:
    """Entries that were verified and end at these times, from now."""
    return [
        replace(own, key=bytes([index]) * 32, verified_at=AT + at, until=AT + until)
        for index, (at, until) in enumerate(times)
    ]


def test_a_set_ends_with_the_first_of_its_members(own: Entry, sender: Lineage) -> None:
    """From then on nobody is let in by it."""
    found = take(of_others(own, (-300, 300), (-100, 500)), sender, own, 3600.0, NOW)
    assert found is not None
    assert found.until == AT + 300
    assert found.holds(NOW.now + 299.0, AT + 299.0)
    assert not found.holds(NOW.now + 299.0, AT + 300.0)
    assert {place.until for _, place in found.members.values()} == {AT + 300.0}


def test_a_clock_that_is_set_back_prolongs_nothing(own: Entry, sender: Lineage) -> None:
    """The loop's own clock counts too."""
    found = take(of_others(own, (0, 300)), sender, own, 3600.0, NOW)
    assert found is not None
    assert not found.holds(NOW.now + 300.0, AT + 1.0)
    assert {place.ends for _, place in found.members.values()} == {NOW.now + 300.0}


def test_the_set_of_an_old_epoch_is_none(own: Entry, sender: Lineage) -> None:
    """Whose time has ended, whatever it is said to be, or has not come, is no member."""
    hour = int(MAX_EPOCH_SECONDS)
    soon = int(SKEW_SECONDS) + 1
    old = of_others(own, (-900, -300), (-300, 0), (-hour, 2 * hour), (soon, 600))
    assert take(old, sender, own, 3600.0, NOW) is None
    found = take([*old, *of_others(own, (-900, 1))[-1:]], sender, own, 3600.0, NOW)
    assert found is not None
    assert len(found.members) == 2


def test_nobody_promises_more_than_an_hour(own: Entry, sender: Lineage) -> None:
    """An epoch that has no end ends all the same, and no later than the rules allow."""
    endless = of_others(own, (0, 2**30))
    for longest, until in ((10.0**9, AT + MAX_EPOCH_SECONDS), (60.0, AT + 60.0)):
        found = take(endless, sender, own, longest, NOW)
        assert found is not None
        assert found.until == until


def test_sets_are_bounded(own: Entry, sender: Lineage) -> None:
    """The one that came first is forgotten first; one that has ended is gone."""
    found = take(of_others(own, (0, 300)), sender, own, 3600.0, NOW)
    sets = Sets()
    targets = [Target(HOST, port, NAME) for port in range(MAX_SETS + 1)]
    for target in targets:
        sets.note(target, found)
        sets.note(target, None)
    assert sets.of(targets[0], NOW) is None
    assert sets.of(targets[1], NOW) is found
    later = Moment(NOW.now + 300.0, NOW.now_utc)
    assert sets.of(targets[1], later) is None
    assert sets.of(targets[1], NOW) is None
