"""`l4proxy policy`: from a measurement to a policy, from two policies to what differs."""

from pathlib import Path

import pytest

from attestation import SimulatedTee
from l4proxy.cli import main
from tests.attestation.enclaves import measured
from tests.l4proxy.cli.evidence import AT, document, policy
from tests.l4proxy.control.attesting.enclave import Enclave, running

Captured = pytest.CaptureFixture[str]


def test_a_policy_from_evidence_accepts_it(tmp_path: Path, capsys: Captured) -> None:
    """From the evidence to the policy to the verdict, and another image is refused."""
    file = str(document(tmp_path))
    base = ["--kind", "simulated", "--at", AT]
    assert main(["policy", "new", "--evidence", file, *base]) == 0
    made = tmp_path / "made.yaml"
    made.write_text(capsys.readouterr().out)
    assert main(["verify", file, *base, "--policy", str(made)]) == 0
    document(tmp_path, SimulatedTee(b"another image"))
    assert main(["verify", file, *base, "--policy", str(made)]) == 1


def test_a_policy_from_a_backend_accepts_it(tmp_path: Path, capsys: Captured) -> None:
    """What runs there now is what may run there."""
    with running(Enclave()) as backend:
        address = f"127.0.0.1:{backend.port}"
        assert main(["policy", "new", "--backend", address]) == 0
        made = tmp_path / "made.yaml"
        made.write_text(capsys.readouterr().out)
        assert main(["attest", address, "--policy", str(made)]) == 0


def test_a_policy_from_a_build(tmp_path: Path, capsys: Captured) -> None:
    """What nitro-cli prints, as it prints it."""
    build = tmp_path / "build.json"
    pcrs = ", ".join(f'"PCR{number}": "{number}1{"ab" * 47}"' for number in range(3))
    build.write_text(f'{{"Measurements": {{"HashAlgorithm": "Sha384 {{ ... }}", {pcrs}}}}}')
    assert main(["policy", "new", "--build", str(build)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# From the build build.json.\naccept:\n- nitro:\n    pcrs:\n      0: ")


def test_no_policy_is_made_of_nothing(tmp_path: Path, capsys: Captured) -> None:
    """Status 1 where evidence was asked for and is no good, 2 where a file is of no use."""
    late = ["--kind", "simulated", "--at", "2030-01-01"]
    assert main(["policy", "new", "--evidence", str(document(tmp_path)), *late]) == 1
    assert main(["policy", "new", "--backend", "127.0.0.1:1"]) == 1
    assert main(["policy", "new", "--build", str(tmp_path / "none.json")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 3
    with pytest.raises(SystemExit, match="2"):
        main(["policy", "new"])


def test_differences_are_told(tmp_path: Path, capsys: Captured) -> None:
    """Status 0 if there are none, 1 if there are, 2 if one is no policy."""
    left = policy(tmp_path, "left.yaml")
    other = policy(tmp_path, "right.yaml", accept=[measured(SimulatedTee(b"another"))])
    assert main(["policy", "diff", str(left), str(left)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["policy", "diff", str(left), str(other)]) == 1
    assert {line[:9] for line in capsys.readouterr().out.splitlines()} == {"- accept.", "+ accept."}
    assert main(["policy", "diff", str(left), str(tmp_path / "none")]) == 2
