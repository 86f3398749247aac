"""`l4proxy plugins`: what is installed that a policy or the configuration may name."""

import argparse
import json

from l4proxy.cli.command import Command, Exit

_MORE = """\
Lists kinds of TEE, telemetry sources, actuators and ways to discover backends: the built-in ones,
and those of other distributions that register in the entry-point groups l4proxy.evidence,
l4proxy.telemetry, l4proxy.actuators and l4proxy.discovery. The list comes from metadata: no plug-in
is imported for it, nor before somebody names it. What two distributions register by one name cannot
be named at all.

examples:
  l4proxy plugins
  l4proxy plugins --json
"""

_Row = dict[str, str | bool]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """List what is installed."""
    from l4proxy.plugins import Group, installed

    tables: dict[str, list[_Row]] = {}
    for group in Group:
        plugins = installed(group)
        names = [plugin.name for plugin in plugins]
        tables[group.short] = [
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
        print(json.dumps(tables, indent=2))
    else:
        _print(tables)
    return Exit.FINE


def _print(tables: dict[str, list[_Row]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("group", "kind", "distribution", "version", box=None)
    table.add_column("target", overflow="fold")
    table.add_column("")
    for group, rows in tables.items():
        for row in rows:
            whose = "built in" if row["built_in"] else "plug-in"
            clash = "" if row["usable"] else ", unusable: registered twice"
            said = [str(row[key]) for key in ("kind", "distribution", "version", "target")]
            table.add_row(group, *said, whose + clash)
    Console(highlight=False, markup=False).print(table)


COMMAND = Command("plugins", "list what is installed to be named", _MORE, configure, run)
