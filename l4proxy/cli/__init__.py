"""The command line of l4proxy."""

from l4proxy.cli.command_line import main

__all__ = ["main"]
