"""`l4proxy check`: is a configuration right, what does it mean, where would a client go?"""

import argparse
import sys
from pathlib import Path

from l4proxy.cli.arguments import ip, protocol, server_name
from l4proxy.cli.command import Command, Exit

SOMEBODY = "203.0.113.1"
"""The source of a client whose source is not said: an address of nobody's (RFC 5737)."""

_MORE = """\
Prints the configuration with every default filled in, and advice on what is allowed but perhaps not
meant. With --sni, --alpn or --source it also says where such a client would go: the route, the
pool, the backend and why; or the reason of the refusal, and what the client would hear. That is the
answer of a balancer that has just started: no connection is open.

examples:
  l4proxy check config.yaml
  l4proxy check config.yaml --sni app.example.com --alpn h2 http/1.1 --source 198.51.100.7
  l4proxy check config.yaml --sni app.example.com --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("config", metavar="CONFIG", type=Path, help="the configuration, a YAML file")
    add_option("--sni", metavar="NAME", type=server_name, help="the server name of a client")
    add_option(
        "--alpn",
        metavar="P",
        nargs="+",
        action="extend",
        type=protocol,
        default=[],
        help="protocols that it offers",
    )
    add_option(
        "--source", metavar="ADDR", type=ip, help=f"its IP address (default: {SOMEBODY}, nobody's)"
    )
    add_option("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """Check a configuration, and answer what was asked of it."""
    from l4proxy.cli.findings import examine, mistakes_as_json, tell, tell_as_json
    from l4proxy.cli.where import Question
    from l4proxy.config import ConfigError
    from l4proxy.control.plan import TooManyBackends

    question = None
    if arguments.sni is not None or arguments.alpn or arguments.source is not None:
        source = arguments.source or SOMEBODY
        question = Question(arguments.sni, tuple(arguments.alpn), source)
    try:
        findings = examine(arguments.config, question)
    except ConfigError as error:
        if arguments.json:
            print(mistakes_as_json(error))
        else:
            print(error, file=sys.stderr)
        return Exit.UNUSABLE
    except TooManyBackends as error:
        print(f"{arguments.config}: {error}", file=sys.stderr)
        return Exit.UNUSABLE
    if arguments.json:
        tell_as_json(findings)
    else:
        tell(findings)
    return Exit.FAILED if findings.refused else Exit.FINE


COMMAND = Command(
    "check", "check a configuration, and ask it where a client would go", _MORE, configure, run
)
