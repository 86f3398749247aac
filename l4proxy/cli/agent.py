"""`l4proxy agent`: inside the enclave."""

import argparse
import logging
import sys
from pathlib import Path

from l4proxy.cli.command import Command, Exit

_MORE = """\
Run it inside the enclave, before any code that the operator loads: it seals the digest of the
manifest where that code cannot write, makes the TLS key, gets a certificate, takes evidence from
the TEE, and ends TLS in front of the application, or hands it key and certificate as files. Without
a TEE it does not start; a simulated one has to be asked for in CONFIG.

example:
  l4proxy agent /etc/l4proxy/agent.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    from l4proxy.cli.run import LEVELS

    parser.add_argument("config", metavar="CONFIG", type=Path, help="its settings, a YAML file")
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="the least that is logged (info)"
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Run the agent until it is told to stop."""
    from l4proxy.agent.agent import AgentFailed
    from l4proxy.agent.agent import run as run_agent
    from l4proxy.agent.settings import SettingsError, load_settings

    try:
        settings = load_settings(arguments.config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return Exit.UNUSABLE
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=arguments.log_level.upper(), format=form)
    try:
        run_agent(settings)
    except AgentFailed as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.FAILED
    return Exit.FINE


COMMAND = Command("agent", "serve from inside the enclave", _MORE, configure, run)
