"""What the configuration says of telemetry."""

import pytest
from pydantic import ValidationError

from l4proxy import agent_metrics
from l4proxy.config.telemetry import (
    CAPACITY,
    PageUrl,
    Place,
    TelemetrySettings,
    parse_page_url,
    telemetry_mistakes,
)
from l4proxy.plugins import Group
from l4proxy.scaling.report import CPU, MEMORY, REQUESTS, MetricName
from l4proxy.series import Series
from routing import Address
from tests.l4proxy.installing import SOURCE, Install, install

__all__ = ["install"]


def read(**block: object) -> TelemetrySettings:
    """A block, read."""
    return TelemetrySettings.model_validate(block)


def said(block: dict[str, object], *, attested: bool = True) -> list[str]:
    """The keys that are mistaken between each other."""
    return [key for key, _ in telemetry_mistakes(read(**block), attested=attested)]


def test_nothing_said_is_the_agents_page() -> None:
    """Its names, on the backend's own port, every five seconds."""
    found = read()
    assert str(found.url) == "https://{host}:{port}/metrics"
    assert (found.every, found.timeout) == (5.0, 2.0)
    assert {str(series) for series in found.wanted().values()} == set(
        agent_metrics.AGENT_METRICS
    ) - {agent_metrics.OPEN_SESSIONS}
    assert found.wanted()[REQUESTS].rate


def test_metrics_of_ones_own_stand_beside_the_known_ones() -> None:
    """Under the name of scaling's metric; the series is the same unless it is said."""
    found = read(metrics={"cpu": "rate(process_cpu_seconds) / 4", "queue": 'q{a="b"}'})
    wanted = found.wanted([MetricName("queue"), MetricName("jobs_total")])
    assert set(wanted) == {CPU, MEMORY, REQUESTS, CAPACITY, "queue", "jobs_total"}
    assert wanted[CPU] == Series("process_cpu_seconds", rate=True, divisor=4.0)
    assert wanted[MetricName("queue")] == Series("q", (("a", "b"),))
    assert wanted[MetricName("jobs_total")].rate


def test_what_is_written_out_is_the_same_again() -> None:
    """With every key."""
    files = dict.fromkeys(("token_file", "client_certificate", "client_key", "ca"), "/etc/x")
    found = read(url="http://[::1]:9100/m?a=b", every="10s", metrics={"cpu": "c / 2"}, **files)
    assert TelemetrySettings.model_validate(found.model_dump(mode="json")).model_dump() == (
        found.model_dump()
    )


@pytest.mark.parametrize("source", ["toy", {"toy": {}}, {"toy": {"listen": "127.0.0.1:1"}}])
def test_a_source_is_chosen_as_every_part_is(install: Install, source: object) -> None:
    """A name, or a name with settings, which its own model reads."""
    install(SOURCE, group=Group.TELEMETRY)
    found = read(source=source)
    assert found.source is not None
    assert found.source.name == "toy"
    assert found.model_dump(mode="json")["source"] == {"toy": {"listen": "127.0.0.1:1"}}


def test_a_wrong_setting_of_a_source_has_its_path(install: Install) -> None:
    """As those of actuators have."""
    install(SOURCE, group=Group.TELEMETRY)
    with pytest.raises(ValidationError) as caught:
        read(source={"toy": {"listem": "x"}})
    assert caught.value.errors()[0]["loc"] == ("source", "toy", "listem")


def test_a_short_period_has_a_short_deadline() -> None:
    """So that scrapes do not overlap."""
    assert read(every="1s").timeout == 1.0


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://{host}:{port}/metrics", Place("10.0.0.1", 443)),
        ("https://{host}:9443/", Place("10.0.0.1", 9443)),
        ("http://[::1]:9100/m", Place("::1", 9100)),
        ("http://127.0.0.1:{port}/m", Place("127.0.0.1", 443)),
    ],
)
def test_a_page_has_a_place(url: str, place: Place) -> None:
    """The backend's own host and port, or those that are written."""
    found = parse_page_url(url)
    assert found.of(Address("10.0.0.1", 443)) == place
    assert str(found) == url


@pytest.mark.parametrize("socket", [Address("/run/app.sock", 0), Address("vsock:16", 8443)])
def test_what_is_not_ip_has_a_place_only_if_it_is_written(socket: Address) -> None:
    """Host and port, both."""
    assert PageUrl().of(socket) is None
    assert PageUrl(host="127.0.0.1").of(socket) is None
    assert parse_page_url("http://127.0.0.1:9100/m").of(socket) == Place("127.0.0.1", 9100)


@pytest.mark.parametrize(
    "block",
    [
        *({"url": each} for each in (5, "", "ftp://{host}:1/", "https://name:1/", "{host}:1/m")),
        *({"url": f"http://{each}/m"} for each in ("1.2.3:1", "[1.2.3.4]:1", "1.1.1.1:65536")),
        {"url": "https://{host}:{port}/a b"},
        {"url": "https://{host}:{port}/a\r\nHost: x"},
        {"every": "10ms"},
        {"token_file": "relative"},
        {"metrics": {"a b": "x"}},
        {"metrics": {"cpu": "sum(x)"}},
        {"metrics": {"cpu": 5}},
        {"metrics": {f"m{n}": "x" for n in range(33)}},
        {"source": {}},
        {"source": {"a": {}, "b": {}}},
        {"source": {"A": {}}},
        {"source": {"acme": 5}},
        {"source": "acme"},
        {"intervall": "5s"},
    ],
)
def test_what_cannot_be_is_a_mistake(block: dict[str, object]) -> None:
    """Each value that is none, and each key that nobody knows."""
    with pytest.raises(ValidationError):
        read(**block)


@pytest.mark.parametrize(
    ("block", "attested", "keys"),
    [
        ({}, True, []),
        ({}, False, ["url"]),
        ({"ca": "/ca"}, False, []),
        ({"ca": "/ca"}, True, ["ca"]),
        ({"url": "http://{host}:1/"}, False, []),
        ({"url": "http://{host}:1/"}, True, ["url"]),
        ({"url": "http://{host}:1/", "token_file": "/t"}, False, ["token_file"]),
        ({"every": "1s", "timeout": "2s"}, True, ["timeout"]),
        ({"client_key": "/k"}, True, ["client_certificate"]),
        ({"source": "toy", "ca": "/ca", "metrics": {"cpu": "x"}}, True, ["ca"]),
        ({"source": "toy"}, False, []),
        ({"source": {"openmetrics": {"url": "http://{host}:1/"}}}, True, ["source"]),
    ],
)
def test_what_contradicts_itself_is_a_mistake(
    install: Install, block: dict[str, object], attested: bool, keys: list[str]
) -> None:
    """Above all what would leave open who answers, or show a secret to anybody."""
    install(SOURCE, group=Group.TELEMETRY)
    assert said(block, attested=attested) == keys
