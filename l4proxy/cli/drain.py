"""`l4proxy drain`, `l4proxy undrain`: a backend of a running daemon lets go of its sessions."""

import argparse
import sys
from collections.abc import Mapping
from urllib.parse import quote

from l4proxy.cli.arguments import admin_address
from l4proxy.cli.backend import DEFAULT_SOCKET
from l4proxy.cli.command import Command, Exit

_MORE = """\
Asks the admin API of a daemon on this machine, over its unix socket: `admin: {socket: PATH}` in the
daemon's configuration. A backend that is drained gets no new session, and keeps those that it has,
resumptions included, until its time is over; then what is left is closed, gradually. A drain lasts
until `undrain`, reloads included, and ends with the backend. To drain again without --timeout
changes nothing.

examples:
  l4proxy drain enclave-a
  l4proxy drain app/enclave-a --timeout 30m
  l4proxy undrain enclave-a --admin unix:/run/l4proxy/admin.sock
"""


def _configure_drain(parser: argparse.ArgumentParser) -> None:
    _configure(parser)
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        help="how long its sessions may stay, such as 30m, or off (default: as configured)",
    )


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the backend: NAME, or POOL/NAME")
    parser.add_argument(
        "--admin",
        metavar="ADDR",
        type=admin_address,
        default=DEFAULT_SOCKET,
        help=f"the daemon's admin API (default: {DEFAULT_SOCKET})",
    )


def run_drain(arguments: argparse.Namespace) -> Exit:
    """Drain a backend, and say until when."""
    wanted = {} if arguments.timeout is None else {"timeout": arguments.timeout}
    return _ask(arguments, "drain", wanted)


def run_undrain(arguments: argparse.Namespace) -> Exit:
    """Let a backend have new sessions again."""
    return _ask(arguments, "undrain", {})


def _ask(arguments: argparse.Namespace, action: str, wanted: Mapping[str, str]) -> Exit:
    from l4proxy.admin.client import AdminClient, AdminRefused, AdminUnavailable

    page = f"/api/v1/backends/{quote(arguments.name)}/{action}"
    try:
        change = AdminClient(arguments.admin).change("POST", page, wanted)
    except (AdminRefused, AdminUnavailable) as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.FAILED
    print(_told(action, change))
    return Exit.FINE


def _told(action: str, change: Mapping[str, object]) -> str:
    state = "in force" if change.get("in_force") else "not in force in all workers yet"
    told = f"{action}ed {change.get('pool')}/{change.get('name')} at {change.get('address')}"
    if action == "undrain":
        return f"{told}: {state}"
    left = change.get("deadline")
    stay = f"for {left:,.0f} s" if isinstance(left, float) else "without end"
    return f"{told}: {state}; its sessions may stay {stay}"


COMMANDS = (
    Command(
        "drain", "give a backend no new session, keep those that it has", _MORE,
        _configure_drain, run_drain,
    ),
    Command("undrain", "give a drained backend new sessions again", _MORE, _configure, run_undrain),
)  # fmt: skip
