"""`l4proxy selftest`: whether this machine's TEE gives evidence, and whether we verify it."""

import argparse
from pathlib import Path

from l4proxy.cli.command import Command, Exit

_MORE = """\
Run it inside an enclave or a confidential virtual machine. It looks for /dev/nsm, for
/sys/kernel/config/tsm/report and for /dev/sev-guest, asks each that it finds for evidence of a key
that was just made, and verifies it. Nothing is extended, locked or kept. A check that fails or is
not made is worth a report to us, with --save: evidence is no secret, though it names the machine.

exit status 3: this machine has no TEE that we know, so nothing was tested

examples:
  l4proxy selftest --hardware
  l4proxy selftest --hardware --json --save evidence.bin
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("--hardware", action="store_true", required=True, help="the TEE of this machine")
    add_option("--save", metavar="FILE", type=Path, help="keep the evidence in a new file")
    add_option("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """Look for a TEE, and at what it gives."""
    from l4proxy.cli.hardware import Places, look, save, tell

    findings = look(Places())
    tell(findings, as_json=arguments.json)
    if arguments.save is not None and findings and not save(findings[0], arguments.save):
        return Exit.UNUSABLE
    if not findings:
        return Exit.ABSENT
    return Exit.FINE if all(finding.good for finding in findings) else Exit.FAILED


COMMAND = Command("selftest", "test this machine's TEE, if it has one", _MORE, configure, run)
