"""Fuzz target: a policy file, from an operator who may have typed anything.

    python -m tests.fuzz.fuzz_policy [CORPUS]        # needs Atheris

Whatever the text: it is a policy that accepts something, or a ConfigError that names its place.
"""

from pathlib import Path

from attestation import built_in_kinds, register
from l4proxy.config import ConfigError
from l4proxy.policy_file import parse_policy
from tests.fuzz.targets import fuzz

KINDS = register(built_in_kinds())
NOWHERE = Path("/nonexistent/policy.yaml")


def check(data: bytes) -> None:
    """Hold the promises of the module for one input."""
    text = data.decode("utf-8", "replace")
    try:
        policy = parse_policy(text, NOWHERE, KINDS)
    except ConfigError as error:
        sources = {mistake.source for mistake in error.mistakes}
    else:
        sources = {str(NOWHERE)} if policy.accept and policy.key_origins else set()
    assert sources == {str(NOWHERE)}


if __name__ == "__main__":
    fuzz(check)
