"""Fuzz target: a frame on the channel between supervisor and worker.

    python -m tests.fuzz.fuzz_messages [CORPUS]        # needs Atheris

Whatever the bytes: they are a message or a MessageError, and a message stays what it is when it is
said again.
"""

from l4proxy.messages import MessageError, decode, encode
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the module for one input."""
    try:
        message = decode(data)
    except MessageError:
        return
    frame = encode(message)
    assert encode(decode(frame)) == frame  # not the messages: NaN is not equal to itself


if __name__ == "__main__":
    fuzz(check)
