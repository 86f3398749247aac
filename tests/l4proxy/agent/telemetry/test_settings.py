"""Promises of `l4proxy.agent.telemetry.settings`: what may leave is named, and to whom."""

import hashlib
from pathlib import Path

import pytest

from attestation import PolicyError
from l4proxy.agent.settings import SettingsError
from l4proxy.agent.telemetry.settings import MAX_METRICS, parse_telemetry
from l4proxy.agent_metrics import CAPACITY, CPU, HTTP_REQUESTS, OPEN_SESSIONS, Scrapers, describe
from tests.l4proxy.agent.parts import handing_over, settings

PLAIN: dict[str, object] = {
    "listen": "127.0.0.1:9102",
    "token_file": "/run/token",
    "metrics": [CPU, OPEN_SESSIONS],
}


def test_all_of_it_is_read() -> None:
    """Its description has a digest, which goes into the evidence."""
    found = settings(
        protocol="http",
        telemetry={
            "listen": "vsock:any:9102",
            "client_ca": "/etc/ca.pem",
            "metrics": [CPU, HTTP_REQUESTS, CAPACITY, "app_queue", "jobs_total"],
            "application": "http://127.0.0.1:9100/metrics",
            "capacity": 500,
        },
    ).telemetry
    assert found is not None
    assert found.scrapers is Scrapers.CLIENT_CA
    assert found.secret == Path("/etc/ca.pem")
    assert found.of_application == {"app_queue", "jobs_total"}
    assert found.capacity == 500
    assert found.described == describe(found.metrics, Scrapers.CLIENT_CA)
    assert found.digest == hashlib.sha256(found.described).digest()


def test_without_the_key_there_is_none() -> None:
    """Telemetry is never on by itself."""
    assert settings().telemetry is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metric": []}, "did you mean metrics"),
        ({"listen": "unix:/run/x"}, "telemetry.listen: found 'unix:/run/x', expected ip:port"),
        ({"listen": "here"}, "telemetry.listen: found 'here', expected ip:port"),
        ({"listen": 9}, "telemetry.listen: found 9, expected text"),
        ({"listen": "127.0.0.1:8443"}, "a port that nothing else of the agent has"),
        ({"listen": "[::1]:9082"}, "a port that nothing else of the agent has"),
        ({"client_ca": "/x"}, "found token_file and client_ca, expected either"),
        ({"metrics": []}, "0 names"),
        ({"metrics": ["a"] * (MAX_METRICS + 1)}, "65 names, expected 1 to 64"),
        ({"metrics": ["a b"]}, "telemetry.metrics.0: found 'a b', expected a metric's name"),
        ({"metrics": ["l4proxy_agent_secret"]}, "of the agent's own: l4proxy_agent_cpu"),
        ({"metrics": [CPU, "a", "a_total"]}, "one series of a and a_total"),
        ({"metrics": [CPU, "a"]}, "found a in metrics, expected both, or neither"),
        ({"application": "/run/page"}, "found nothing of it in metrics, expected both"),
        ({"application": "http://10.0.0.1:9100/metrics"}, r"expected http://127\.0\.0\.1:PORT"),
        ({"application": "https://127.0.0.1:9100/metrics"}, r"expected http://127\.0\.0\.1:PORT"),
        ({"application": "http://localhost/"}, r"expected http://127\.0\.0\.1:PORT"),
        ({"application": "http://127.0.0.1:99999/"}, r"expected http://127\.0\.0\.1:PORT"),
        ({"metrics": [HTTP_REQUESTS]}, "that only with protocol: http"),
        ({"metrics": [CAPACITY]}, "found nothing, expected it with l4proxy_agent_capacity listed"),
        ({"capacity": 5}, "found 5, expected it with l4proxy_agent_capacity listed"),
        ({"capacity": True}, "found True, expected a whole number from 1 to 1000000"),
    ],
)
def test_mistakes_are_told(keys: dict[str, object], message: str) -> None:
    """What is asked for and would not be there is a mistake too."""
    with pytest.raises(SettingsError, match=message):
        settings(
            listen="127.0.0.1:8443",
            publish="127.0.0.1:9082",
            telemetry={**PLAIN, **keys},
        )


def test_nobody_in_particular_may_not_read() -> None:
    """There is no telemetry without a token or an authority of readers."""
    with pytest.raises(PolicyError, match="found neither, expected either"):
        parse_telemetry({"telemetry": {"listen": "127.0.0.1:1", "metrics": [CPU]}})


def test_an_agent_that_ends_no_tls_counts_no_sessions(tmp_path: Path) -> None:
    """It does not see them; the rest it tells all the same."""
    with pytest.raises(SettingsError, match="that only where the agent ends TLS"):
        handing_over(tmp_path, telemetry=PLAIN)
    found = handing_over(tmp_path, telemetry={**PLAIN, "metrics": [CPU]}).telemetry
    assert found is not None
    assert found.metrics == {CPU}


def test_no_more_leaves_than_the_manifest_says() -> None:
    """The manifest is what verifiers know; settings can only say less."""
    found = settings(telemetry=PLAIN).telemetry
    assert found is not None
    found.check((CPU, OPEN_SESSIONS, "more"))
    with pytest.raises(PolicyError, match="found l4proxy_agent_open_sessions, expected only"):
        found.check((CPU,))
