"""`l4proxy connect`: a local port whose connections reach a verified enclave only."""

import argparse
from pathlib import Path

from l4proxy.cli.arguments import Place, place, seconds, server_name
from l4proxy.cli.command import Command, Exit

_MORE = """\
Applications speak plain TCP or HTTP to the local port. For each connection l4proxy does the TLS
handshake, asks for evidence on that very connection, and judges it by the policy, before a byte of
the application is sent. What is refused is reset, and told with all that was found and expected.

A resumed connection rests on the proof of the one whose ticket it uses; --reattest always has every
connection prove itself. What the options leave open the policy may say: on_switch, reattest,
max_lineage, set. Whatever is at the other end, the local port itself is in the clear, and so
it is on the loopback alone.

examples:
  l4proxy connect --policy policy.yaml --listen 127.0.0.1:8080 app.example.com:443
  l4proxy connect --policy policy.yaml --once app.example.com:443
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("place", metavar="HOST:PORT", type=_behind, help="the service, or its balancer")
    add_option(
        "--policy", metavar="FILE", type=Path, required=True, help="what is accepted, a YAML file"
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--listen", metavar="ADDR", type=_local, help="the local port: address:port on the loopback"
    )
    way.add_argument(
        "--once", action="store_true", help="connect once, print JSON, and end: for scripts"
    )
    add_option(
        "--server-name",
        metavar="NAME",
        type=server_name,
        help="asked for in the handshake (default: the host, if it is a name)",
    )
    add_option("--timeout", metavar="S", type=seconds, default=30.0, help="seconds to a proof (30)")
    _configure_wishes(parser)


def _configure_wishes(parser: argparse.ArgumentParser) -> None:
    """Add what a policy may say too."""
    add_option = parser.add_argument
    add_option(
        "--on-switch",
        choices=("allow", "reattest", "refuse"),
        help="when another instance answers than before: let one in that was proved before, by its "
        "key; have it prove itself; or refuse it (default: reattest)",
    )
    add_option(
        "--reattest",
        choices=("full", "always"),
        help="a proof with each full handshake, or on every connection (default: full)",
    )
    add_option(
        "--max-lineage",
        metavar="S",
        type=seconds,
        help="seconds for which resumptions rest on one proof (default: 3600)",
    )
    add_option(
        "--set",
        choices=("off", "refuse", "reattest"),
        help="take the set of enclaves that the first one has verified, and let them in by their "
        "keys; refuse any other, or have it prove itself (default: off)",
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Serve the port until told to stop, or connect once."""
    from l4proxy.cli.connecting import Job, once, rules_of, serve
    from l4proxy.cli.verdicts import unusable
    from l4proxy.client import AttestedClient
    from l4proxy.client.port import Behind
    from l4proxy.config import ConfigError
    from l4proxy.plugins import installed_kinds
    from l4proxy.policy_file import load_policy

    found: Place = arguments.place
    name = None if arguments.server_name is None else str(arguments.server_name)
    try:
        kinds = installed_kinds()
        policy = load_policy(arguments.policy, kinds)
        client = AttestedClient(policy, rules_of(arguments, policy), kinds=kinds)
    except (ConfigError, ValueError) as error:
        return unusable(error)
    job = Job(client, Behind(found.host, found.port, name))
    return once(job) if arguments.once else serve(job, arguments.listen)


def _behind(text: str) -> Place:
    found = place(text)
    if not found.port:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected host:port")
    return found


def _local(text: str) -> Place:
    from l4proxy.client.port import local_address

    found = place(text)
    try:
        return Place(local_address(found.host), found.port)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


COMMAND = Command("connect", "reach a verified enclave only", _MORE, configure, run)
