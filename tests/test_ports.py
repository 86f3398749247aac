"""Ports of tests: each process has its own."""

import subprocess
import sys
from pathlib import Path

from tests.ports import BLOCK, BLOCKS, free_port

ROOT = Path(__file__).parents[1]


def test_no_port_comes_twice_in_a_row_of_them() -> None:
    """As many as half a block are all different, and of one block."""
    ports = {free_port() for _ in range(BLOCK // 2)}
    assert len(ports) == BLOCK // 2
    assert {port // BLOCK for port in ports} <= {first // BLOCK for first in BLOCKS}
    assert len({port // BLOCK for port in ports}) == 1


def test_another_process_has_other_ports() -> None:
    """While this one lives, nobody else draws from its block."""
    mine = free_port()
    command = [sys.executable, "-c", "from tests.ports import free_port; print(free_port())"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert int(run.stdout) // BLOCK != mine // BLOCK


def test_both_families_are_looked_at() -> None:
    """A port of [::] is one that both may have."""
    assert free_port("::") // BLOCK == free_port() // BLOCK
