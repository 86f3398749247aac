"""What a check of a configuration finds, and how it is told."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from l4proxy.cli.machine import room, this_machine
from l4proxy.cli.where import Destination, Question, where
from l4proxy.config import ConfigError, load_config
from l4proxy.config.effective import effective
from l4proxy.config.lint import Advice, lint
from l4proxy.control.named import load_named
from l4proxy.control.plan import Cells, Standing, plan
from l4proxy.control.roll import Roll
from l4proxy.control.scaling import Workshop
from routing import RefusalReason, Why

_WHY = {
    Why.ROUTABLE: "it offers a ticket whose name says this backend",
    Why.LEARNED: "it offers a ticket of this backend",
    Why.EXTERNAL_PSK: "its external key leads to this backend",
    Why.OBSERVED: "it offers a ticket that this backend was seen to issue",
    Why.SESSION_ID: "it offers a session of this backend",
    Why.INSTANCE: "its server name names this backend",
    Why.RESERVATION: "its last session began here a moment ago",
    Why.SELECTED: "no backend holds a session of it, so the pool's balance chooses",
}
_REFUSED = {
    RefusalReason.UNKNOWN_SERVER_NAME: "no route has this name",
    RefusalReason.NO_SERVER_NAME: "it names no server, and there is no default route",
    RefusalReason.NO_ALPN_MATCH: "the routes of this name ask for other protocols",
    RefusalReason.NO_ELIGIBLE_BACKEND: "no backend of the pool may have a new session",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found.

    Attributes:
        effective: The configuration in YAML, every default filled in.
        advice: What is allowed, but perhaps not meant.
        question: The client that was asked about, if any.
        answer: What would become of it.

    """

    effective: str
    advice: tuple[Advice, ...]
    question: Question | None
    answer: Destination | None

    @property
    def refused(self) -> bool:
        """Whether the client would be refused."""
        return self.answer is not None and self.answer.refusal is not None


def examine(path: Path, question: Question | None) -> Findings:
    """Check a configuration as a daemon on this machine would have it.

    Raises:
        ConfigError: It cannot be used, or a file that it names cannot.
        TooManyBackends: More backends than a balancer can count for.

    """
    config = load_config(path)
    machine = this_machine()
    named = load_named(path, config, Workshop())
    standing = Standing(Roll(config), keys=named.keys)
    snapshot = plan(config, Cells(), room(config, machine), standing)
    answer = None if question is None else where(question, snapshot)
    return Findings(effective(config), lint(config, machine), question, answer)


def mistakes_as_json(error: ConfigError) -> str:
    """Return every mistake of a configuration as a JSON document."""
    return json.dumps({"mistakes": [asdict(mistake) for mistake in error.mistakes]}, indent=2)


def tell_as_json(findings: Findings) -> None:
    """Print findings as one JSON document."""
    document = {
        "effective": yaml.safe_load(findings.effective),
        "advice": [asdict(advice) for advice in findings.advice],
        "where": None if findings.answer is None else asdict(findings.answer),
    }
    print(json.dumps(document, indent=2))


def tell(findings: Findings) -> None:
    """Print findings for a reader; without a terminal the configuration stays plain YAML."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(
            Syntax(findings.effective, "yaml", theme="ansi_dark", background_color="default")
        )
    else:
        print(findings.effective)
    if findings.advice:
        console.print(Text("advice", "bold yellow"))
    for advice in findings.advice:
        console.print(Padding(Text(advice.path, "bold"), (0, 2)))
        console.print(Padding(Text(advice.sentence), (0, 4)))
    if findings.question is not None and findings.answer is not None:
        console.print(Text("where would it go?", "bold"))
        console.print(_told(findings.question, findings.answer))


def _told(question: Question, answer: Destination) -> Table:
    table = Table.grid(padding=(0, 2, 0, 2))
    name = question.name or "no server name"
    offers = ", ".join(protocol.decode("ascii") for protocol in question.alpn)
    table.add_row(
        "client", f"{name}{f', offering {offers}' if offers else ''}, from {question.source}"
    )
    table.add_row("route", answer.route or "none")
    if answer.pool is not None:
        table.add_row("pool", answer.pool)
    if answer.why is not None:
        table.add_row("backend", Text(f"{answer.backend} at {answer.address}", "green"))
        table.add_row("why", f"{answer.why}: {_WHY[answer.why]}")
    if answer.refusal is not None:
        table.add_row("refused", Text(f"{answer.refusal}: {_REFUSED[answer.refusal]}", "red"))
        table.add_row("hears", answer.hears)
    return table
