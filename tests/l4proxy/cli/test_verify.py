"""`l4proxy verify`: accepted, refused, genuine or not, and unusable are never mistaken."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation import SimulatedTee
from l4proxy.cli import main
from tests.attestation.enclaves import NONCE, NOW, Authority
from tests.l4proxy.cli.evidence import AT, document, policy, wrapper

Captured = pytest.CaptureFixture[str]
BASE = ("--kind", "simulated", "--at", AT)


def test_good_evidence_is_accepted(tmp_path: Path, capsys: Captured) -> None:
    """Status 0, and the words say how long and that there is no TEE."""
    file = document(tmp_path)
    assert main(["verify", str(file), *BASE, "--policy", str(policy(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert told.startswith("accepted until 2027-01-15T")
    assert "SIMULATED" in told
    assert "what it runs" in told
    assert "ok       measurements: accept.0" in told


def test_a_wrong_measurement_is_refused(tmp_path: Path, capsys: Captured) -> None:
    """Status 1, and the document holds every check and the one that refused."""
    file = document(tmp_path, SimulatedTee(b"another image"))
    asked = ["verify", str(file), *BASE, "--policy", str(policy(tmp_path)), "--json"]
    assert main(asked) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "refused"
    assert told["reason"].startswith("pcr0: found")
    assert (told["file"], told["at"], told["kind"]) == (str(file), NOW, "simulated")
    assert "failed" in {check["outcome"] for check in told["checks"]}


def test_genuine_is_not_accepted(tmp_path: Path, capsys: Captured) -> None:
    """Without a policy nothing is accepted, and what was not compared is said."""
    file = document(tmp_path)
    assert main(["verify", str(file), *BASE]) == 0
    told = capsys.readouterr().out
    assert told.startswith("genuine; not accepted, as no policy says what is acceptable")
    for name in ("measurements", "debug", "key_binding", "freshness"):
        assert f"not made {name}: not made, no policy was given" in told
    assert "accepted until" not in told
    assert main(["verify", str(file), *BASE, "--json"]) == 0
    document_ = json.loads(capsys.readouterr().out)
    assert (document_["verdict"], document_["accepted"]) == ("genuine", False)


def test_evidence_of_another_time_is_not_genuine(tmp_path: Path, capsys: Captured) -> None:
    """Status 1 for a document whose certificate has ended."""
    file = document(tmp_path)
    late = ["--kind", "simulated", "--at", str(int(NOW) + 86_400)]
    assert main(["verify", str(file), *late]) == 1
    assert capsys.readouterr().out.startswith("not genuine: certificate_validity")


@pytest.mark.parametrize("with_policy", [True, False])
@pytest.mark.parametrize(
    ("option", "field", "check"),
    [
        ("--nonce", "nonce", "nonce"),
        ("--user-data", "user_data", "bound_data"),
        ("--report-data", "user_data", "bound_data"),
        ("--public-key", "public_key", "public_key"),
    ],
)
def test_expected_values_are_compared(
    tmp_path: Path, capsys: Captured, with_policy: bool, option: str, field: str, check: str
) -> None:
    """To the byte, with a policy and without; another value is refused by that check."""
    file = document(tmp_path, **{field: b"the value"})
    asked = ["verify", str(file), *BASE, "--json"]
    if with_policy:
        # The convention of the claims buffer would want more of user data than a test's bytes.
        by_age = policy(tmp_path, binding="nitriding", freshness={"max_age": "1h"})
        asked += ["--policy", str(by_age)]
        asked += ["--certificate", str(_certificate(tmp_path))]
    for value in (b"the value", b"another", b"the valu"):
        main([*asked, option, value.hex()])
        told = json.loads(capsys.readouterr().out)
        (found,) = [one for one in told["checks"] if one["name"] == check]
        assert found["outcome"] == ("passed" if value == b"the value" else "failed")


def test_a_wrapper_brings_all_that_belongs_to_it(tmp_path: Path, capsys: Captured) -> None:
    """Claims of the agent, too, so that a policy can ask for them."""
    asked = policy(tmp_path, claims={"service": "app"}, key_origin=["inside"])
    given = ["--kind", "cmw", "--at", AT, "--nonce", NONCE.hex()]
    by_nonce = policy(tmp_path, "nonce.yaml", freshness={"mode": "nonce"})
    assert main(["verify", str(wrapper(tmp_path)), *given, "--policy", str(by_nonce)]) == 0
    assert main(["verify", str(wrapper(tmp_path)), *given[:4], "--policy", str(asked)]) == 0
    assert capsys.readouterr().out.count("accepted until") == 2


def test_what_only_a_connection_shows_is_refused(tmp_path: Path, capsys: Captured) -> None:
    """A policy that asks for an exporter accepts nothing from a file."""
    asked = policy(tmp_path, freshness={"mode": "exporter"})
    given = ["--kind", "cmw", "--at", AT, "--policy", str(asked)]
    assert main(["verify", str(wrapper(tmp_path)), *given]) == 1
    assert "refused by" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.bin", *BASE], "none.bin cannot be read: No such file"),
        (["document.cbor", "--kind", "sgx"], "found the kind 'sgx', expected one of nitro"),
        (["document.cbor", "--kind", "cmw"], "document.cbor: CMW"),
        (["document.cbor", *BASE, "--policy", "none.yaml"], "none.yaml: cannot be read"),
        (["document.cbor", *BASE, "--policy", "document.cbor"], "document.cbor"),
        (["document.cbor", *BASE, "--endorsements", "none"], "none cannot be read"),
        (["document.cbor", *BASE, "--certificate", "x"], "expected --policy beside it"),
        (
            ["document.cbor", *BASE, "--policy", "policy.yaml", "--certificate", "policy.yaml"],
            "policy.yaml: certificate: ",
        ),
    ],
)
def test_unusable_input_is_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    arguments: list[str],
    said: str,
) -> None:
    """What cannot be judged gets no verdict, and nothing on standard output."""
    document(tmp_path)
    policy(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["verify", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_policy_that_accepts_nothing_is_unusable(tmp_path: Path, capsys: Captured) -> None:
    """An empty policy is a mistake with its place, never one that anything passes."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("accept: []\n")
    assert main(["verify", str(document(tmp_path)), *BASE, "--policy", str(empty)]) == 2
    assert f"{empty}:1:" in capsys.readouterr().err


def test_two_words_for_one_thing_are_refused(tmp_path: Path) -> None:
    """User data and report data are the same field."""
    with pytest.raises(SystemExit, match="2"):
        main(["verify", "x", *BASE, "--user-data", "00", "--report-data", "00"])


def _certificate(folder: Path) -> Path:
    """Any certificate."""
    path = folder / "certificate.der"
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(Authority().leaf(key))
    return path
