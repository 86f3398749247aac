"""`l4proxy demo`: the balancer at work, on this machine alone."""

import argparse
import sys

from l4proxy.cli.command import Command, Exit

MAX_SESSIONS = 200
"""Clients at the most: each comes from a loopback network of its own, 127.1.0.0/24 and on."""

_MORE = """\
Starts four TLS servers as simulated enclaves, a real `l4proxy run` in front of them, and clients
that ask for names and verify certificates. What can be seen: three enclaves that prove what they
run, and one that runs something else and never gets a client; routing by server name; each client
back at its server; an unknown name refused; a server that stops, and its clients served by the
next. Nothing is left behind: no process, no port, no file.

examples:
  l4proxy demo
  l4proxy demo --once
  l4proxy demo --sessions 40
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--once", action="store_true", help="check everything once, and end")
    parser.add_argument(
        "--sessions", metavar="N", type=sessions, default=12, help="clients (default: 12)"
    )


def sessions(text: str) -> int:
    """Read a number of clients.

    Raises:
        argparse.ArgumentTypeError: It is none, or too large.

    """
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SESSIONS:
        found = f"found {text!r}, expected a whole number from 1 to {MAX_SESSIONS}"
        raise argparse.ArgumentTypeError(found)
    return int(text)


def run(arguments: argparse.Namespace) -> Exit:
    """Run the demo, once or until Ctrl-C."""
    from l4proxy.demo.balancer import BalancerFailed
    from l4proxy.demo.show import show_live, show_once

    try:
        if arguments.once:
            return Exit.FINE if show_once(arguments.sessions) else Exit.FAILED
        show_live(arguments.sessions)
    except (BalancerFailed, OSError) as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.FAILED
    return Exit.FINE


COMMAND = Command("demo", "see it work, on this machine alone", _MORE, configure, run)
