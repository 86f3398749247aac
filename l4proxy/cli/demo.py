"""`l4proxy demo`: the balancer at work, on this machine alone."""

import argparse
import sys

from l4proxy.cli.command import Command, Exit

MAX_SESSIONS = 200
"""Clients at the most: all of them, and the enclaves, live in one process and share its core."""

_MORE = """\
Starts four enclaves with a simulated TEE, each a real `l4proxy agent` in front of a small HTTP
application; a real `l4proxy run` in front of them; and clients that have every connection prove
itself before they send a byte. What can be seen: three enclaves that prove what they run, and one
that runs something else and never gets a client; routing by server name; each client back at its
enclave, its session resumed; a man in the middle who ends TLS, and whom the client refuses, even
with a stolen key; an unknown name refused; an enclave that is killed, and its clients served by the
next one, which has to prove itself. Nothing is left behind: no process, no port, no file.

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
