"""Fresh, resumed, switched: what a client says of its connections, and what they rest on."""

import asyncio
import time

import pytest

from attestation import KeyOrigin
from l4proxy.client import (
    AttestedClient,
    Basis,
    Continuity,
    Fault,
    NotAttested,
    OnSwitch,
    Reattest,
    Rules,
    Strangers,
    members,
)
from tests.l4proxy.agent.parts import KINDS, PATIENCE, policy
from tests.l4proxy.client.parts import (
    HOST,
    SECRET,
    Enclave,
    Server,
    account,
    client,
    exchange,
    failing,
    lead,
    listening,
    refused,
    serving,
    switch,
    without_tickets,
)

BY_NONCE = {"freshness": {"mode": "nonce"}}


async def test_the_first_is_fresh_and_the_next_resumes() -> None:
    """A proof speaks for the connections that resume its session."""
    async with serving(Server()) as server:
        asking = client()
        first = await account(asking, server.port)
        second = await account(asking, server.port)
        third = await account(asking, server.port)
    assert (first.standing, first.basis) == (Continuity.FRESH, Basis.EXPORTER)
    for later in (second, third):
        assert (later.standing, later.basis) == (Continuity.RESUMED, Basis.LINEAGE)
        assert (later.instance, later.proved_at) == (first.instance, first.proved_at)
        assert later.result is first.result
    assert server.connections == 3


async def test_a_proof_can_be_asked_for_always() -> None:
    """With `reattest: always` a resumed connection proves itself too."""
    async with serving(Server()) as server:
        asking = client(Rules(reattest=Reattest.ALWAYS))
        first = await account(asking, server.port)
        second = await account(asking, server.port)
    assert (second.standing, second.basis) == (Continuity.RESUMED, Basis.EXPORTER)
    assert second.result is not first.result


async def test_a_lineage_ends() -> None:
    """What is older than the rules allow speaks for nothing: the connection proves itself."""
    async with serving(Server()) as server:
        asking = client(Rules(max_lineage=0.0))
        await account(asking, server.port)
        second = await account(asking, server.port)
    assert (second.standing, second.basis) == (Continuity.RESUMED, Basis.EXPORTER)


async def test_a_lineage_ends_with_its_evidence() -> None:
    """When the evidence ends, the next connection proves itself; old evidence will not do."""
    ahead = [0.0]
    asking = AttestedClient(policy(), kinds=KINDS, clock=lambda: time.time() + ahead[0])
    async with serving(Server()) as server:
        await account(asking, server.port)
        ahead[0] = 4 * 3600.0
        server.heard.clear()
        error = await refused(asking, server)
    assert error.fault is Fault.REFUSED
    assert failing(error) == "certificate_validity"


async def test_who_does_not_say_who_holds_ticket_keys_is_not_resumed() -> None:
    """A ticket that others may open is not offered."""
    async with serving(Server(without_tickets(Enclave()))) as server:
        asking = client()
        first = await account(asking, server.port)
        second = await account(asking, server.port)
    assert (second.standing, second.basis) == (Continuity.FRESH, Basis.EXPORTER)
    assert second.instance == first.instance


async def test_a_nonce_binds_the_key_and_says_so() -> None:
    """By nonce the client reports no more than there is; its resumptions end with the lineage."""
    asked = policy(**BY_NONCE)
    async with serving(Server()) as server:
        asking = client(Rules(timeout=PATIENCE), asked)
        first = await account(asking, server.port)
        second = await account(asking, server.port)
        again = client(Rules(timeout=PATIENCE, reattest=Reattest.ALWAYS), asked)
        third = await account(again, server.port)
        fourth = await account(again, server.port)
    assert (first.standing, first.basis) == (Continuity.FRESH, Basis.NONCE)
    assert (second.standing, second.basis) == (Continuity.RESUMED, Basis.LINEAGE)
    # A nonce says nothing of who resumes: a full handshake does.
    assert (third.standing, third.basis) == (Continuity.FRESH, Basis.NONCE)
    assert (fourth.standing, fourth.basis) == (Continuity.FRESH, Basis.NONCE)


async def test_recent_evidence_in_the_certificate_will_do_where_the_policy_says_so() -> None:
    """By age nothing is asked, and the client says that it rests on age alone."""
    asked = policy(freshness={"max_age": "10m"})
    async with serving(Server()) as server:
        found = await account(client(asked=asked), server.port)
    assert found.basis is Basis.AGE


async def test_old_evidence_in_the_certificate_is_refused() -> None:
    """A certificate whose evidence is older than allowed lets nobody in."""
    asked = policy(freshness={"max_age": "10m"})
    async with serving(Server(Enclave(earlier=1200.0))) as server:
        error = await refused(client(asked=asked), server)
    assert failing(error) == "age"


async def test_another_instance_proves_itself() -> None:
    """A switch is told as such, and rests on a proof of its own connection."""
    async with (
        serving(Server()) as one,
        serving(Server()) as other,
        switch(one.port) as way,
    ):
        asking = client()
        first = await account(asking, way.port)
        way.to = other.port
        second = await account(asking, way.port)
        third = await account(asking, way.port)
    assert (second.standing, second.basis) == (Continuity.SWITCHED, Basis.EXPORTER)
    assert second.previous == first.instance != second.instance
    assert (third.standing, third.instance) == (Continuity.RESUMED, second.instance)
    assert third.previous == b""


async def test_a_switch_can_be_refused() -> None:
    """With `on_switch: refuse` nobody else is spoken to, however genuine."""
    async with (
        serving(Server()) as one,
        serving(Server()) as other,
        switch(one.port) as way,
    ):
        asking = client(Rules(on_switch=OnSwitch.REFUSE))
        first = await account(asking, way.port)
        way.to, other.port = other.port, way.port
        error = await refused(asking, other)
        assert error.fault is Fault.SWITCHED
        assert first.instance.hex() in error.detail
        way.to = one.port
        assert (await account(asking, way.port)).standing is Continuity.RESUMED


@pytest.mark.parametrize(
    ("on_switch", "basis"),
    [(OnSwitch.ALLOW, Basis.KNOWN_KEY), (OnSwitch.REATTEST, Basis.EXPORTER)],
)
async def test_a_proved_instance_can_be_known_by_its_key(on_switch: OnSwitch, basis: Basis) -> None:
    """With `on_switch: allow` the key that was proved before is enough, and the client says so."""
    async with (
        serving(Server()) as one,
        serving(Server()) as other,
        switch(one.port) as way,
    ):
        asking = client(Rules(on_switch=on_switch))
        first = await account(asking, way.port)
        way.to = other.port
        assert (await account(asking, way.port)).basis is Basis.EXPORTER
        way.to = one.port
        back = await account(asking, way.port)
    assert (back.standing, back.basis) == (Continuity.SWITCHED, basis)
    assert back.instance == first.instance


async def test_a_key_from_outside_is_never_known() -> None:
    """Whoever imported a key has it too: it proves itself whenever it comes back."""
    imported = Enclave()
    imported.claims = type(imported.claims)(
        key_origin=KeyOrigin.IMPORTED, ticket_keys=imported.claims.ticket_keys
    )
    asked = policy(key_origin=["inside", "imported"], freshness={"mode": "exporter"})
    async with (
        serving(Server(imported)) as one,
        serving(Server()) as other,
        switch(one.port) as way,
    ):
        asking = client(Rules(on_switch=OnSwitch.ALLOW), asked)
        for port in (one.port, other.port):
            way.to = port
            await account(asking, way.port)
        way.to = one.port
        assert (await account(asking, way.port)).basis is Basis.EXPORTER


async def test_a_server_that_forgets_its_sessions_proves_itself() -> None:
    """A ticket that is not taken up costs a handshake more, and is no switch."""
    enclave = Enclave()
    async with (
        serving(Server(enclave)) as before,
        serving(Server(Enclave(enclave.tee, enclave.key, enclave.claims))) as after,
        switch(before.port) as way,
    ):
        asking = client()
        await account(asking, way.port)
        way.to = after.port
        second = await account(asking, way.port)
    assert (second.standing, second.basis) == (Continuity.FRESH, Basis.EXPORTER)
    assert second.previous == b""
    assert after.connections == 2


async def test_a_server_that_breaks_off_at_a_ticket() -> None:
    """Where another stack cannot stand a foreign ticket, a full handshake follows by itself."""
    async with serving(Server()) as server, switch(server.port) as way:

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            way.to = server.port
            writer.transport.abort()

        async with listening(hang_up) as broken:
            asking = client()
            await account(asking, way.port)
            way.to = broken
            second = await account(asking, way.port)
            assert (second.standing, second.basis) == (Continuity.FRESH, Basis.EXPORTER)
            assert (await account(asking, way.port)).standing is Continuity.RESUMED


async def test_targets_are_apart() -> None:
    """What was proved of one name says nothing of another."""
    async with serving(Server()) as server:
        asking = client()
        await account(asking, server.port)
        connection = await asking.connect(HOST, server.port, "other.example.com")
        connection.close()
    assert (connection.account.standing, connection.account.basis) == (
        Continuity.FRESH,
        Basis.EXPORTER,
    )


async def test_what_failed_on_a_resumed_connection_is_not_resumed_again() -> None:
    """After a refusal the next connection begins with a full handshake."""
    true, false = Server(), Server()
    false.enclave.ticket_key = true.enclave.ticket_key
    async with serving(true) as one, serving(false) as other, switch(one.port) as way:
        asking = client(Rules(reattest=Reattest.ALWAYS))
        await account(asking, way.port)
        way.to, port = other.port, way.port
        other.port = port
        assert failing(await refused(asking, other)) == "key_binding"
        assert (await account(asking, port)).standing is Continuity.SWITCHED


async def test_an_exchange_is_whole() -> None:
    """What the application says arrives, and its answer comes back."""
    async with serving(Server()) as server:
        assert await exchange(client(), server.port) == SECRET
    assert server.heard == SECRET


async def test_of_two_that_answer_at_once_one_stays() -> None:
    """With `on_switch: refuse` connections that begin together reach one instance, not two."""
    servers = Server(), Server()
    ways = iter(servers)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await lead(next(ways).port, reader, writer)

    asking = client(Rules(on_switch=OnSwitch.REFUSE, timeout=PATIENCE))
    async with serving(servers[0]), serving(servers[1]), listening(forward) as port:
        both = exchange(asking, port), exchange(asking, port)
        found = await asyncio.gather(*both, return_exceptions=True)
    [error] = [one for one in found if isinstance(one, NotAttested)]
    assert error.fault is Fault.SWITCHED
    assert sorted(bytes(server.heard) for server in servers) == [b"", SECRET]


async def test_who_was_vouched_for_is_no_known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `on_switch: allow` who has never proved itself to this client does so."""
    monkeypatch.setattr(members, "MAX_SETS", 0)
    other, third = Server(without_tickets(Enclave())), Server()
    one = Server(members=lambda: [other.enclave.entry()])
    rules = Rules(on_switch=OnSwitch.ALLOW, strangers=Strangers.REATTEST, timeout=PATIENCE)
    async with serving(one), serving(other), serving(third), switch(one.port) as way:
        asking = client(rules)
        monkeypatch.setattr(members, "MAX_SETS", 1)
        await account(asking, way.port)
        way.to = other.port
        assert (await account(asking, way.port)).basis is Basis.SET
        way.to = one.port
        await account(asking, way.port)
        # The set of another target takes the place of this one's.
        third.members = lambda: [other.enclave.entry()]
        await account(asking, third.port)
        way.to = other.port
        assert (await account(asking, way.port)).basis is Basis.EXPORTER
