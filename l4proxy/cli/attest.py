"""`l4proxy attest`: what a live backend proves, here and now."""

import argparse
from pathlib import Path

from l4proxy.cli.arguments import Place, place, seconds, server_name
from l4proxy.cli.command import Command, Exit

_MORE = """\
Connects, takes the evidence over that connection, and judges it by the policy: what a daemon does
with each backend of a pool that has one, and what a client does that checks for itself. The
certificate is not checked against any authority but the one that the policy names: the evidence
speaks for its key.

examples:
  l4proxy attest 10.0.0.11:8443 --policy policy.yaml --server-name app.example.com
  l4proxy attest app.example.com:443 --policy policy.yaml --json
"""


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a backend is visited."""
    add_option = parser.add_argument
    add_option(
        "--server-name",
        metavar="NAME",
        type=server_name,
        help="asked for in the handshake (default: the host, if it is a name)",
    )
    add_option(
        "--timeout", metavar="S", type=seconds, default=5.0, help="seconds in all (default: 5)"
    )


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("place", metavar="HOST:PORT", type=place, help="the backend; or unix:/path")
    add_option(
        "--policy", metavar="FILE", type=Path, required=True, help="what is accepted, a YAML file"
    )
    add_option(
        "--evidence",
        choices=("well-known", "certificate"),
        default="well-known",
        help="where it shows its evidence (default: well-known)",
    )
    add_target(parser)
    add_option("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """Judge a backend."""
    from l4proxy.cli.judging import UNUSABLE, NoEvidence, judge_backend, target_of
    from l4proxy.cli.verdicts import no_evidence, tell, unusable

    found: Place = arguments.place
    try:
        target = target_of(found, arguments)
        result = judge_backend(target, arguments.policy, arguments.evidence)
    except UNUSABLE as error:
        return unusable(error)
    except NoEvidence as error:
        return no_evidence(error, as_json=arguments.json)
    return tell(result, {"backend": str(found)}, as_json=arguments.json)


COMMAND = Command("attest", "judge a live backend", _MORE, configure, run)
