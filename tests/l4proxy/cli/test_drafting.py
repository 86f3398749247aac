"""Drafting: a policy that is handed out has accepted what it was made from."""

from pathlib import Path

import pytest

from attestation import Evidence, Expectation, KeyOrigin, SimulatedTee
from l4proxy.cli.arguments import Place
from l4proxy.cli.drafting import for_backend, for_build, for_evidence
from l4proxy.cli.evidence_file import Unusable
from l4proxy.cli.judging import NoEvidence, Target
from l4proxy.config import ConfigError
from l4proxy.plugins import installed_kinds
from l4proxy.policy_file import parse_policy
from tests.attestation.enclaves import AGENT as NAMED
from tests.attestation.enclaves import NOW
from tests.l4proxy.cli.evidence import document, wrapper
from tests.l4proxy.control.attesting.enclave import DEBUG, Enclave, running

PCR = "ab" * 48


def target(port: int) -> Target:
    """A backend of this machine."""
    return Target(Place("127.0.0.1", port), None, 5.0)


def test_a_build_becomes_a_policy(tmp_path: Path) -> None:
    """It is read as one before it is shown."""
    build = tmp_path / "build.json"
    pcrs = ", ".join(f'"PCR{number}": "{PCR}"' for number in range(3))
    build.write_text(f'{{"Measurements": {{{pcrs}}}}}')
    text = for_build(build)
    (accepted,) = parse_policy(text, build, installed_kinds()).accept
    assert accepted.kind == "nitro"
    build.write_text("{}")
    with pytest.raises(Unusable, match=r"build\.json: found no"):
        for_build(build)
    build.write_text(f'{{"Measurements": {{{pcrs.replace(PCR, "zz")}}}}}')
    with pytest.raises(ConfigError, match="hexadecimal"):
        for_build(build)


def test_evidence_becomes_a_policy(tmp_path: Path) -> None:
    """With the manifest that it proves, and the word that there is no TEE."""
    policy = parse_policy(
        for_evidence(wrapper(tmp_path), "cmw", None, NOW), tmp_path, installed_kinds()
    )
    assert policy.allow_simulated
    assert policy.manifest is not None
    assert not policy.allow_debug


def test_what_is_not_genuine_becomes_none(tmp_path: Path) -> None:
    """Nor what cannot be pinned."""
    with pytest.raises(NoEvidence, match="not genuine: certificate_validity"):
        for_evidence(document(tmp_path), "simulated", None, NOW + 86_400)
    debug = document(tmp_path, SimulatedTee(b"image", debug=True))
    with pytest.raises(NoEvidence, match="debug mode"):
        for_evidence(debug, "simulated", None, NOW)
    with pytest.raises(Unusable, match="found the kind 'sgx'"):
        for_evidence(debug, "sgx", None, NOW)


def test_a_backend_becomes_a_policy() -> None:
    """If its evidence is bound to its connection, as the policy will ask."""
    with running(Enclave()) as backend:
        text = for_backend(target(backend.port))
    assert parse_policy(text, Path("policy"), installed_kinds()).allow_simulated


def test_a_backend_that_its_policy_would_refuse_becomes_none() -> None:
    """A relayed quote, or a key from somewhere else, pins nothing."""
    imported = Enclave(agent=type(NAMED)(key_origin=KeyOrigin.IMPORTED))
    with running(imported) as backend, pytest.raises(NoEvidence, match="key_origin"):
        for_backend(target(backend.port))
    with running(Enclave(tee=DEBUG)) as backend, pytest.raises(NoEvidence, match="debug mode"):
        for_backend(target(backend.port))


def test_a_backend_of_an_unknown_kind_becomes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what the backend has shown, and no fault of who asks."""
    shown = (Evidence("acme", b"document", {}), Expectation())
    monkeypatch.setattr("l4proxy.cli.drafting.visit", lambda *_: shown)
    with pytest.raises(NoEvidence, match="found the kind 'acme'"):
        for_backend(target(1))
