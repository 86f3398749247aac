"""`l4proxy check`: what a configuration means, and where a client would go."""

import json
from pathlib import Path

import pytest

from l4proxy.cli import main
from l4proxy.config import parse_config
from l4proxy.routable import RoutingKey
from l4proxy.secret_file import write_secret
from tests.l4proxy.cli.calls import CONFIG, call, written


def test_a_good_configuration_is_written_out(tmp_path: Path) -> None:
    """Without a terminal the output is YAML that loads to the same configuration."""
    path = written(tmp_path)
    run = call("check", path)
    assert run.returncode == 0
    text = run.stdout.partition("advice")[0]
    assert parse_config(text, "output") == parse_config(path.read_text(), "input")


def test_advice_is_given(tmp_path: Path) -> None:
    """What is allowed but perhaps not meant is said, and the status stays fine."""
    run = call("check", written(tmp_path))
    assert run.returncode == 0
    assert "advice" in run.stdout
    assert "names below example.com" in run.stdout


@pytest.mark.parametrize(
    ("question", "status", "answer"),
    [
        (["--sni", "app.example.com"], 0, ["app.example.com", "selected"]),
        (["--sni", "b.app.example.com"], 0, ["*.app.example.com", "b at 10.0.0.2:443", "instance"]),
        (["--sni", "api.example.com", "--alpn", "h2", "x"], 0, ["10.0.1.1:443"]),
        (["--sni", "api.example.com"], 1, ["no_alpn_match", "120 (no_application_protocol)"]),
        (["--sni", "x.example.com"], 1, ["unknown_server_name", "112 (unrecognized_name)"]),
        (["--source", "10.1.2.3"], 1, ["no_server_name", "from 10.1.2.3"]),
    ],
)
def test_a_question_is_answered(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    question: list[str],
    status: int,
    answer: list[str],
) -> None:
    """Route, pool, backend and why, or the refusal and what is heard; status 1 if refused."""
    assert main(["check", str(written(tmp_path)), *question]) == status
    told = capsys.readouterr().out.partition("where would it go?")[2]
    for part in answer:
        assert part in told


def test_scripts_read_json(tmp_path: Path) -> None:
    """With --json the configuration, the advice and the answer are one document."""
    run = call("check", written(tmp_path), "--sni", "b.app.example.com", "--json")
    found = json.loads(run.stdout)
    assert found["effective"]["pools"]["app"]["balance"] == "affinity"
    assert found["advice"][0]["path"] == "routes"
    assert found["where"] == {
        "route": "*.app.example.com",
        "pool": "app",
        "backend": "b",
        "address": "10.0.0.2:443",
        "why": "instance",
        "refusal": None,
        "hears": None,
    }


def test_without_a_question_there_is_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only who asks where a client goes is told."""
    assert main(["check", str(written(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["where"] is None


def test_all_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong configuration is status 2; each mistake has its line, for readers and for scripts."""
    path = str(written(tmp_path, "listenerz: 1\npools: 3\n"))
    assert main(["check", path]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{path}:1:1: listenerz" in told.err
    assert f"{path}:2:" in told.err
    assert main(["check", path, "--json"]) == 2
    mistakes = json.loads(capsys.readouterr().out)["mistakes"]
    assert {mistake["line"] for mistake in mistakes} >= {1, 2}


def test_too_many_backends_are_unusable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More backends than a balancer can count for are found by the check already."""
    monkeypatch.setattr("l4proxy.control.plan.MAX_BACKENDS", 2)
    assert main(["check", str(written(tmp_path))]) == 2
    assert "at most 2" in capsys.readouterr().err


def test_a_routing_key_that_cannot_be_loaded_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would keep a daemon from starting is found already; no secret is told."""
    file = tmp_path / "key"
    key = RoutingKey.fresh()
    write_secret(file, key.line())
    sticky = f"{{backends: [10.0.1.1:443], sticky: {{routable_keys: [{file}]}}}}"
    path = str(written(tmp_path, CONFIG.replace('["10.0.1.1:443"]', sticky)))
    assert main(["check", path]) == 0
    told = capsys.readouterr().out
    assert str(file) in told
    assert key.secret.hex() not in told
    file.chmod(0o644)
    assert main(["check", path]) == 2
    assert f"pools.api.sticky.routable_keys[0]: {file}: found mode 0644" in capsys.readouterr().err
    assert main(["check", path, "--json"]) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert mistake["path"] == "pools.api.sticky.routable_keys[0]"
