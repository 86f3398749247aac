"""Agents as an operator starts them: a process each, a simulated TEE, an application behind it."""

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.e2e.balancer import ROOT
from tests.e2e.sockets import TIMEOUT
from tests.e2e.waiting import until
from tests.l4proxy.agent.parts import document
from tests.ports import free_port

COMMAND = (sys.executable, "-m", "l4proxy", "agent")


class Agent:
    """An agent whose process can be ended and begun again.

    Attributes:
        name: What it calls its instance.
        port: Where it listens on 127.0.0.1.
    """

    def __init__(
        self, folder: Path, name: str, application: str = "", *, port: int = 0, **keys: object
    ) -> None:
        """Makes its settings; nothing runs yet.

        Args:
            folder: Of this agent alone.
            name: What it calls its instance.
            application: Where bytes go; nowhere with `files`.
            port: Where it listens; 0: where nobody does.
            keys: Settings besides or instead.
        """
        folder.mkdir(parents=True)
        self.name = name
        self.port = port or free_port()
        self._folder = folder
        found = document(
            application,
            listen=f"127.0.0.1:{self.port}",
            instance=name,
            ready_file=str(folder / "ready"),
            **{"protocol": "http", "ticket_name": secrets.token_hex(16), **keys},
        )
        for key in ("application", "protocol") if "files" in keys else ():
            del found[key]
        (folder / "agent.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; returns when it serves."""
        ready = self._folder / "ready"
        ready.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            command = [*COMMAND, str(self._folder / "agent.yaml")]
            self._running = subprocess.Popen(command, cwd=ROOT, stderr=log)
        until(f"{self.name} is ready", ready.exists)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, if it runs."""
        if self._running is not None:
            self._running.send_signal(number)
            self._running.wait(TIMEOUT)
            self._running = None


@contextmanager
def running(agent: Agent) -> Iterator[Agent]:
    """An agent until the end of the block."""
    try:
        agent.start()
        yield agent
    finally:
        agent.stop(signal.SIGKILL)
