"""The agent as a whole: seal, make the key, get the certificate, serve, renew."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attestation import (
    AgentClaims,
    MalformedEvidence,
    TicketKeys,
    commit_ticket_names,
    parse_agent_claims,
    parse_manifest,
)
from attestation.manifest import MAX_MANIFEST, digest
from l4proxy.agent import files
from l4proxy.agent.addresses import BACKLOG
from l4proxy.agent.attesters import Attester, ConfigfsTsm, Simulated
from l4proxy.agent.attesters.nsm import open_device
from l4proxy.agent.certificates import Credentials, obtain_key
from l4proxy.agent.libssl import self_test
from l4proxy.agent.peers.watch import Peers
from l4proxy.agent.publisher import Publisher
from l4proxy.agent.quotes import Quotes, Subject
from l4proxy.agent.renewal import Install, Issuer, keep_fresh
from l4proxy.agent.server import PlainServer, Serve, TlsServer, accept
from l4proxy.agent.settings import Files, Protocol, Settings, Tee, Termination
from l4proxy.agent.telemetry import MOST_SCRAPERS, Board, TelemetryServer, Traffic, open_telemetry
from l4proxy.agent.tls import server_context
from l4proxy.agent.trouble import Trouble
from l4proxy.set_wire import encode_set
from l4proxy.ticket_key import KEY_NAME_BYTES, KeyFormat, ticket_key

_HTTP = ("http/1.1",)
# The event loop's, the listeners', the device's, files that are read and written, the log's.
_OWN_DESCRIPTORS = 64

_log = logging.getLogger(__name__)

Door = tuple[socket.socket, Serve, int]
"""A listener, what serves its connections, and how many at once."""

MOST_READERS: Final = 16
"""Balancers that read what is published at the same moment; others wait in the kernel's queue."""


class AgentFailed(RuntimeError):
    """The agent cannot do its work here; the reason is in the text."""


@dataclass(frozen=True, slots=True)
class Enclave:
    """What stands for as long as the agent runs.

    Attributes:
        settings: What was asked for.
        issuer: Makes certificates for the TLS key.
        manifest: The secondary manifest; None: there is none.
        ticket_name: What session tickets begin with.
        ticket_key: In the form that whoever ends TLS reads; not shown by `repr`.
        peers: The other enclaves of its pool; None: it tells of none.

    """

    settings: Settings
    issuer: Issuer
    manifest: bytes | None
    ticket_name: bytes
    ticket_key: bytes
    peers: Peers | None = None

    def __repr__(self) -> str:
        return f"Enclave({self.settings.instance})"


def run(settings: Settings) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        AgentFailed: There is no TEE, a file is wrong, the address is taken, descriptors are short,
            or this Python's `ssl` cannot be used.

    """
    try:
        # A core file would hold the keys, and may lie on a disk of the operator's.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _make_room(settings.connections)
        enclave = prepare(settings, attester(settings))
        with settings.listen.bind() as listener:
            asyncio.run(_until_told(enclave, listener))
    except* (OSError, ValueError, RuntimeError) as group:
        raise AgentFailed(_first(group)) from group


def attester(settings: Settings) -> Attester:
    """Return the TEE that the settings name; there is never another to fall back to.

    Raises:
        TeeError: It is not there.

    """
    if settings.tee is Tee.NITRO:
        return open_device()
    if settings.tee is Tee.CONFIGFS_TSM:
        return ConfigfsTsm()
    _log.warning("the TEE is simulated: its evidence proves nothing")
    return Simulated(settings.image)


def prepare(settings: Settings, tee: Attester) -> Enclave:
    """Seal the manifest, then make the key and all that is said of it.

    Raises:
        TeeError: The TEE cannot be sealed.
        BadCertificate: A certificate that was given cannot be used.
        BadPeers: Peers have no policy that will do.
        MalformedEvidence: The manifest is none, or a claim is one that no verifier takes.
        OSError: A file cannot be read.

    """
    if settings.ready_file is not None:
        # That of an agent before this one would be believed.
        settings.ready_file.unlink(missing_ok=True)
    manifest = None if settings.manifest is None else _manifest(settings.manifest)
    peers = None if settings.peers is None else Peers.from_settings(settings.peers)
    telemetry = settings.telemetry
    if telemetry is not None and manifest is not None:
        telemetry.check(parse_manifest(manifest).metrics)
    tee.seal(manifest)
    key = obtain_key(settings.certificate)
    name = settings.ticket_name or os.urandom(KEY_NAME_BYTES)
    mode = settings.mode
    form = mode.ticket_key if isinstance(mode, Files) else KeyFormat.OPENSSL
    agent = AgentClaims(
        instance=settings.instance,
        key_origin=key.origin,
        ticket_keys=TicketKeys.INSIDE,
        ticket_names=commit_ticket_names([name]),
        manifest=None if manifest is None else digest(manifest),
        telemetry=None if telemetry is None else telemetry.digest,
        claims=settings.claims,
    )
    # What verifiers would refuse is better told at the start.
    parse_agent_claims(agent.encode())
    quotes = Quotes(tee, Subject(key.spki, agent, manifest))
    issuer = Issuer(settings.certificate, key, quotes)
    key_file = ticket_key(name, form, os.urandom)
    return Enclave(settings, issuer, manifest, name, key_file, peers)


async def live(enclave: Enclave, listener: socket.socket) -> None:
    """Serve and renew, for ever.

    Args:
        enclave: As it was prepared.
        listener: Has its address, does not block; the caller closes it.

    Raises:
        ExceptionGroup: Of what cannot be mended: no first certificate, an unsuitable `ssl`.

    """
    settings, traffic = enclave.settings, Traffic()
    credentials = await enclave.issuer.issue()
    serve, install = _application(enclave, credentials, traffic)
    telemetry = _telemetry(settings, credentials, traffic)
    with contextlib.ExitStack() as stack:
        doors = [(listener, serve, settings.connections), *_beside(enclave, telemetry, stack)]
        for sock, *_ in doors:
            # Not before: who can connect is taken for one who will be served.
            sock.listen(BACKLOG)
        if settings.ready_file is not None:
            settings.ready_file.touch()
        _log.info("ready: %s, key %s", settings.listen, enclave.issuer.key.origin)
        async with asyncio.TaskGroup() as tasks:
            for door in doors:
                tasks.create_task(accept(*door))
            if telemetry is not None:
                install = _both(install, telemetry)
                tasks.create_task(telemetry.board.watch())
            tasks.create_task(keep_fresh(enclave.issuer, install, credentials, settings.renew))
            if enclave.peers is not None:
                tasks.create_task(enclave.peers.run())


def _telemetry(
    settings: Settings, credentials: Credentials, traffic: Traffic
) -> TelemetryServer | None:
    if settings.telemetry is None:
        return None
    return open_telemetry(settings.telemetry, credentials, Board(settings.telemetry, traffic))


def _both(install: Install, telemetry: TelemetryServer) -> Install:
    trouble = Trouble("telemetry: renewed certificate")

    async def both(renewed: Credentials) -> None:
        await install(renewed)
        try:
            telemetry.install(renewed)
        except (OSError, ValueError) as error:
            # Clients have theirs, and nobody has to make or carry another one.
            trouble.told(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            trouble.over()

    return both


def _beside(
    enclave: Enclave, telemetry: TelemetryServer | None, stack: contextlib.ExitStack
) -> Iterator[Door]:
    """Yield the doors beside that of clients; the stack closes them."""
    publish = enclave.settings.publish
    if publish is not None:
        published = stack.enter_context(publish.bind())
        yield published, Publisher((enclave.ticket_name,)).serve, MOST_READERS
    if telemetry is not None:
        told = stack.enter_context(telemetry.settings.listen.bind())
        yield told, telemetry.serve, MOST_SCRAPERS


def _application(
    enclave: Enclave, credentials: Credentials, traffic: Traffic
) -> tuple[Serve, Install]:
    mode = enclave.settings.mode
    if isinstance(mode, Files):
        return _hand_over(enclave, mode, credentials)
    return _terminate(enclave, mode, credentials, traffic)


def _hand_over(enclave: Enclave, mode: Files, credentials: Credentials) -> tuple[Serve, Install]:
    async def install(renewed: Credentials) -> None:
        files.hand_over(mode.directory, renewed, enclave.ticket_key)
        await files.reload(mode.reload)

    files.hand_over(mode.directory, credentials, enclave.ticket_key)
    return PlainServer(enclave.issuer.quotes, enclave.manifest).serve, install


def _terminate(
    enclave: Enclave, mode: Termination, credentials: Credentials, traffic: Traffic
) -> tuple[Serve, Install]:
    protocols = _HTTP if mode.protocol is Protocol.HTTP else ()
    context = server_context(credentials, enclave.ticket_key, protocols)
    # On a context of its own: it replaces the ticket key.
    self_test(lambda: server_context(credentials, enclave.ticket_key, protocols))
    server = TlsServer(
        settings=enclave.settings,
        mode=mode,
        quotes=enclave.issuer.quotes,
        manifest=enclave.manifest,
        members=_nobody if enclave.peers is None else enclave.peers.document,
        context=context,
        trouble=Trouble(f"application {mode.application}"),
        traffic=traffic,
    )

    async def install(renewed: Credentials) -> None:
        server.context = server_context(renewed, enclave.ticket_key, protocols)

    return server.serve, install


def _nobody() -> bytes:
    """Return the set of an agent that verifies no peers."""
    return encode_set(())


async def _until_told(enclave: Enclave, listener: socket.socket) -> None:
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(live(enclave, listener))
        await told.wait()
        life.cancel()


def _make_room(connections: int) -> None:
    """Raise the limit of descriptors as far as the connections need.

    Raises:
        AgentFailed: It cannot be raised that far.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two a connection: the client's and the application's.
    needed = 2 * connections + _OWN_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        found = f"connections: {connections} need {needed} descriptors"
        raise AgentFailed(f"{found}, and the limit is {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _manifest(path: Path) -> bytes:
    with path.open("rb") as file:
        document = file.read(MAX_MANIFEST + 1)
    try:
        parse_manifest(document)
    except MalformedEvidence as error:
        raise MalformedEvidence(f"{path}: {error}") from error
    return document


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """Return what the first fault in a group says."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
