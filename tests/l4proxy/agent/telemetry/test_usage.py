"""Promises of `l4proxy.agent.telemetry.usage`: what is scarcest is told, garbage never."""

from pathlib import Path

import pytest

from l4proxy.agent.telemetry.usage import Kernel, Spent, busy

STAT = "cpu  {busy} 0 0 {idle} 100 0 0 0 0 0\ncpu0 1 2\n"
MEMINFO = "MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  750 kB\n"


class Machine:
    """What a kernel tells, as files."""

    def __init__(self, root: Path) -> None:
        self.proc, self.cgroups = root / "proc", root / "cgroup"
        self.group = self.cgroups / "pod" / "agent"
        (self.proc / "self").mkdir(parents=True)
        self.group.mkdir(parents=True)
        (self.proc / "self" / "cgroup").write_text("1:name=x:/y\n0::/pod/agent\n")
        (self.proc / "meminfo").write_text(MEMINFO)
        self.spent(0, 0)

    def spent(self, used: int, idle: int) -> None:
        """Ticks that the machine has used, and others."""
        (self.proc / "stat").write_text(STAT.format(busy=used, idle=idle))

    def kernel(self) -> Kernel:
        """What reads it."""
        return Kernel(self.proc, self.cgroups)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of which nothing is used, without limits."""
    return Machine(tmp_path)


def test_the_machine_is_measured(machine: Machine) -> None:
    """The share of processors between two looks; waiting for a disk is idle."""
    kernel = machine.kernel()
    before = kernel.processors(1.0)
    machine.spent(30, 70)
    assert busy(before, kernel.processors(2.0)) == pytest.approx(0.3)
    assert kernel.memory() == pytest.approx(0.25)


def test_a_limit_counts_where_it_is_scarcer(machine: Machine) -> None:
    """That of the agent's own control group, or of one above it."""
    pod = machine.group.parent
    (pod / "cpu.max").write_text("50000 100000\n")
    (machine.group / "cpu.max").write_text("max 100000\n")
    (pod / "memory.max").write_text("1000\n")
    (machine.group / "memory.max").write_text("max\n")
    (pod / "memory.current").write_text("900\n")
    (pod / "memory.stat").write_text("anon 500\ninactive_file 100\n")
    kernel = machine.kernel()
    (pod / "cpu.stat").write_text("usage_usec 0\n")
    before = kernel.processors(10.0)
    (pod / "cpu.stat").write_text("usage_usec 800000\n")
    machine.spent(30, 70)
    assert busy(before, kernel.processors(12.0)) == pytest.approx(0.8)
    assert kernel.memory() == pytest.approx(0.8)


def test_shares_have_bounds(machine: Machine) -> None:
    """More than everything, and less than nothing, are not told."""
    assert busy({"a": Spent(0, 0)}, {"a": Spent(3, 2)}) == 1.0
    assert busy({"a": Spent(3, 0)}, {"a": Spent(2, 2)}) == 0.0
    (machine.proc / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 200 kB\n")
    assert machine.kernel().memory() == 0.0


def test_no_time_is_no_share() -> None:
    """Without time between two looks, or without a first one, nobody can tell."""
    assert busy({"a": Spent(1, 1)}, {"a": Spent(1, 1)}) is None
    assert busy({}, {"a": Spent(1, 1)}) is None


@pytest.mark.parametrize("garbage", ["", "cpu\n", "cpu a b c d e f g h i\n", "\xff 0\nMemTotal: 0"])
def test_garbage_is_left_out(machine: Machine, garbage: str) -> None:
    """A kernel that tells nothing useful is one that tells nothing."""
    for name in ("stat", "meminfo"):
        (machine.proc / name).write_text(garbage)
    for name in ("cpu.max", "cpu.stat", "memory.max", "memory.current", "memory.stat"):
        (machine.group / name).write_text(garbage)
    assert not machine.kernel().processors(1.0)
    assert machine.kernel().memory() is None


def test_a_group_outside_is_not_looked_for(machine: Machine) -> None:
    """A path that leads out of what we see is none; no file of groups at all neither."""
    (machine.cgroups / "memory.max").write_text("1\n")
    (machine.cgroups / "memory.current").write_text("1\n")
    (machine.cgroups / "memory.stat").write_text("inactive_file 0\n")
    assert machine.kernel().memory() == 1.0
    (machine.proc / "self" / "cgroup").write_text("0::/../pod\n")
    assert machine.kernel().memory() == 0.25
    (machine.proc / "self" / "cgroup").unlink()
    assert machine.kernel().memory() == 0.25


def test_this_machine_is_measured() -> None:
    """A real kernel tells both."""
    kernel = Kernel()
    share = kernel.memory()
    assert share is not None
    assert 0 < share <= 1
    assert kernel.processors(1.0)["machine"].used > 0
