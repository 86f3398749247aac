"""`l4proxy verify`: what a file of evidence is worth."""

import argparse
import time
from pathlib import Path

from l4proxy.cli.arguments import hexadecimal, moment
from l4proxy.cli.command import Command, Exit

_MORE = """\
FILE holds the bytes that a TEE signed: a COSE_Sign1 of Nitro, a report of SEV-SNP, a quote of TDX;
or, with --kind cmw, a wrapper of RFC 9999, which names its kind and holds all that belongs to it.

With --policy the answer is accepted or refused, by the policy and whatever is expected here. From a
file nothing shows that the evidence is of a connection: what the policy asks of that is refused as
not made, unless the policy leaves freshness and binding out.

Without --policy the answer is genuine or not genuine: whether it is signed by whom it says. Anybody
can have genuine evidence of anything, so that is no reason to trust it.

examples:
  l4proxy verify document.cbor --kind nitro --at 2025-12-02T10:00:00Z
  l4proxy verify report.bin --kind sev-snp --endorsements certificates/ --policy policy.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_option = parser.add_argument
    add_option("file", metavar="FILE", type=Path, help="the evidence")
    add_option(
        "--kind",
        metavar="KIND",
        required=True,
        help="nitro, sev-snp, tdx, simulated, a plug-in's (`l4proxy plugins`), or cmw",
    )
    add_option("--policy", metavar="FILE", type=Path, help="what is accepted, a YAML file")
    add_option("--at", metavar="TIME", type=moment, help="judge as of then (default: now)")
    add_option(
        "--endorsements",
        metavar="DIR",
        type=Path,
        help="certificates and collateral, a file each: ask.der, crl.der, collateral.json",
    )
    add_option(
        "--certificate",
        metavar="FILE",
        type=Path,
        help="the server's, DER or PEM, to compare its key with; with --policy",
    )
    add_option("--nonce", metavar="HEX", type=hexadecimal, help="the nonce that must be signed")
    bound = parser.add_mutually_exclusive_group()
    for option in ("--user-data", "--report-data"):
        bound.add_argument(
            option,
            metavar="HEX",
            type=hexadecimal,
            dest="bound_data",
            help="what must be signed, to the byte",
        )
    add_option(
        "--public-key", metavar="HEX", type=hexadecimal, help="the key field, where a kind has one"
    )
    add_option("--json", action="store_true", help="print JSON, for scripts")


def run(arguments: argparse.Namespace) -> Exit:
    """Judge the evidence of a file."""
    from l4proxy.cli.judging import UNUSABLE, FileQuestion, judge_file
    from l4proxy.cli.verdicts import tell, unusable

    now = time.time() if arguments.at is None else arguments.at
    question = FileQuestion(
        file=arguments.file,
        kind=arguments.kind,
        endorsements=arguments.endorsements,
        certificate=arguments.certificate,
        policy=arguments.policy,
        nonce=arguments.nonce,
        bound_data=arguments.bound_data,
        public_key=arguments.public_key,
    )
    try:
        result = judge_file(question, now)
    except UNUSABLE as error:
        return unusable(error)
    return tell(result, {"file": str(arguments.file), "at": now}, as_json=arguments.json)


COMMAND = Command("verify", "judge evidence from a file", _MORE, configure, run)
