"""`l4proxy status`: what a running daemon is doing."""

import argparse
import sys

from l4proxy.cli.arguments import admin_address
from l4proxy.cli.command import Command, Exit

DEFAULT_ADDRESS = "127.0.0.1:9080"
"""The admin API of a daemon whose configuration does not say where it is."""

_MORE = """\
Asks the admin API of a daemon on this machine. Its configuration says where that is, as
`admin: {address: ADDR}` or `admin: {socket: PATH}`. With --watch it goes on until Ctrl-C, a line of
JSON a second with --json.

examples:
  l4proxy status
  l4proxy status --admin 127.0.0.1:9180 --watch
  l4proxy status --admin unix:/run/l4proxy/admin.sock
  l4proxy status --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--admin",
        metavar="ADDR",
        type=admin_address,
        default=DEFAULT_ADDRESS,
        help=f"its admin API (default: {DEFAULT_ADDRESS})",
    )
    parser.add_argument("--watch", action="store_true", help="show it anew each second")
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """Show the status once, or until Ctrl-C."""
    from l4proxy.admin.client import AdminClient, AdminUnavailable
    from l4proxy.cli.overview import look, show, show_as_json, watch, watch_as_json

    client = AdminClient(arguments.admin)
    try:
        if arguments.watch:
            (watch_as_json if arguments.json else watch)(client)
        else:
            (show_as_json if arguments.json else show)(look(client))
    except AdminUnavailable as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.FAILED
    return Exit.FINE


COMMAND = Command("status", "show what a running daemon is doing", _MORE, configure, run)
