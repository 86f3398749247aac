"""`l4proxy attest`: a live enclave proves itself, and no other server does."""

import json
import socket
from pathlib import Path

import pytest

from l4proxy.cli import main
from tests.l4proxy.control.attesting.enclave import WRONG, Enclave, http, running, write_policy

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy that accepts the enclaves of these tests."""
    path = tmp_path / "policy.yaml"
    write_policy(path)
    return str(path)


@pytest.mark.parametrize("host", ["127.0.0.1", "app.example.com"])
def test_an_enclave_is_accepted(
    policy: str, host: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound to this very connection, at an address or behind a name."""
    known = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))
    monkeypatch.setattr("l4proxy.cli.judging.socket.getaddrinfo", lambda *_, **__: [known])
    with running(Enclave()) as backend:
        assert main(["attest", f"{host}:{backend.port}", "--policy", policy]) == 0
    told = capsys.readouterr().out
    assert told.startswith("accepted until")
    assert "ok       exporter" in told
    assert "ok       key_binding" in told


def test_another_image_is_refused(policy: str, capsys: Captured) -> None:
    """Status 1, and the measurement is the reason."""
    with running(Enclave(tee=WRONG)) as backend:
        asked = ["attest", f"127.0.0.1:{backend.port}", "--policy", policy, "--json"]
        assert main(asked) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["backend"]) == ("refused", f"127.0.0.1:{backend.port}")
    assert told["reason"].startswith("pcr0")


def test_evidence_may_stand_in_the_certificate(tmp_path: Path, capsys: Captured) -> None:
    """Where the policy takes what is of late, instead of this connection."""
    path = tmp_path / "policy.yaml"
    write_policy(path, freshness={"max_age": "10m"})
    with running(Enclave(in_certificate=True)) as backend:
        asked = ["attest", f"127.0.0.1:{backend.port}", "--policy", str(path)]
        assert main([*asked, "--evidence", "certificate"]) == 0
    assert "accepted until" in capsys.readouterr().out


def test_a_certificate_answers_no_question(policy: str, capsys: Captured) -> None:
    """A policy that asks for the connection cannot be met from there: status 2, nobody is asked."""
    asked = ["attest", "127.0.0.1:1", "--policy", policy, "--evidence", "certificate"]
    assert main(asked) == 2
    assert "asks for freshness by exporter: expected well-known" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [True, False])
def test_who_shows_nothing_is_refused(policy: str, as_json: bool, capsys: Captured) -> None:
    """No server, or one without evidence: status 1, never unusable input, never accepted."""
    with running(Enclave(endpoint=lambda *_: http(b"", status="404 Not Found"))) as backend:
        address = f"127.0.0.1:{backend.port}"
        asked = ["attest", address, "--policy", policy, *(["--json"] if as_json else [])]
        assert main(asked) == 1
    told = capsys.readouterr()
    assert "no_answer: status 404" in (told.out if as_json else told.err)
    assert not as_json or json.loads(told.out)["verdict"] == "refused"
    assert main(asked) == 1
    told = capsys.readouterr()
    assert "unreachable" in (told.out if as_json else told.err)


def test_a_name_that_nobody_has_is_refused(policy: str, capsys: Captured) -> None:
    """A host that does not resolve has shown nothing."""
    assert main(["attest", "no-such-host.invalid:443", "--policy", policy]) == 1
    assert "no-such-host.invalid:443" in capsys.readouterr().err


def test_a_socket_path_may_be_meant(policy: str, tmp_path: Path, capsys: Captured) -> None:
    """A unix socket is a place too."""
    assert main(["attest", f"unix:{tmp_path}/none.sock", "--policy", policy]) == 1
    assert "none.sock: unreachable" in capsys.readouterr().err


def test_without_a_usable_policy_nobody_is_asked(tmp_path: Path, capsys: Captured) -> None:
    """Status 2 before anything is dialled."""
    none = str(tmp_path / "none.yaml")
    assert main(["attest", "127.0.0.1:1", "--policy", none]) == 2
    assert "cannot be read" in capsys.readouterr().err
