"""`l4proxy run`: the daemon."""

import argparse
import logging
import sys
import time
from pathlib import Path

from l4proxy.cli.command import Command, Exit

LEVELS = ("debug", "info", "warning", "error")

_MORE = """\
SIGHUP reads CONFIG again: routes, pools and limits change all at once, or, when it has a mistake,
not at all; and it opens the file of the access log anew, for rotation. `l4proxy reload` does the
same, and tells what came of it. SIGTERM lets open connections finish, as long as
`shutdown.timeout`; a second one ends them. What the daemon has to say goes to standard error, its
access log where `access_log` says.

example:
  l4proxy run /etc/l4proxy/config.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "config", metavar="CONFIG", type=Path, help="the configuration, a YAML file"
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="the least that is logged (info)"
    )


def run(arguments: argparse.Namespace) -> Exit:
    """Run the daemon until it is told to stop."""
    from l4proxy.config import ConfigError, load_config
    from l4proxy.control.listeners import CannotListen
    from l4proxy.control.log_writer import CannotLog
    from l4proxy.control.plan import TooManyBackends
    from l4proxy.control.supervisor import run as supervise

    path: Path = arguments.config
    try:
        config = load_config(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.UNUSABLE
    _log_to_stderr(arguments.log_level)
    try:
        supervise(path, config)
    except ConfigError as error:  # of the files that it names
        print(error, file=sys.stderr)
        return Exit.UNUSABLE
    except (CannotListen, CannotLog, TooManyBackends) as error:
        print(f"l4proxy: {error}", file=sys.stderr)
        return Exit.FAILED
    return Exit.FINE


def _log_to_stderr(level: str) -> None:
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])


COMMAND = Command("run", "run the daemon", _MORE, configure, run)
