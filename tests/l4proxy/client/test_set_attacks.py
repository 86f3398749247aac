"""Attacks on the pre-verified set: each is refused by name, but for the one that a set allows."""

import asyncio
import ssl
import time
from dataclasses import replace

import pytest

from attestation import KeyOrigin, SimulatedTee
from attestation.manifest import digest
from l4proxy.agent.libssl import TICKET_KEY
from l4proxy.client import AttestedClient, Basis, Fault, Rules
from l4proxy.set_wire import Entry
from l4proxy.ticket_key import KEY_NAME_BYTES
from tests.l4proxy.agent.credentials import made_key
from tests.l4proxy.agent.parts import IMAGE, KINDS, NAME, PATIENCE, policy
from tests.l4proxy.client.parts import (
    HOST,
    REATTEST,
    REFUSE,
    SECRET,
    Enclave,
    Server,
    client,
    diverted,
    exchange,
    failing,
    lead,
    listening,
    refused,
    serving,
    switch,
)
from tests.l4proxy.client.test_attacks import FORGED, MANIFEST, passing_on


async def test_a_key_that_leaked_from_a_member_will_do_until_the_epoch_ends() -> None:
    """What a set gives away: this is why the client says so, and why an epoch is short."""
    ahead = [0.0]
    leaked = made_key()
    true, other = Server(Enclave(key=leaked)), Server(Enclave(key=leaked))
    one = Server(members=lambda: [true.enclave.entry()])
    asking = AttestedClient(policy(), REFUSE, kinds=KINDS, clock=lambda: time.time() + ahead[0])
    async with serving(true), serving(one), switch(one.port) as way:
        other.say = passing_on(true.port)
        async with serving(other) as thief:
            await exchange(asking, way.port)
            way.to = thief.port
            found = await asking.connect(HOST, way.port, NAME)
            found.close()
            assert found.account.basis is Basis.SET
            ahead[0] = 601.0
            thief.port = way.port
            error = await refused(asking, thief)
    assert error.fault is Fault.REFUSED
    assert failing(error) == "exporter"


async def test_a_ticket_of_the_thief_of_a_key_ends_with_the_epoch_too() -> None:
    """Also where the key is that of the sender, which this client has proved by the exporter."""
    ahead = [0.0]
    leaked = made_key()
    true = Server(Enclave(key=leaked), members=lambda: [Enclave().entry()])
    thief = Server(Enclave(key=leaked))
    asking = AttestedClient(policy(), REFUSE, kinds=KINDS, clock=lambda: time.time() + ahead[0])
    async with serving(true), serving(thief), switch(true.port) as way:
        thief.say = passing_on(true.port)
        assert await exchange(asking, way.port)
        way.to = thief.port
        found = await asking.connect(HOST, way.port, NAME)
        await found.stream.write(SECRET)
        assert await found.stream.read()
        found.close()
        assert found.account.basis is Basis.SET
        thief.heard.clear()
        ahead[0] = 601.0
        thief.port = way.port
        error = await refused(asking, thief)
    assert failing(error) == "exporter"


async def test_a_ticket_of_the_thief_gains_nothing_by_a_later_proof() -> None:
    """The enclave proves itself while he holds up another connection, until the set has ended."""
    ahead = [0.0]
    leaked = made_key()
    true, thief = Server(Enclave(key=leaked)), Server(Enclave(key=leaked))
    one = Server(members=lambda: [true.enclave.entry()])
    asking = AttestedClient(policy(), REFUSE, kinds=KINDS, clock=lambda: time.time() + ahead[0])

    async def hold_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead[0] = 601.0
        way.to = true.port
        await exchange(asking, way.port)
        await lead(thief.port, reader, writer)

    async with (
        serving(true),
        serving(one),
        serving(thief),
        listening(hold_up) as slow,
        switch(one.port) as way,
    ):
        await exchange(asking, way.port)
        way.to = thief.port
        await exchange(asking, way.port)
        thief.heard.clear()
        way.to = slow
        await exchange(asking, way.port)
    assert not thief.heard


@pytest.mark.parametrize("rules", [REFUSE, REATTEST])
async def test_a_key_that_leaked_from_an_enclave_outside_the_set(rules: Rules) -> None:
    """Of the same policy, with its enclave's proof relayed: it is in no set, and not it."""
    leaked = made_key()
    true, thief = Server(Enclave(key=leaked)), Server(Enclave(key=leaked))
    one = Server(members=lambda: [Enclave().entry()])
    async with serving(true), serving(one), switch(one.port) as way:
        thief.say = passing_on(true.port)
        async with serving(thief):
            asking = client(rules)
            await exchange(asking, way.port)
            way.to, thief.port = thief.port, way.port
            error = await refused(asking, thief)
    if rules is REFUSE:
        assert error.fault is Fault.STRANGER
    else:
        assert failing(error) == "exporter"


async def test_a_bundle_from_a_man_in_the_middle() -> None:
    """He holds a leaked key, relays its proof, and adds himself to a set: it is never read."""
    leaked, own = made_key(), Server()
    true, thief = Server(Enclave(key=leaked)), Server(Enclave(key=leaked))
    thief.members = lambda: [own.enclave.entry()]
    async with serving(true), serving(own), switch(0) as way:
        thief.say = passing_on(true.port)
        async with serving(thief):
            asking = client(REATTEST)
            way.to, thief.port = thief.port, way.port
            assert failing(await refused(asking, thief)) == "exporter"
            way.to = own.port
            connection = await asking.connect(HOST, way.port, NAME)
            connection.close()
    # He has to prove himself, as if nothing had been said.
    assert connection.account.basis is Basis.EXPORTER
    assert own.proofs == 1


async def test_a_bundle_of_an_old_epoch() -> None:
    """Whoever was in it is a stranger now, and so is whoever holds his key by now."""
    gone = Enclave()
    old = [gone.entry(age=601.0), Enclave().entry()]
    error = await diverted(client(REFUSE), Server(members=lambda: old), Server(gone))
    assert error.fault is Fault.STRANGER


async def test_a_bundle_of_old_evidence() -> None:
    """With new times around it, it is judged as evidence is: at the time of the connection."""
    earlier = Enclave(earlier=4 * 3600.0)
    one = Server(members=lambda: [earlier.entry()])
    error = await diverted(client(REFUSE), one, Server(earlier))
    assert error.fault is Fault.STRANGER
    assert failing(error) == "certificate_validity"


async def test_a_forged_manifest_in_a_bundle() -> None:
    """The register of a member holds another digest than that of the manifest beside it."""
    forger = Enclave(SimulatedTee(IMAGE.encode(), FORGED))

    def entry() -> Entry:
        made = forger.entry()
        return replace(made, evidence=replace(made.evidence, manifest=MANIFEST))

    true = Enclave(SimulatedTee(IMAGE.encode(), MANIFEST))
    asking = client(REFUSE, policy(manifest=f"sha256:{digest(MANIFEST).hex()}"))
    error = await diverted(asking, Server(true, members=lambda: [entry()]), Server(forger))
    assert error.fault is Fault.STRANGER
    assert failing(error) == "manifest"


async def test_a_member_that_has_swapped_its_key() -> None:
    """The set has the key that it was verified with."""
    before = Enclave()
    after = Server(replace(before, key=made_key()))
    one = Server(members=lambda: [before.entry()])
    error = await diverted(client(REFUSE), one, after)
    assert error.fault is Fault.STRANGER


async def test_every_file_of_the_operator() -> None:
    """Names of ticket keys, manifest, claims, certificates, bundles: none of it opens anything."""
    name = bytes(range(KEY_NAME_BYTES))
    true, own = Enclave(SimulatedTee(IMAGE.encode(), MANIFEST)), Enclave(SimulatedTee(b"own"))
    secrets = TICKET_KEY - KEY_NAME_BYTES
    true.ticket_key = name + b"i" * secrets
    own.ticket_key, own.claims = name + b"o" * secrets, true.claims
    member = Enclave().entry()
    one = Server(true, members=lambda: [member])
    thief = Server(own, members=lambda: [member, own.entry(), true.entry()])
    async with serving(one), serving(thief), switch(one.port) as way:
        for rules in (REFUSE, REATTEST, Rules(timeout=PATIENCE)):
            asking, way.to = client(rules), one.port
            await exchange(asking, way.port)
            way.to, port = thief.port, way.port
            error = await refused(asking, Server(heard=thief.heard, port=port))
            refuses = rules is REFUSE
            assert error.fault is (Fault.STRANGER if refuses else Fault.REFUSED)
            assert refuses or failing(error) == "pcr0"


async def test_an_imported_key_in_a_bundle() -> None:
    """Even where the policy takes such keys: who has brought it in can be anybody."""
    imported = Enclave()
    imported.claims = replace(imported.claims, key_origin=KeyOrigin.IMPORTED)
    asked = policy(key_origin=["inside", "imported"], freshness={"mode": "exporter"})
    true, thief = Server(imported), Server(Enclave(key=imported.key))
    one = Server(members=lambda: [imported.entry()])
    async with serving(true), serving(one), switch(one.port) as way:
        thief.say = passing_on(true.port)
        async with serving(thief):
            asking = client(REATTEST, asked)
            await exchange(asking, way.port)
            way.to, thief.port = thief.port, way.port
            assert failing(await refused(asking, thief)) == "exporter"


async def test_a_proof_of_another_set_protocol_is_no_proof() -> None:
    """Who says nothing but a set has proved nothing."""

    async def nothing(_: Enclave, __: ssl.SSLObject) -> bytes:
        return b""

    async with serving(Server(say=nothing, members=lambda: [Enclave().entry()])) as server:
        error = await refused(client(REATTEST), server)
    assert error.fault is Fault.MALFORMED
