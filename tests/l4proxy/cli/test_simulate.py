"""`l4proxy simulate`: a trace in, figures out."""

import argparse
import json
from pathlib import Path

import pytest

from l4proxy.cli import main
from l4proxy.cli.simulate import MOST_SESSIONS, configure
from tests.l4proxy.cli.calls import call

SHORT = ("--hours", "0.5", "--slots", "20")


def told(output: str) -> dict[str, dict[str, dict[str, float]]]:
    """The document that was printed."""
    found: dict[str, dict[str, dict[str, float]]] = json.loads(output)
    return found


def test_the_command_compares_by_name() -> None:
    """As a process of its own it prints a table with every baseline and ends with status 0."""
    run = call("simulate", "diurnal", *SHORT)
    assert run.returncode == 0, run.stderr
    for name in ("l4proxy", "Kubernetes HPA", "Knative KPA", "Agones buffer", "fixed"):
        assert name in run.stdout
    assert "clairvoyant minimum" in run.stdout


def test_json_has_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get every figure, ours alone if they want."""
    assert main(["simulate", "ramp", *SHORT, "--alone", "--json"]) == 0
    (figures,) = told(capsys.readouterr().out)["results"].values()
    assert set(figures) == {
        "refused", "late", "late_share", "longest_wait", "mean_wait", "backend_hours",
        "of_minimum", "most_backends", "flaps", "broken", "woken",
    }  # fmt: skip
    assert figures["broken"] == 0


def test_a_file_is_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of arrival and duration, as another tool exports them."""
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival,duration\n0,60\n30,60\n600,5\n", encoding="utf-8")
    assert main(["simulate", str(trace), "--alone", "--json"]) == 0
    assert '"sessions": 3' in capsys.readouterr().out


def test_a_policy_is_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its bounds hold, and targets that a trace cannot speak of are named."""
    policy = tmp_path / "scaling.yaml"
    policy.write_text("{min: 3, max: 5, metrics: {cpu: 70%}}", encoding="utf-8")
    assert main(["simulate", "ramp", *SHORT, "--policy", str(policy), "--alone", "--json"]) == 0
    output = capsys.readouterr().out
    (figures,) = told(output)["results"].values()
    assert figures["most_backends"] == 5
    assert '"cpu"' in output
    assert main(["simulate", "ramp", *SHORT, "--policy", str(policy), "--alone"]) == 0
    assert "left out: cpu" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tide"], "expected a file or diurnal"),
        (["{folder}"], "Is a directory"),
        (["{folder}/bad.csv"], "line 1"),
        (["{folder}/binary"], "utf-8"),
        (["diurnal", "--policy", "{folder}/none.yaml"], "No such file"),
        (["diurnal", "--policy", "{folder}/bad.csv"], "expected a mapping"),
        (["diurnal", "--policy", "{folder}/binary"], "utf-8"),
        (["diurnal", *SHORT, "--alone", "--plot", "{folder}/plot.gif"], "ends in .png or .svg"),
    ],
)
def test_what_cannot_be_used_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """The reason stands on standard error, and nothing on standard output."""
    (tmp_path / "bad.csv").write_text("1;2\n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert main(["simulate", *(text.format(folder=tmp_path) for text in arguments)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("bound", ["MAX_CSV_BYTES", "MAX_POLICY_BYTES"])
def test_files_are_bounded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, bound: str
) -> None:
    """A file that is too large is refused before it is read whole."""
    monkeypatch.setattr(f"l4proxy.cli.simulation.{bound}", 3)
    file = tmp_path / "file"
    file.write_text("1,1\n1,1\n", encoding="utf-8")
    trace = str(file) if bound == "MAX_CSV_BYTES" else "diurnal"
    assert main(["simulate", trace, "--policy", str(file)]) == 2
    assert "over 3 bytes" in capsys.readouterr().err or bound == "MAX_CSV_BYTES"


@pytest.mark.parametrize(
    "arguments",
    [["--slots", "0"], ["--slots", str(MOST_SESSIONS + 1)], ["--slots", "x"], ["--hours", "0"],
     ["--hours", "nan"], ["--boot", "-1"], ["--mean", "1e9"], ["--seed", "x"], ["--boot", "soon"]],
)  # fmt: skip
def test_arguments_have_bounds(arguments: list[str]) -> None:
    """Numbers that make no sense are refused by the parser."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    configure(parser)
    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(["diurnal", *arguments])
