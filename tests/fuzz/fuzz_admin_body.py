"""Fuzz target: the body of a request that puts a backend.

    python -m tests.fuzz.fuzz_admin_body [CORPUS]        # needs Atheris

Whatever the bytes: they are a backend or a BadValueError, and what is said of them is short.
"""

from l4proxy.admin.writes import MAX_BODY_BYTES, _member
from l4proxy.config.mistakes import BadValueError
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the module for one input."""
    try:
        member = _member("enclave-a", data[:MAX_BODY_BYTES])
    except BadValueError as error:
        said = str(error)
    else:
        said = member.name
        assert member.weight >= 1
    assert 0 < len(said) < 1_000


if __name__ == "__main__":
    fuzz(check)
