"""Plug-ins of somebody else: built as a wheel, installed, used where they are named."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.l4proxy.cli.calls import PATIENCE, ROOT

SAMPLE = ROOT / "tests" / "plugins-sample"
NOW = 1_800_000_000
CODE = bytes(range(32))


class Ended(NamedTuple):
    """How a process ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample plug-in, from its wheel; nothing is fetched."""
    source = tmp_path_factory.mktemp("source") / "acme"
    shutil.copytree(SAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    wheels = tmp_path_factory.mktemp("wheel")
    built = python("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, source)
    assert built.status == 0, built.err
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = wheels.glob("acme_tee-2.3.1-*.whl")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile")
    pip = ("-m", "pip", "--disable-pip-version-check", "install")
    put = python(*pip, *options, "--target", folder, wheel)
    assert put.status == 0, put.err
    return folder


def python(*arguments: str | Path, beside: Path | None = None) -> Ended:
    """Runs Python, with another folder of installed distributions if there is one."""
    environment = dict(os.environ)
    if beside is not None:
        environment["PYTHONPATH"] = str(beside)
    run = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(run.returncode, run.stdout, run.stderr)


@pytest.fixture
def document(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Evidence of the sample's kind."""
    monkeypatch.syspath_prepend(installed)
    sign = importlib.import_module("acme_tee").sign
    monkeypatch.delitem(sys.modules, "acme_tee")
    path = tmp_path / "document.bin"
    path.write_bytes(sign(CODE, b"", NOW - 60, NOW + 60))
    return path


def test_it_is_listed(installed: Path) -> None:
    """With its distribution and version, and not as one of ours."""
    ended = python("-m", "l4proxy", "plugins", "--json", beside=installed)
    listed = json.loads(ended.out)
    targets = {
        group: row["target"]
        for group, rows in listed.items()
        for row in rows
        if not row["built_in"]
    }
    assert targets == {
        "evidence": "acme_tee:AcmeTee",
        "telemetry": "acme_scaling.telemetry:AcmeTelemetry",
        "actuators": "acme_scaling.actuator:AcmeActuator",
        "discovery": "acme_scaling.discovery:AcmeDiscovery",
    }
    rows = {row["kind"]: row for row in listed["evidence"]}
    assert rows["acme"] == {
        "kind": "acme",
        "distribution": "acme-tee",
        "version": "2.3.1",
        "target": "acme_tee:AcmeTee",
        "built_in": False,
        "usable": True,
    }
    assert [kind for kind, row in rows.items() if row["built_in"]] == [
        "nitro",
        "sev-snp",
        "simulated",
        "tdx",
    ]


@pytest.mark.parametrize(("measurement", "status"), [(CODE, 0), (bytes(31) + b"\1", 1)])
def test_a_policy_that_names_it_uses_it(
    installed: Path, document: Path, measurement: bytes, status: int
) -> None:
    """It verifies and appraises as our own kinds do."""
    policy = document.with_name("policy.yaml")
    policy.write_text(f'accept:\n  - acme: {{measurement: "{measurement.hex()}"}}\n')
    command = ("-m", "l4proxy", "verify", document, "--kind", "acme", "--policy", policy)
    ended = python(*command, "--at", str(NOW), "--json", beside=installed)
    assert ended.status == status, ended.err
    assert json.loads(ended.out)["kind"] == "acme"


def test_a_policy_that_does_not_name_it_never_imports_it(installed: Path, document: Path) -> None:
    """Its code runs for nobody who did not ask for it, although it is installed."""
    policy = document.with_name("policy.yaml")
    policy.write_text('accept:\n  - sev-snp: {measurement: "' + "11" * 48 + '"}\n')
    arguments = ["verify", str(document), "--kind", "sev-snp", "--policy", str(policy)]
    code = (
        "import sys; from l4proxy.cli import main; "
        f"main({arguments!r}); print('acme_tee' in sys.modules)"
    )
    ended = python("-c", code, beside=installed)
    assert ended.out.splitlines()[-1] == "False"


CONFIG = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app}
pools:
  app:
    backends: [{discovery: {acme: {file: /run/acme/machines, every: 5s}}}]
    telemetry: {source: {acme: {folder: /run/acme/load}}}
    capacity: {sessions_per_backend: 100}
    scaling: {min: 2, actuator: {acme: {file: /run/acme/wanted}}}
"""


WRONG = CONFIG.replace("every: 5s", "every: 5").replace("/wanted", "/../wanted")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (CONFIG, 0, ("acme: {file: /run/acme/machines, every: 5s}",)),
        (WRONG, 2, ("discovery.acme.every: found 5", "actuator.acme.file: found")),
    ],
)
def test_a_configuration_that_names_them_uses_them(
    installed: Path, tmp_path: Path, text: str, status: int, said: tuple[str, ...]
) -> None:
    """Their settings are read, and wrong ones have a place, as all others."""
    config = tmp_path / "config.yaml"
    config.write_text(text)
    ended = python("-m", "l4proxy", "check", config, beside=installed)
    assert ended.status == status, ended.err
    assert all(words in ended.out + ended.err for words in said), ended


def test_its_author_can_test_it(installed: Path) -> None:
    """The conformance test of the guide passes with nothing but what is installed."""
    options = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", installed)
    ended = python("-m", "pytest", *options, SAMPLE / "author_tests.py", beside=installed)
    assert ended.status == 0, ended.out


def test_without_it_a_policy_that_names_it_is_refused(document: Path) -> None:
    """A kind that is not installed is a mistake with its place, never a check that is left out."""
    policy = document.with_name("policy.yaml")
    policy.write_text("accept:\n  - acme: {measurement: 00}\n")
    ended = python("-m", "l4proxy", "verify", document, "--kind", "tdx", "--policy", policy)
    assert ended.status == 2
    assert f"{policy}:2:5" in ended.err
    assert "'acme', expected one of nitro" in ended.err
