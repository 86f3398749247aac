"""`l4proxy reload`: a running daemon reads its configuration again, and says what came of it."""

import argparse
from collections.abc import Mapping

from l4proxy.cli.asking import add_admin, ask, state_of
from l4proxy.cli.command import Command, Exit

_MORE = """\
Asks the admin API of a daemon on this machine, over its unix socket: `admin: {socket: PATH}` in the
daemon's configuration. It does what SIGHUP does: the file that `run` was given is read again, with
all that it names, and is in force whole or, when there is a mistake, not at all. No open connection
ends. Addresses of listeners, `workers` and `admin` need a restart.

It prints the keys whose values have changed. With a mistake the status is 1, and every one is told.

examples:
  l4proxy reload
  l4proxy check config.yaml && l4proxy reload --admin unix:/run/l4proxy/admin.sock
"""


def run(arguments: argparse.Namespace) -> Exit:
    """Ask for it, and say what has changed."""
    done = ask(arguments.admin, "POST", "/api/v1/reload")
    if done is None:
        return Exit.FAILED
    print(f"reloaded: {state_of(done)}; {_changed(done)}")
    return Exit.FINE


def _changed(done: Mapping[str, object]) -> str:
    keys = done.get("changed")
    if isinstance(keys, list) and keys:
        return f"changed: {', '.join(map(str, keys))}"
    return "no key has changed; the files that they name were read again"


COMMAND = Command(
    "reload", "have a running daemon read its configuration again", _MORE, add_admin, run
)
