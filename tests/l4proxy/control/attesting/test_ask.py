"""One question over HTTP, and answers in every split."""

import asyncio

import pytest

from l4proxy.control.attesting.ask import MAX_HEAD_BYTES, BadEvidenceAnswer, ask

ANSWER = b"HTTP/1.1 200 OK\r\nServer: a\r\ncontent-LENGTH:  5 \r\n\r\nhello"


class Script:
    """A stream that brings these pieces, and notes the question."""

    def __init__(self, *pieces: bytes) -> None:
        """Begin with all of them to come."""
        self._pieces = list(pieces)
        self.asked = b""

    async def send(self, data: bytes) -> None:
        """Note it."""
        self.asked += data

    async def receive(self) -> bytes:
        """Bring the next piece; then the end."""
        return self._pieces.pop(0) if self._pieces else b""


def answered(*pieces: bytes, limit: int = 100) -> bytes:
    """The body of an answer."""
    return asyncio.run(ask(Script(*pieces), "app.example.com", "/x?y=1", limit))


def test_the_question_is_plain_http() -> None:
    """Of one line and a few headers; the connection is not kept."""
    script = Script(ANSWER)
    asyncio.run(ask(script, "app.example.com", "/x?y=1", 100))
    assert script.asked.startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: app.example.com\r\n")
    assert script.asked.endswith(b"Connection: close\r\n\r\n")


def test_an_answer_is_the_same_in_every_split() -> None:
    """Wherever the bytes are cut."""
    for cut in range(1, len(ANSWER)):
        assert answered(ANSWER[:cut], ANSWER[cut:]) == b"hello"
    assert answered(*(bytes([byte]) for byte in ANSWER)) == b"hello"


def test_an_answer_that_is_cut_short_is_none() -> None:
    """At every byte."""
    for cut in range(len(ANSWER)):
        with pytest.raises(BadEvidenceAnswer, match="the end of the connection"):
            answered(ANSWER[:cut])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ANSWER + b"x", "more than the 5 bytes"),
        (ANSWER.replace(b"5", b"-5"), "no length"),
        (ANSWER.replace(b"5", b"05"), "no length"),
        (ANSWER.replace(b"5", b"5, 5"), "no length"),
        (ANSWER.replace(b"5", b"101"), "101 bytes, where 100 are the most"),
        (ANSWER.replace(b"HTTP/1.1", b"HTTP/2"), "no HTTP"),
        (ANSWER.replace(b"200", b"304"), "status 304"),
        (ANSWER.replace(b"Server", b"Transfer-Encoding"), "transfer encoding"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES, "before a body"),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes, said: str) -> None:
    """With what was found."""
    with pytest.raises(BadEvidenceAnswer, match=said):
        answered(answer, limit=100)
