"""The watch over all peers: each proves itself once an epoch, or it is no member of the set."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attestation import Kinds, Policy, PolicyError, built_in_kinds, read_policy, register
from l4proxy.agent.peers.settings import PeersSettings, Place
from l4proxy.agent.peers.visit import Visitor, by_exporter
from l4proxy.agent.trouble import Trouble
from l4proxy.agent.yaml_file import YamlError, read_bytes, read_yaml
from l4proxy.client.lineages import called
from l4proxy.set_wire import Entry, encode_set

MAX_VISITS: Final = 4
"""Visits at once: each costs a peer's TEE a quote, and this enclave little."""

FIRST_RETRY_SECONDS: Final = 1.0
"""Seconds until a peer that has failed is visited again; twice as many after each failure."""

LAST_RETRY_SECONDS: Final = 60.0
"""The most of those seconds: who has failed for long costs a visit a minute."""

ROUND: Final = 0.9
"""The part of its time as a member after which a peer proves itself again: so that it stays one."""

_log = logging.getLogger(__name__)


class BadPeers(ValueError):
    """The policy for peers cannot be used: the operator's fault."""


class Peers:
    """The peers of an agent, as far as they have proved themselves."""

    def __init__(
        self,
        settings: PeersSettings,
        policy: Policy,
        kinds: Kinds,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Know nobody yet.

        Args:
            settings: Who they are.
            policy: What they must meet.
            kinds: Those that the policy was read with.
            clock: Seconds since the epoch, UTC.

        Raises:
            BadPeers: The policy does not ask for the exporter.

        """
        if not by_exporter(policy):
            found = f"found freshness {policy.freshness.mode}"
            raise BadPeers(f"peers.policy: {found}, expected exporter: a set rests on nothing less")
        self._settings = settings
        self._clock = clock
        self._visitor = Visitor.by(settings, policy, kinds, clock)
        self._members: dict[Place, Entry] = {}
        self._told: tuple[tuple[Entry, ...], bytes] = ((), encode_set(()))
        self._room = asyncio.Semaphore(MAX_VISITS)

    @classmethod
    def from_settings(cls, settings: PeersSettings) -> "Peers":
        """Return those that the settings name.

        Raises:
            BadPeers: The policy's file cannot be read, or is none that will do.

        """
        return cls(settings, *_policy(settings.policy))

    async def run(self) -> None:
        """Watch them for ever."""
        async with asyncio.TaskGroup() as tasks:
            for place in self._settings.places:
                tasks.create_task(self._watch(place))

    def document(self) -> bytes:
        """Return the set as it stands, for clients; whoever's time has ended is not in it.

        It is the same object until the set is another: anybody may ask, as often as he likes.
        """
        now = self._clock()
        alive = {entry.key: entry for entry in self._members.values() if now < entry.until}
        told = tuple(alive.values())
        if told != self._told[0]:
            self._told = told, encode_set(told)
        return self._told[1]

    async def _watch(self, place: Place) -> None:
        what = f"peer {place}: no member"
        trouble, why, retry = Trouble(what), "", FIRST_RETRY_SECONDS
        while True:
            try:
                entry = await self._visit(place)
            except Exception as error:  # noqa: BLE001 - what one peer sends must not end the agent
                self._members.pop(place, None)
                if why != (why := str(error)):
                    # One that was not there at first may be there now, and another than expected.
                    trouble = Trouble(what)
                trouble.told(error if isinstance(error, OSError) else OSError(why))
                await asyncio.sleep(min(retry, self._settings.epoch))
                retry = min(2 * retry, LAST_RETRY_SECONDS)
            else:
                trouble.over()
                retry = FIRST_RETRY_SECONDS
                # Its evidence may end before the epoch; a clock that was set counts for no more.
                lasts = min(entry.until - self._clock(), self._settings.epoch)
                await asyncio.sleep(max(ROUND * lasts, FIRST_RETRY_SECONDS))

    async def _visit(self, place: Place) -> Entry:
        async with self._room:
            entry, result = await self._visitor.visit(place)
        self._members[place] = entry
        _log.info("peer %s: member: %s", place, called(result, entry.key))
        return entry


def _policy(path: Path) -> tuple[Policy, Kinds]:
    kinds = register(built_in_kinds())
    try:
        found = read_yaml(path)
        return read_policy(found, kinds, lambda name: read_bytes(path.parent / name)), kinds
    except PolicyError as error:
        where = ".".join(map(str, error.path)) or "the file"
        said = f"{path}: {where}: found {error.found}, expected {error.expected}"
        raise BadPeers(f"peers.policy: {said}") from error
    except YamlError as error:
        raise BadPeers(f"peers.policy: {error}") from error
