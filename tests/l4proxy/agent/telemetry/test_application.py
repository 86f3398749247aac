"""Promises of `l4proxy.agent.telemetry.application`: named values come, and nothing else."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.agent.telemetry import application
from l4proxy.agent.telemetry.application import FILE_SECONDS, BadPage, parse_page, read_page
from tests.l4proxy.agent.test_fetch import server

PAGE = b"""# HELP queue_depth Of \xff something.
# TYPE queue_depth gauge
queue_depth 3 1700000000000
other 9
jobs_total{user="alice } \\" 7",kind="a"} 4 # {trace="x"} 1
jobs_total{user="bob"} 5.5
jobs_totally 100
free\t1e3
# EOF
"""


def test_only_named_series_come() -> None:
    """Values alone: labels could carry anything out, and are added up."""
    found = parse_page(PAGE, {"queue_depth", "jobs_total", "free", "missing"})
    assert found == {"queue_depth": 3.0, "jobs_total": 9.5, "free": 1000.0}


@pytest.mark.parametrize(
    "line",
    [
        "a_total -1",
        "a_total NaN",
        "a_total +Inf",
        "a_total x",
        "a_total 1e999",
        "a_total{ 1",
        "a_total",
        'a_total{b="} 1',
    ],
)
def test_what_is_no_value_is_left_out(line: str) -> None:
    """Missing is better than wrong: NaN, infinity, a counter below zero, no number."""
    assert not parse_page(f"{line}\nb 1\n".encode(), {"a_total"})


def test_one_bad_sample_spoils_its_series() -> None:
    """A sum without one of its parts would be another figure."""
    assert parse_page(b'a{b="1"} 1\na{b="2"} nan\nc 1\n', {"a", "c"}) == {"c": 1.0}


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_page_is_read(page: bytes) -> None:
    """Whatever an application says, what comes out are the named series."""
    assert set(parse_page(b"a " + page + b"\n" + page, {"a"})) <= {"a"}


def test_a_long_line_costs_its_length() -> None:
    """A page that a regular expression could stumble over is read as quickly as any other."""
    assert parse_page(b'a{b="' + b'\\"' * 400_000, {"a"}) == {}
    assert parse_page(b"a{" + b'""' * 400_000, {"a"}) == {}
    assert parse_page(b"a" * 800_000, {"a"}) == {}


async def test_a_file_is_read(tmp_path: Path) -> None:
    """As a page; one that is too long, or that nobody writes any more, is told."""
    path = tmp_path / "page.prom"
    path.write_bytes(PAGE)
    assert await read_page(path) == PAGE
    os.truncate(path, application.PAGE_BYTES + 1)
    with pytest.raises(BadPage, match="over 1048576 bytes"):
        await read_page(path)
    long_ago = path.stat().st_mtime - FILE_SECONDS - 1
    os.utime(path, (long_ago, long_ago))
    with pytest.raises(BadPage, match=r"was written 6[0-9] s ago, expected at most 60"):
        await read_page(path)


async def test_a_named_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It has nothing to say, with a writer or without."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert await read_page(path) == b""
    writer = os.open(path, os.O_RDWR)
    assert await read_page(path) == b""
    os.close(writer)


async def test_an_endpoint_is_read() -> None:
    """Over HTTP, as Prometheus reads it."""
    async with server(b"HTTP/1.0 200 OK\r\n\r\n" + PAGE) as (port, asked):
        assert await read_page(f"http://127.0.0.1:{port}/metrics") == PAGE
    assert asked[0].startswith(b"GET /metrics HTTP/1.1\r\n")


async def test_an_endpoint_that_will_not_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another status, too much, too late, and nobody there."""
    async with server(b"HTTP/1.0 404 Not Found\r\n\r\n") as (port, _):
        with pytest.raises(BadPage, match="status 404"):
            await read_page(f"http://127.0.0.1:{port}/metrics")
    monkeypatch.setattr(application, "PAGE_BYTES", 10)
    async with server(b"HTTP/1.0 200 OK\r\n\r\n" + PAGE) as (port, _):
        with pytest.raises(BadPage, match="expected at most 10"):
            await read_page(f"http://127.0.0.1:{port}/metrics")
    monkeypatch.setattr(application, "PAGE_SECONDS", 0.05)
    async with server(b"HTTP/1.0 200 OK\r\n\r\n", ends=False) as (port, _):
        with pytest.raises(TimeoutError):
            await read_page(f"http://127.0.0.1:{port}/metrics")
    with pytest.raises(OSError, match="refused"):
        await asyncio.wait_for(read_page("http://127.0.0.1:1/metrics"), 5)
