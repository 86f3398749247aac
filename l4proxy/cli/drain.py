"""`l4proxy drain`, `undrain`, `activate`: which backends of a running daemon have new sessions."""

import argparse
from collections.abc import Mapping
from urllib.parse import quote

from l4proxy.cli.asking import add_admin, ask, state_of
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

_MORE_ACTIVATE = """\
Asks the admin API of a daemon on this machine, over its unix socket: `admin: {socket: PATH}` in the
daemon's configuration. A backend that scaling keeps on standby takes new sessions from now on, and
scaling leaves it alone for ten minutes; so it does with one that takes them already. One that is
drained is not touched: that is what `undrain` is for.

examples:
  l4proxy activate enclave-b
  l4proxy activate app/enclave-b --admin unix:/run/l4proxy/admin.sock
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
    add_admin(parser)


def run_drain(arguments: argparse.Namespace) -> Exit:
    """Drain a backend, and say until when."""
    wanted = {} if arguments.timeout is None else {"timeout": arguments.timeout}
    return _change(arguments, "drain", wanted)


def run_undrain(arguments: argparse.Namespace) -> Exit:
    """Let a backend have new sessions again."""
    return _change(arguments, "undrain", {})


def run_activate(arguments: argparse.Namespace) -> Exit:
    """Let a backend on standby have new sessions."""
    return _change(arguments, "activate", {})


def _change(arguments: argparse.Namespace, action: str, wanted: Mapping[str, str]) -> Exit:
    page = f"/api/v1/backends/{quote(arguments.name)}/{action}"
    change = ask(arguments.admin, "POST", page, wanted)
    if change is None:
        return Exit.FAILED
    print(_told(action, change))
    return Exit.FINE


def _told(action: str, change: Mapping[str, object]) -> str:
    backend = f"{change.get('pool')}/{change.get('name')} at {change.get('address')}"
    told = f"{action.removesuffix('e')}ed {backend}: {state_of(change)}"
    if action != "drain":
        return told
    left = change.get("deadline")
    stay = f"for {left:,.0f} s" if isinstance(left, float) else "without end"
    return f"{told}; its sessions may stay {stay}"


COMMANDS = (
    Command(
        "drain", "give a backend no new session, keep those that it has", _MORE,
        _configure_drain, run_drain,
    ),
    Command("undrain", "give a drained backend new sessions again", _MORE, _configure, run_undrain),
    Command(
        "activate", "give a backend on standby new sessions now", _MORE_ACTIVATE,
        _configure, run_activate,
    ),
)  # fmt: skip
