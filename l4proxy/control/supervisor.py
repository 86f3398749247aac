"""The supervisor: configuration in, workers kept running, questions answered.

It binds the sockets, builds the snapshot and keeps every seat occupied; it never touches a client's
byte. SIGHUP, or the admin API, has it read the configuration again; SIGTERM and SIGINT let what
runs finish; a second one of these ends it at once.
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from l4proxy.admin.pages import reader
from l4proxy.admin.server import serve_admin
from l4proxy.admin.writes import NotReloaded, writer
from l4proxy.config import Config, ConfigError, load_config
from l4proxy.config.differences import differences
from l4proxy.control.changes import Changes
from l4proxy.control.listeners import UnixListener, bind
from l4proxy.control.log_writer import CannotLog, DaemonLog
from l4proxy.control.membership import TooMany
from l4proxy.control.named import load_named
from l4proxy.control.plan import Cells, Resources, TooManyBackends, plan
from l4proxy.control.publisher import Publisher
from l4proxy.control.roster import Roster
from l4proxy.control.scaling import Ground, Scaling, Workshop
from l4proxy.control.totals import Totals
from l4proxy.control.workers import Commons, Seat
from l4proxy.limits import HURRY_SECONDS, PUBLISH_SECONDS
from l4proxy.shared_load import SharedLoad, create
from l4proxy.shared_sessions import create_sessions
from l4proxy.snapshot import Snapshot
from routing import Address, Observation

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 1_048_576
"""Descriptors a worker plans with at the most (Linux's default fs.nr_open)."""

KILL_SECONDS = 2.0
"""Beyond the shutdown timeout: a worker that has not obeyed by then is not going to."""

RETRY_SECONDS = 1.0
"""How soon a plan is tried again for which there were no cells."""


class _NeedsRestart(Exception):
    """A reload cannot do that."""


class Supervisor:
    """One balancer. The admin API reads what is public here, and asks for changes.

    Attributes:
        config: The configuration in force.
        snapshot: What it and the backends of the moment were made into, as version `version`.
        changes: Makes the changes that the API asks for.
        scaling: Says how many backends each pool is to have.
        addresses: Bound, in the configuration's order: a port 0 has its number here.
        admin_socket: Bound, for the admin API, which closes it; None: there is none on TCP.
        admin_listener: The same on a unix socket.
        seats: The workers' places.
        load: Open connections per backend.
        totals: Everything counted.
        roster: The backends, and how they are.
        access_log: Takes the workers' lines.
        stopping: Whether the end has begun.
    """

    def __init__(self, path: Path, config: Config) -> None:
        """Bind the sockets and prepare the seats; `run` starts the workers.

        Raises:
            CannotListen: An address cannot be bound.
            CannotLog: The access log cannot be opened.
            ConfigError: A file or a plug-in that it names cannot be used.
            TooManyBackends: More backends than the load table has cells.
        """
        self._path = path
        self._workshop = Workshop()
        named = load_named(path, config, self._workshop)
        self._keys = named.keys
        count = config.workers or len(os.sched_getaffinity(0))
        self._room = Resources(count, raise_descriptor_limit())
        self._load_fd = create(count)
        self._sessions_fd = create_sessions(count)
        self.load = SharedLoad(self._load_fd, count)
        self._cells = Cells(self.load)
        self._stop, self._rush, self._heard = (asyncio.Event() for _ in range(3))
        self.config = config
        self.totals = Totals()
        self.roster = Roster(config, self.totals, named.policies, named.telemetry)
        self.snapshot = self._plan()
        self.stopping = False
        self.access_log = DaemonLog(config.access_log)
        self._sockets = [bind(listener.address, count) for listener in config.listeners]
        self.addresses = [Address(*sockets[0].getsockname()[:2]) for sockets in self._sockets]
        address, socket = (
            (config.admin.address, config.admin.socket) if config.admin else (None, None)
        )
        self.admin_socket = bind(address, 1)[0] if address else None
        self.admin_listener = UnixListener(socket) if socket else None
        commons = Commons(
            *(self.load, self._load_fd, self._sessions_fd, count),
            *(self.totals, self.access_log, self._heard),
            ask=self.roster.ask,
            spread=self._spread,
        )
        self.seats = [
            Seat(number, tuple(sockets[number] for sockets in self._sockets), commons)
            for number in range(count)
        ]
        self._publisher = Publisher(self.seats, self.roster.changed, self._heard)
        self.changes = Changes(self.roster, self._cells, self._publisher, self.reload)
        ground = Ground(self.roster, self.load, self._cells, self.totals, self.roster.telemetry)
        self.scaling = Scaling(ground, self._publisher)
        self.scaling.adopt(config, named.actuators)

    @property
    def version(self) -> int:
        """The version of the snapshot in force; 0: there is none yet."""
        return self._publisher.version

    @property
    def admin_address(self) -> Address | None:
        """Where the admin API was bound on TCP; None: it was not."""
        sock = self.admin_socket
        return None if sock is None else Address(*sock.getsockname()[:2])

    @property
    def ready(self) -> bool:
        """Whether clients are served: a worker accepts, and the end has not begun."""
        return not self.stopping and any(seat.ready.is_set() for seat in self.seats)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then until what runs has finished or its time is over."""
        self._publisher.publish(self.snapshot)
        try:
            with self._signals():
                await self._serve()
        finally:
            self._close()

    def reload(self) -> tuple[str, ...]:
        """Read the configuration again, publish it whole, and return the keys that have changed.

        The access log is opened anew in any case: whoever moved it away asks for that.

        Raises:
            NotReloaded: There is a mistake in it, and nothing has changed; it is logged.
        """
        try:
            config = self._load()
            named = load_named(self._path, config, self._workshop, self.scaling.actuators)
            roll = self.roster.succeed(config)
            self._cells.check(roll)
            self.access_log.turn(config.access_log)
        except (ConfigError, TooMany, TooManyBackends, CannotLog, _NeedsRestart) as error:
            self.access_log.reopen()
            log.error("reload: nothing was changed:\n%s", error)  # noqa: TRY400 - not a bug of ours
            raise NotReloaded(f"nothing was changed:\n{error}") from error
        changed = differences(self.config, config)
        self.config, self._keys = config, named.keys
        self.roster.adopt(config, roll, named.policies, named.telemetry)
        self.scaling.adopt(config, named.actuators)
        self._refresh()
        log.info("reload: version %d", self.version)
        return changed

    def _hung_up(self) -> None:
        with contextlib.suppress(NotReloaded):  # which has been logged
            self.reload()

    def _load(self) -> Config:
        config = load_config(self._path)
        if _fixed(config) != _fixed(self.config):
            raise _NeedsRestart("addresses of listeners, workers and admin need a restart")
        return config

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            duties = [tasks.create_task(duty, name=name) for name, duty in self._duties().items()]
            seats = [
                tasks.create_task(seat.occupy(), name=f"seat {seat.number}") for seat in self.seats
            ]
            await self._stop.wait()
            await self._finish(seats)
            for task in duties:
                task.cancel()

    def _plan(self) -> Snapshot:
        self.roster.changed.clear()
        self.roster.urgent.clear()
        standing = replace(self.roster.standing(), keys=self._keys)
        return plan(self.config, self._cells, self._room, standing)

    def _refresh(self) -> None:
        self.snapshot = self._plan()
        self._publisher.publish(self.snapshot)

    async def _keep_fresh(self) -> None:
        """Publish what has changed, the newest state at a time, at most so often."""
        while True:
            await self.roster.changed.wait()
            try:
                if self.roster.changed.is_set():  # else a reload has been quicker
                    self._refresh()
            except TooManyBackends as error:
                log.error("the snapshot stays as it was: %s", error)  # noqa: TRY400 - no bug of ours
                self.roster.changed.set()
                await asyncio.sleep(RETRY_SECONDS)
            await self._gather()

    async def _gather(self) -> None:
        """Let changes come together, but for a moment only where clients are held for one."""
        await asyncio.sleep(HURRY_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_SECONDS - HURRY_SECONDS):
                await self.roster.urgent.wait()

    def _spread(self, number: int, observed: Sequence[Observation]) -> None:
        """Let the other workers know what one has observed."""
        for seat in self.seats:
            if seat.number != number:
                seat.tell(observed)

    def _duties(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what runs beside the workers, by name."""
        duties: dict[str, Coroutine[None, None, None]] = {
            "announce": self._announce(),
            "publish": self._keep_fresh(),
            "roster": self.roster.run(),
            "scaling": self.scaling.run(),
        }
        if self.admin_socket is not None:
            duties["admin"] = serve_admin(self.admin_socket, reader(self))
        if self.admin_listener is not None:
            duties["admin socket"] = serve_admin(
                self.admin_listener.sock, writer(self, self.changes)
            )
        return duties

    def _close(self) -> None:
        self.load.close()
        os.close(self._load_fd)
        os.close(self._sessions_fd)
        for sockets in self._sockets:
            for sock in sockets:
                sock.close()
        if self.admin_listener is not None:
            self.admin_listener.remove()
        self.access_log.close()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _asked_to_stop(self, number: signal.Signals) -> None:
        (self._rush if self._stop.is_set() else self._stop).set()
        log.info("%s: %d connections open", number.name, self.load.open_connections())

    async def _announce(self) -> None:
        for seat in self.seats:
            await seat.ready.wait()
        if self.admin_address is not None:
            log.info("admin API on http://%s", self.admin_address)
        if self.admin_listener is not None:
            log.info("admin API on unix:%s", self.admin_listener.path)
        where = ", ".join(str(address) for address in self.addresses)
        log.info("ready: %d workers listen on %s", len(self.seats), where)

    async def _finish(self, seats: list[asyncio.Task[None]]) -> None:
        """Let every worker finish; cut what is left after the timeout, or when asked again."""
        self.stopping = True
        timeout = self.config.shutdown.timeout
        for seat in self.seats:
            seat.stop(timeout)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout + KILL_SECONDS), asyncio.TaskGroup() as tasks:
                hurry = tasks.create_task(self._hurry(), name="hurry")
                await asyncio.wait(seats)
                hurry.cancel()
                return
        for seat in self.seats:
            seat.kill()

    async def _hurry(self) -> None:
        """Kill the workers when the operator asks a second time."""
        await self._rush.wait()
        for seat in self.seats:
            seat.kill()


def raise_descriptor_limit() -> int:
    """Raise the soft descriptor limit to the hard one, for workers to inherit; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems say "a billion", which is no number to plan with.
    limit = min(hard, MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def _fixed(config: Config) -> tuple[object, ...]:
    """Return what a reload cannot change: sockets and processes."""
    addresses = tuple(listener.address for listener in config.listeners)
    return addresses, config.workers, config.admin


async def _main(path: Path, config: Config) -> None:
    await Supervisor(path, config).run()


def run(path: Path, config: Config) -> None:
    """Run the daemon until it is told to stop.

    Raises:
        CannotListen: An address cannot be bound.
        CannotLog: The access log cannot be opened.
        ConfigError: A file or a plug-in that it names cannot be used.
        TooManyBackends: More backends than the load table has cells.
    """
    uvloop.run(_main(path, config))
