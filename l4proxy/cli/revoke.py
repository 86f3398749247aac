"""`l4proxy revoke`: a running daemon refutes a key, a measurement or a chip, at once."""

import argparse

from l4proxy.cli.asking import add_admin, ask, state_of
from l4proxy.cli.command import Command, Exit
from l4proxy.revocation import BadRevocation, parse_revocation

_MORE = """\
Asks the admin API of a daemon on this machine, over its unix socket: `admin: {socket: PATH}` in the
daemon's configuration. Backends that have what is revoked get no connection any more, and lose
those that they have, whatever their evidence says. It lasts until the daemon ends, reloads
included: what is to last longer stands in the configuration, under `attestation.revoked`.

  key:HEX           a TLS key, by the SHA-256 of its SubjectPublicKeyInfo (`status --json`)
  measurement:HEX   what a TEE has measured, in any of its registers
  chip:HEX          a processor or instance, as its evidence names it

examples:
  l4proxy revoke key:9c1b2d0c7a0f5e3a9c1b2d0c7a0f5e3a9c1b2d0c7a0f5e3a9c1b2d0c7a0f5e3a
  l4proxy revoke chip:0a1b2c3d --admin unix:/run/l4proxy/admin.sock
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "revoked", metavar="WHAT", nargs="+", type=_revocation, help="key:HEX, measurement:HEX …"
    )
    add_admin(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Ask for it, and say whom it has hit."""
    change = ask(arguments.admin, "POST", "/api/v1/revocations", {"revoke": arguments.revoked})
    if change is None:
        return Exit.FAILED
    what = ", ".join(arguments.revoked)
    print(f"revoked {what}: {state_of(change)}; backends refuted: {change.get('refuted')}")
    return Exit.FINE


def _revocation(text: str) -> str:
    """Return a revocation in its one spelling."""
    try:
        return str(parse_revocation(text))
    except BadRevocation as error:
        raise argparse.ArgumentTypeError(str(error)) from error


COMMAND = Command(
    "revoke", "refute a key, a measurement or a chip on a running daemon", _MORE, configure, run
)
