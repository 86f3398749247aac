"""The documents tell the truth: their links, commands and configurations work."""

import json
import re
import subprocess
import sys

import pytest

from l4proxy.config import parse_config
from l4proxy.dataplane.access_log import Outcome, Record, line_of
from l4proxy.dataplane.dial import NO_ANSWER
from l4proxy.dataplane.relay import Ending
from l4proxy.refusal import labels
from tests.house.repository import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)[^)]*\)")
# A fence that says just `yaml` is a whole configuration; a part of one is fenced as `text`.
CONFIGURATION = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
CODE = re.compile(r"^```sh\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bl4proxy ([a-z][a-z-]+)")


def _code(text: str) -> str:
    """The commands of a document: what is fenced as `sh` or stands in back quotes."""
    return "\n".join(fenced or quoted for fenced, quoted in CODE.findall(text))


CONFIGURATIONS = [(name, text) for name in TEXTS for text in CONFIGURATION.findall(TEXTS[name])]


@pytest.mark.parametrize("name", TEXTS)
def test_relative_links_lead_somewhere(name: str) -> None:
    """Each link into the repository names a file or folder that exists."""
    links = [link for link in LINK.findall(TEXTS[name]) if "://" not in link]
    broken = [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    assert not broken


@pytest.mark.parametrize(("name", "text"), CONFIGURATIONS)
def test_configurations_load(name: str, text: str) -> None:
    """What a reader copies out of a document is a configuration that works."""
    assert parse_config(text, name).pools


def test_the_readme_shows_a_configuration() -> None:
    """The first page holds the shortest configuration that works."""
    assert CONFIGURATION.search(TEXTS["README.md"])


@pytest.mark.parametrize("name", TEXTS)
def test_make_targets_exist(name: str) -> None:
    """Each `make` command that a document names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(_code(TEXTS[name]))) <= targets


def test_the_readme_names_the_two_commands() -> None:
    """Whoever reads only the first page can see it run and can run its tests."""
    assert {"demo", "test"} <= set(TARGET.findall(_code(TEXTS["README.md"])))


@pytest.mark.parametrize("command", sorted(set(COMMAND.findall(_code(TEXTS["README.md"])))))
def test_commands_exist(command: str) -> None:
    """Each `l4proxy` command that the README names explains itself."""
    call = [sys.executable, "-m", "l4proxy", command, "--help"]
    run = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Why a client is refused", labels()),
        ("How a relay ends", tuple(Ending)),
        ("Why a dial fails", (NO_ANSWER, "unknown", "other")),
    ],
)
def test_every_refusal_and_ending_is_explained(heading: str, words: tuple[str, ...]) -> None:
    """Each word for how a connection ends has a row of its own under its heading."""
    section = TEXTS["docs/refusals.md"].partition(f"## {heading}\n")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert not [word for word in words if word not in explained]


def test_the_line_of_the_access_log_has_the_fields_of_the_code() -> None:
    """The example has the fields of a real line, in order, and the table explains each."""
    page = TEXTS["docs/access-log.md"]
    (example,) = re.findall(r"^```json\n(.*)\n```", page, re.MULTILINE)
    line = line_of(Record(0.0, bytes(4), ""), Outcome("ended", ""), 0.0, full_address=False)
    fields = list(json.loads(line))
    assert list(json.loads(example)) == fields
    assert (
        re.findall(r"^\| `(\w+)`(?: or `refused`)? \| .*\|.*\|.*\|$", page, re.MULTILINE) == fields
    )
