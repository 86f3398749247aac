"""What l4proxy.telemetry.balancer asks of a balancer is what the supervisor has."""

import asyncio
import signal
from pathlib import Path

from l4proxy.admin.view import state_of, status_document
from l4proxy.config import load_config
from l4proxy.control.supervisor import Supervisor
from l4proxy.telemetry.balancer import Balancer

TEXT = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools: {app: ["127.0.0.1:9"]}
workers: 1
admin: off
"""


async def test_the_supervisor_is_one(tmp_path: Path) -> None:
    """A running supervisor can be read from its start to its end, also without an admin API."""
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    supervisor = Supervisor(path, load_config(path))
    balancer: Balancer = supervisor
    states = [state_of(balancer)]
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run())
        await supervisor.seats[0].ready.wait()
        states.append(state_of(balancer))
        document = status_document(balancer)
        signal.raise_signal(signal.SIGTERM)
    assert [*states, state_of(balancer)] == ["starting", "ready", "stopping"]
    assert document["listeners"] == [str(address) for address in balancer.addresses]
    assert supervisor.admin_socket is None
