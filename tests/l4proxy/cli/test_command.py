"""Exit statuses are stable: scripts rely on them."""

from l4proxy.cli.command import EXITS, Exit


def test_exit_statuses_are_those_that_help_tells() -> None:
    """Fine is 0, failed is 1, unusable input is 2, and every help page says so."""
    assert (Exit.FINE, Exit.FAILED, Exit.UNUSABLE) == (0, 1, 2)
    for number, word in ((0, "fine"), (1, "failed"), (2, "unusable")):
        assert f"{number} {word}" in EXITS
