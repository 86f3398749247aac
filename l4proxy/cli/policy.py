"""`l4proxy policy`: policies as drafts, and where two of them differ."""

import argparse
import time
from pathlib import Path

from l4proxy.cli.arguments import moment, place
from l4proxy.cli.attest import add_target
from l4proxy.cli.command import Command, Exit

_MORE = """\
new   prints a policy that accepts one build, the evidence in a file, or a live backend. It pins
      what says which code runs, and leaves the rest at its strict defaults. From a backend it is
      what runs there now, good or bad: compare it with a build of your own before you trust it.
diff  says where two policies differ; status 0 if nowhere, 1 if somewhere.

examples:
  l4proxy policy new --build build.json > policy.yaml
  l4proxy policy new --evidence report.bin --kind sev-snp --endorsements certificates/
  l4proxy policy new --backend 10.0.0.11:8443 --server-name app.example.com
  l4proxy policy diff old.yaml new.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="print a policy for what was built, or what runs")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--build", metavar="FILE", type=Path, help="what `nitro-cli build-enclave` printed, JSON"
    )
    source.add_argument("--evidence", metavar="FILE", type=Path, help="genuine evidence")
    source.add_argument("--backend", metavar="HOST:PORT", type=place, help="a live backend")
    add_option = new.add_argument
    add_option("--kind", metavar="KIND", default="cmw", help="of --evidence (default: cmw)")
    add_option("--endorsements", metavar="DIR", type=Path, help="of --evidence, as for verify")
    add_option("--at", metavar="TIME", type=moment, help="when --evidence was genuine")
    add_target(new)
    new.set_defaults(action=_new)
    diff = actions.add_parser("diff", help="say where two policies differ")
    diff.add_argument("left", metavar="A", type=Path)
    diff.add_argument("right", metavar="B", type=Path)
    diff.add_argument("--json", action="store_true", help="print JSON, for scripts")
    diff.set_defaults(action=_diff)


def run(arguments: argparse.Namespace) -> Exit:
    """Make a policy, or compare two."""
    from l4proxy.cli.judging import UNUSABLE, NoEvidence
    from l4proxy.cli.verdicts import no_evidence, unusable

    try:
        done: Exit = arguments.action(arguments)
    except UNUSABLE as error:
        return unusable(error)
    except NoEvidence as error:
        return no_evidence(error, as_json=False)
    return done


def _new(arguments: argparse.Namespace) -> Exit:
    from l4proxy.cli import drafting
    from l4proxy.cli.judging import target_of

    if arguments.build is not None:
        text = drafting.for_build(arguments.build)
    elif arguments.evidence is not None:
        now = time.time() if arguments.at is None else arguments.at
        beside: Path | None = arguments.endorsements
        text = drafting.for_evidence(arguments.evidence, arguments.kind, beside, now)
    else:
        text = drafting.for_backend(target_of(arguments.backend, arguments))
    print(text, end="")
    return Exit.FINE


def _diff(arguments: argparse.Namespace) -> Exit:
    from l4proxy.cli.policy_diff import compare, tell

    changes = compare(arguments.left, arguments.right)
    tell(changes, as_json=arguments.json)
    return Exit.FAILED if changes else Exit.FINE


COMMAND = Command("policy", "draft a policy, or compare two", _MORE, configure, run)
