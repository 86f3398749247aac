"""`l4proxy plugins`: what is installed that a policy may name."""

import argparse
import json

from l4proxy.cli.command import Command, Exit

_MORE = """\
Lists the kinds of TEE: the built-in ones, and those of other distributions that register in the
entry-point group l4proxy.evidence. The list comes from metadata: no plug-in is imported for it, nor
before a policy names its kind. A kind that two distributions register can be named by no policy.

examples:
  l4proxy plugins
  l4proxy plugins --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """List the kinds."""
    from l4proxy.plugins import installed

    plugins = installed()
    names = [plugin.name for plugin in plugins]
    rows: list[dict[str, str | bool]] = [
        {
            "kind": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "target": plugin.target,
            "built_in": plugin.built_in,
            "usable": names.count(plugin.name) == 1,
        }
        for plugin in plugins
    ]
    if arguments.json:
        print(json.dumps({"evidence": rows}, indent=2))
    else:
        _print(rows)
    return Exit.FINE


def _print(rows: list[dict[str, str | bool]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("kind", "distribution", "version", "target", "", box=None)
    for row in rows:
        whose = "built in" if row["built_in"] else "plug-in"
        clash = "" if row["usable"] else ", unusable: registered twice"
        said = [str(row[key]) for key in ("kind", "distribution", "version", "target")]
        table.add_row(*said, whose + clash)
    Console(highlight=False, markup=False).print(table)


COMMAND = Command("plugins", "list what is installed to verify evidence", _MORE, configure, run)
