"""A change asked of a running daemon, over the unix socket of its admin API."""

import argparse
import sys
from collections.abc import Mapping

from l4proxy.cli.arguments import admin_address

DEFAULT_SOCKET = "unix:/run/l4proxy/admin.sock"
"""The admin API's unix socket, as the example configuration has it."""


def add_admin(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the daemon is."""
    parser.add_argument(
        "--admin",
        metavar="ADDR",
        type=admin_address,
        default=DEFAULT_SOCKET,
        help=f"the daemon's admin API (default: {DEFAULT_SOCKET})",
    )


def ask(
    where: str, method: str, page: str, wanted: Mapping[str, object] | None = None
) -> Mapping[str, object] | None:
    """Ask a daemon for a change; return its answer, or None: why not has been printed.

    Args:
        where: Its admin API, `host:port` or `unix:/path`.
        method: Of HTTP.
        page: What is to change.
        wanted: The body; None: there is none.

    """
    from l4proxy.admin.client import AdminClient, AdminRefused, AdminUnavailable

    try:
        return AdminClient(where).change(method, page, wanted)
    except (AdminRefused, AdminUnavailable) as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return None


def state_of(change: Mapping[str, object]) -> str:
    """Return whether all workers decide by a change already, in words."""
    return "in force" if change.get("in_force") else "not in force in all workers yet"
