"""Health checks."""

import pytest

from l4proxy.config import HealthSettings, HealthType, HttpHealthSettings
from l4proxy.config.health import read_statuses
from l4proxy.config.mistakes import BadValueError
from tests.l4proxy.config.texts import messages_of, mistakes_of, parse, with_pool


def health_of(text: str) -> HealthSettings | None:
    """The health check of the one pool."""
    (pool,) = parse(with_pool(f"health: {text}")).pools.values()
    return pool.health


@pytest.mark.parametrize("word", ["off", "'off'", "false", "no"])
def test_probes_may_be_off(word: str) -> None:
    """Off is None, so nobody probes by accident."""
    assert health_of(word) is None


@pytest.mark.parametrize("kind", HealthType)
def test_a_type_alone_is_a_check(kind: HealthType) -> None:
    """It has every default."""
    health = health_of(str(kind))
    assert health == health_of(f"{{type: {kind}}}")
    assert health is not None
    assert health.type is kind
    assert (health.every, health.timeout, health.rise, health.fall) == (5.0, 2.0, 2, 3)


def test_a_page_may_be_asked_for() -> None:
    """Over TLS, unless told otherwise; whatever leads somewhere means health."""
    health = health_of("http")
    assert isinstance(health, HttpHealthSettings)
    assert (health.path, health.status, health.tls) == ("/", range(200, 400), True)
    health = health_of("{type: http, path: '/x?y=%20', status: 204, tls: false}")
    assert isinstance(health, HttpHealthSettings)
    assert (health.path, health.status, health.tls) == ("/x?y=%20", range(204, 205), False)


def test_only_pages_have_paths() -> None:
    """Other checks have no such settings."""
    assert not isinstance(health_of("tls"), HttpHealthSettings)


def test_every_setting_is_read() -> None:
    """Bounds are included."""
    health = health_of("{type: tls, every: 1h, timeout: 30s, rise: 10, fall: 1}")
    assert health is not None
    assert (health.every, health.timeout, health.rise, health.fall) == (3600.0, 30.0, 10, 1)


def test_a_probe_that_is_asked_often_ends_soon() -> None:
    """Who says only `every` need not think of the timeout."""
    health = health_of("{type: tcp, every: 1s}")
    assert health is not None
    assert health.timeout == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "tsl",
            "6:13: pools.app.health: found 'tsl', expected tcp, tls or http (did you mean tls?)",
        ),
        ("on", "found true, expected tcp, tls or http, a mapping {type, every, …}, or off"),
        ("[tcp]", "found a list, expected tcp, tls or http, a mapping"),
        ("~", "found nothing, expected tcp"),
        ("5", "found 5, expected tcp"),
        ("{}", "6:13: pools.app.health.type: is missing"),
        ("{every: 5s}", "6:13: pools.app.health.type: is missing"),
        ("{type: off}", "6:20: pools.app.health.type: found false, expected tcp, tls or http"),
        (
            "{type: tcp, every: 999ms}",
            "6:32: pools.app.health.every: found '999ms', expected a dur",
        ),
        ("{type: tcp, every: 5}", "did you mean 5s?"),
        ("{type: tcp, every: 1h, timeout: 31s}", "expected a duration from 100ms to 30s"),
        ("{type: tcp, rise: 0}", "health.rise: found 0, expected a whole number from 1 to 10"),
        ("{type: tcp, fall: 11}", "health.fall: found 11, expected a whole number from 1 to 10"),
        ("{type: tls, path: /}", "6:25: pools.app.health.path: only a probe of type http has this"),
        ("{type: tcp, status: 200}", "health.status: only a probe of type http has this key"),
        ("{type: tls, tls: true}", "health.tls: only a probe of type http has this key"),
        ("{type: http, path: x}", "6:32: pools.app.health.path: found 'x', expected a path that"),
        (
            "{type: http, path: /a b}",
            "expected a path that begins with /, such as /healthz, at most",
        ),
        ("{type: http, path: '/#a'}", "expected a path that begins with /"),
        ("{type: http, status: 99}", "found 99, expected one or two status codes from 100 to 599"),
        ("{type: http, tls: x}", "health.tls: found 'x', expected true or false"),
        ("{type: http, pth: /}", "6:26: pools.app.health.pth: unknown key, expected type, every"),
        ("{type: http, pth: /}", "(did you mean path?)"),
    ],
)
def test_a_check_has_a_form(text: str, said: str) -> None:
    """What does not fit is refused where it stands, with what would."""
    assert said in messages_of(with_pool(f"health: {text}"))


@pytest.mark.parametrize("text", ["tsl", "{type: tcp, every: x}", "{type: http, every: 1d}"])
def test_a_mistake_is_one(text: str) -> None:
    """A timeout that follows from it is no second one."""
    (mistake,) = mistakes_of(with_pool(f"health: {text}"))
    assert mistake.line == 6


@pytest.mark.parametrize(
    ("found", "codes"),
    [("200-399", range(200, 400)), (204, range(204, 205)), ("100-599", range(100, 600))],
)
def test_status_codes_are_one_or_a_range(found: object, codes: range) -> None:
    """Both ends are included."""
    assert read_statuses(found) == codes


@pytest.mark.parametrize(
    "found", ["399-200", "200-", "-399", "2xx", "200-600", 600, 0, True, "", (), 200.0, "200 - 299"]
)
def test_other_status_codes_are_refused(found: object) -> None:
    """What names no code, or none in order."""
    with pytest.raises(BadValueError, match="expected one or two status codes from 100 to 599"):
        read_statuses(found)
