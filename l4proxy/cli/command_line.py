"""The command line: one parser, one file a command, an exit status that tells."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from l4proxy.cli import (
    agent,
    attest,
    backend,
    check,
    connect,
    demo,
    drain,
    hello,
    plugins,
    policy,
    reload,
    revoke,
    run,
    selftest,
    simulate,
    status,
    ticket,
    verify,
)
from l4proxy.cli.command import EXITS, Exit
from l4proxy.version import VERSION, build

COMMANDS = (
    run.COMMAND,
    check.COMMAND,
    demo.COMMAND,
    status.COMMAND,
    reload.COMMAND,
    backend.COMMAND,
    *drain.COMMANDS,
    revoke.COMMAND,
    agent.COMMAND,
    connect.COMMAND,
    hello.COMMAND,
    *ticket.COMMANDS,
    verify.COMMAND,
    attest.COMMAND,
    policy.COMMAND,
    plugins.COMMAND,
    selftest.COMMAND,
    simulate.COMMAND,
)

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells have it: 128 and the signal's number."""

_MORE = f"""\
examples:
  l4proxy demo --once
  l4proxy check config.yaml --sni app.example.com
  l4proxy run config.yaml

`l4proxy COMMAND --help` tells more about each.
{EXITS}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: Those behind the program's name; None: those of this process.

    Raises:
        SystemExit: The arguments cannot be used (2), or ask for help or the version (0).

    """
    parsed = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], Exit] = parsed.run
    try:
        status = command(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough; and Python's own flush at the end must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        "l4proxy",
        description="A Layer-4 load balancer for confidential enclaves.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"l4proxy {VERSION} ({build()})")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"{command.more}\n{EXITS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.configure(one)
        one.set_defaults(run=command.run)
    return whole
