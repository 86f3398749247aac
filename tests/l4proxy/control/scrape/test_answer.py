"""HTTP answers with metrics pages: bounded, and read as they say."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.control.scrape.answer import (
    MAX_ANSWER_BYTES,
    MAX_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_INTERIM_HEADS,
    MAX_PAGE_BYTES,
    BadPage,
    PageAnswer,
)
from l4proxy.control.scrape.source import ScrapeFault

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = OK + b"Content-Type: application/openmetrics-text; version=1.0.0\r\n"

WHOLE = [
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    (OK + b"content-length:5\r\nConnection: Close\r\n\r\nhello", b"hello", False),
    (b"HTTP/1.0 200\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    (
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        b"hello",
        True,
    ),
    (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi", True),
    (CHUNKED + b"3\r\nhel\r\n02;a=b\r\nlo\r\n0\r\n\r\n", b"hello", True),
    (CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"hello", True),
    (CHUNKED + b"0\r\n\r\n", b"", True),
    (OPEN + b"Content-Length: 6\r\n\r\n# EOF\n", b"# EOF\n", True),
    (OPEN + b"Content-Length: 5\r\n\r\n# EOF", b"# EOF", True),
]


@pytest.mark.parametrize(("wire", "page", "keeps"), WHOLE)
def test_an_answer_is_read_in_every_split(wire: bytes, page: bytes, keeps: bool) -> None:
    """At once, byte by byte, and in two at every place; before its end there is no page."""
    answer = PageAnswer()
    assert not answer.begun
    assert answer.receive(wire) == page
    assert (answer.keeps, answer.begun) == (keeps, True)
    slow = PageAnswer()
    assert [slow.receive(wire[at : at + 1]) for at in range(len(wire))][-1] == page
    for at in range(len(wire)):
        halves = PageAnswer()
        assert halves.receive(wire[:at]) is None
        assert halves.receive(wire[at:]) == page


@pytest.mark.parametrize(
    ("wire", "fault", "said"),
    [
        (b"SSH-2.0\r\n\r\n", ScrapeFault.MALFORMED, "no HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", ScrapeFault.MALFORMED, "no HTTP"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", ScrapeFault.REFUSED, "status 503"),
        (b"HTTP/1.1 101 Upgrade\r\n\r\n", ScrapeFault.REFUSED, "status 101"),
        (OK + b"\r\n", ScrapeFault.MALFORMED, "no length and no chunks"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", ScrapeFault.MALFORMED, "several"),
        (OK + b"Content-Length: -5\r\n\r\n", ScrapeFault.MALFORMED, "no length"),
        (OK + b"Content-Length: 05\r\n\r\n", ScrapeFault.MALFORMED, "no length"),
        (OK + b"Content-Length : 5\r\n\r\n", ScrapeFault.MALFORMED, "a header that is none"),
        (OK + b"A: b\r\n c\r\n\r\n", ScrapeFault.MALFORMED, "a header that is none"),
        (
            OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            ScrapeFault.MALFORMED,
            "both",
        ),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", ScrapeFault.MALFORMED, "no length"),
        (OK + b"Content-Encoding: gzip\r\n", ScrapeFault.MALFORMED, "a content encoding"),
        (OK + b"Content-Length: %d\r\n\r\n" % (MAX_PAGE_BYTES + 1), ScrapeFault.TOO_LONG, "over"),
        (OK + b"Content-Length: 2\r\n\r\nhello", ScrapeFault.MALFORMED, "more than the answer"),
        (OK + b"A: " + b"x" * MAX_HEAD_BYTES, ScrapeFault.TOO_LONG, "before a body"),
        (OK + b"A: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", ScrapeFault.TOO_LONG, "before a body"),
        (CHUNKED + b"x\r\n", ScrapeFault.MALFORMED, "a chunk without a length"),
        (CHUNKED + b"123456789\r\n", ScrapeFault.MALFORMED, "a chunk without a length"),
        (CHUNKED + b"2\r\nhello", ScrapeFault.MALFORMED, "a chunk of another length"),
        (CHUNKED + b"%x\r\n" % (MAX_PAGE_BYTES + 1), ScrapeFault.TOO_LONG, "over"),
        (CHUNKED + b"1\r\nx\r\n%x\r\n" % MAX_PAGE_BYTES, ScrapeFault.TOO_LONG, "over"),
        (CHUNKED + b"1\r\nx\r\n" * (MAX_CHUNKS + 1), ScrapeFault.TOO_LONG, "chunks"),
        (CHUNKED + b"0\r\n\r\nmore", ScrapeFault.MALFORMED, "more than the answer"),
        (CHUNKED + b"0\r\n" + b"x" * (MAX_HEAD_BYTES + 2), ScrapeFault.TOO_LONG, "behind a body"),
        (OPEN + b"Content-Length: 4\r\n\r\nq 1\n", ScrapeFault.MALFORMED, "without # EOF"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(wire: bytes, fault: ScrapeFault, said: str) -> None:
    """With the kind of failure that it is."""
    wire += b"\r\n" if wire.endswith(b"gzip\r\n") else b""
    with pytest.raises(BadPage, match=said) as caught:
        PageAnswer().receive(wire)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("start", "most", "endless", "said"),
    [
        (b"", MAX_INTERIM_HEADS, b"HTTP/1.1 100\r\n\r\n", "interim heads"),
        (CHUNKED + b"0\r\n", MAX_HEAD_BYTES // 3, b"a\r\n", "behind a body"),
    ],
)
def test_what_is_around_a_page_ends(start: bytes, most: int, endless: bytes, said: str) -> None:
    """Interim heads and trailers are few: each of them costs time, however short it is."""
    answer = PageAnswer()
    assert answer.receive(start + endless * most) is None
    with pytest.raises(BadPage, match=said) as caught:
        answer.receive(endless)
    assert caught.value.fault is ScrapeFault.TOO_LONG


def test_an_answer_as_a_whole_has_an_end() -> None:
    """Also where all of its parts are as long as they may be."""
    answer = PageAnswer()
    answer.receive(CHUNKED)
    chunk = b"1;" + b"x" * 1_000 + b"\r\ny\r\n"
    with pytest.raises(BadPage, match="around a page"):
        answer.receive(chunk * (MAX_ANSWER_BYTES // len(chunk) + 1))


@pytest.mark.parametrize("blank", [b" ", b"\t"])
def test_a_header_of_blanks_takes_no_time(blank: bytes) -> None:
    """However they are told apart from the value: tried in every way, this would take hours."""
    blanks = blank * (MAX_HEAD_BYTES - 100)
    with pytest.raises(BadPage, match="a header that is none"):
        PageAnswer().receive(OK + b"A:" + blanks + b"\0\r\n\r\n")
    head = OK + b"Content-Length:" + blanks + b"2" + blank + b"\r\n\r\n"
    assert PageAnswer().receive(head + b"hi") == b"hi"


def test_no_more_is_held_than_a_page() -> None:
    """And what has come before its end."""
    answer = PageAnswer()
    answer.receive(OK + b"Content-Length: %d\r\n\r\n" % MAX_PAGE_BYTES)
    assert answer.held == 0
    answer.receive(b"x" * 1_000)
    assert answer.held == 1_000


@given(st.binary(max_size=60), st.integers(1, 9), st.booleans())
def test_no_bytes_raise_anything_else(data: bytes, piece: int, chunked: bool) -> None:
    """Whatever a backend sends, in whatever pieces."""
    answer, wire = PageAnswer(), (CHUNKED if chunked else b"") + data
    try:
        for at in range(0, len(wire), piece):
            answer.receive(wire[at : at + piece])
    except BadPage as error:
        said = str(error)
    else:
        said = "nothing"
    assert 0 < len(said) < 200


async def test_what_aiohttp_sends_is_understood() -> None:
    """A real server, with a length and in chunks."""
    web = pytest.importorskip("aiohttp.web")

    async def page(request: object) -> object:
        response = web.Response(text="q 7\n" * 100)
        if "chunked" in str(request):
            response.enable_chunked_encoding()
        return response

    app = web.Application()
    app.router.add_get("/{kind}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        for kind in ("plain", "chunked"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % kind.encode())
            answer, body = PageAnswer(), None
            async with asyncio.timeout(10):
                while body is None:
                    body = answer.receive(await reader.read(100))
            assert body == b"q 7\n" * 100
            assert answer.keeps
            writer.close()
            await writer.wait_closed()
    finally:
        await runner.cleanup()
