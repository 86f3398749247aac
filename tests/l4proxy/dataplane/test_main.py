"""`python -m l4proxy.dataplane`: a worker as the supervisor starts it."""

import os
import socket
import subprocess
import sys

from l4proxy.shared_load import create
from l4proxy.shared_sessions import create_sessions


def test_a_worker_without_a_supervisor_ends() -> None:
    """It starts on its descriptors; the channel is closed, so it ends, and that is no error."""
    ours, theirs = socket.socketpair()
    descriptors = (theirs.fileno(), create(1), create_sessions(1))
    ours.close()
    done = subprocess.run(
        [sys.executable, "-m", "l4proxy.dataplane", *map(str, descriptors), "0", "1"],
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    theirs.close()
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_worker_started_by_hand_says_so_by_failing() -> None:
    """Without its descriptors it does not run: only the supervisor knows how to start it."""
    done = subprocess.run(
        [sys.executable, "-m", "l4proxy.dataplane"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ValueError" in done.stderr
