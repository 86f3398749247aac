"""`l4proxy backend`: the backends of a running daemon, one put or deleted at a time."""

import argparse
from urllib.parse import quote

from l4proxy.cli.asking import add_admin, ask, state_of
from l4proxy.cli.command import Command, Exit

_MORE = """\
Asks the admin API of a daemon on this machine, over its unix socket: `admin: {socket: PATH}` in the
daemon's configuration. What is put lasts until it is deleted or the daemon ends, reloads included.
What is deleted gets no new connection, and finishes those that it has; one of the configuration is
back with the next reload. To put the same again changes nothing.

examples:
  l4proxy backend put app enclave-d 10.0.0.14:8443 --weight 2
  l4proxy backend delete app enclave-d --admin unix:/run/l4proxy/admin.sock
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("pool", metavar="POOL", help="the pool, as configured")
    common.add_argument("name", metavar="NAME", help="the backend's name")
    add_admin(common)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    put = actions.add_parser("put", parents=[common], help="add it, or give it another weight")
    put.add_argument(
        "address", metavar="ADDRESS", help="ip:port, [v6]:port, unix:/path or vsock:CID:PORT"
    )
    put.add_argument(
        "--weight", metavar="N", type=int, default=1, help="its share of new sessions (default: 1)"
    )
    actions.add_parser("delete", parents=[common], help="give it no new connection")


def run(arguments: argparse.Namespace) -> Exit:
    """Ask for the change, and say what has become of it."""
    page = f"/api/v1/pools/{quote(arguments.pool, '')}/backends/{quote(arguments.name, '')}"
    if arguments.action == "put":
        wanted = {"address": arguments.address, "weight": arguments.weight}
        done, change = "put", ask(arguments.admin, "PUT", page, wanted)
    else:
        done, change = "deleted", ask(arguments.admin, "DELETE", page)
    if change is None:
        return Exit.FAILED
    backend = f"{arguments.pool}/{arguments.name}"
    print(f"{done} {backend} at {change.get('address')}: {state_of(change)}")
    return Exit.FINE


COMMAND = Command("backend", "put or delete a backend of a running daemon", _MORE, configure, run)
