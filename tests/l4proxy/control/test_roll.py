"""The roll: who exists in the pools of one configuration, over reloads, and what each is sent."""

import pytest

from l4proxy.config import parse_config
from l4proxy.control.found import Found
from l4proxy.control.membership import AlreadyThere, Member, Source, SourceName, TooMany, Unknown
from l4proxy.control.roll import Roll, UnknownPool
from l4proxy.limits import MAX_BACKENDS
from l4proxy.snapshot import ProxyVersion
from routing import Address, BackendName, PoolName

APP, API = PoolName("app"), PoolName("api")
FOUND = SourceName("enclaves.internal:8443")
OTHER = SourceName("enclaves.internal:8443@10.0.0.2:53+loopback")
TEXT = """
listeners: ["127.0.0.1:0"]
routes: {app.example.com: app, api.example.com: api}
pools:
  app:
    proxy_protocol: v2
    backends:
      - {address: "10.0.0.1:1", name: a, weight: 3}
      - {address: "10.0.0.2:1", name: b, proxy_protocol: v1}
      - {address: "10.0.0.3:1", name: c, proxy_protocol: off}
      - {dns: {name: enclaves.internal, port: 8443}, weight: 5, proxy_protocol: v1}
      - dns: {name: enclaves.internal, port: 8443, resolver: 10.0.0.2, allow_loopback: true}
  api: ["10.0.1.1:1"]
"""


def roll(text: str = TEXT) -> Roll:
    """The roll of a configuration."""
    return Roll(parse_config(text, "roll"))


def at(number: int) -> Address:
    """An address that DNS may find."""
    return Address(f"10.0.9.{number}", 8443)


def seen(*addresses: Address) -> list[Found]:
    """What a source tells that knows addresses alone."""
    return [Found(address) for address in addresses]


def names(found: Roll, pool: PoolName = APP) -> list[str]:
    """Who exists."""
    return [member.name for member in found.members(pool)]


def test_the_configuration_is_on_the_roll() -> None:
    """Every pool, with its backends and their weights, and every source."""
    found = roll()
    assert list(found) == [APP, API]
    assert [(each.name, each.weight) for each in found.members(APP)] == [
        ("a", 3),
        ("b", 1),
        ("c", 1),
    ]
    assert list(found.sources()) == [(APP, FOUND), (APP, OTHER)]


def test_what_is_found_has_the_weight_and_header_of_its_entry() -> None:
    """Of two entries that found an address the first speaks; the pool's header stands in."""
    found = roll()
    found.discovered(APP, OTHER, seen(at(1), at(2)))
    found.discovered(APP, FOUND, seen(at(1)))
    first, second = found.members(APP)[3:]
    assert [(each.address, each.weight) for each in (first, second)] == [(at(1), 5), (at(2), 1)]
    headers = found.headers(APP)
    assert (headers[first.name], headers[second.name]) == (ProxyVersion.V1, ProxyVersion.V2)


def test_headers_are_the_backends_own_or_their_pools() -> None:
    """`off` at a backend means that it gets none."""
    assert roll().headers(APP) == {"a": ProxyVersion.V2, "b": ProxyVersion.V1}
    assert roll().headers(API) == {}


def test_a_backend_put_by_the_api_is_spoken_to_as_before() -> None:
    """The header is of the address: another weight or name does not change what it expects."""
    found = roll()
    found.put(APP, Member(BackendName("new"), Address("10.0.0.3", 1)))
    found.put(APP, Member(BackendName("other"), Address("10.0.0.9", 1)))
    headers = found.headers(APP)
    assert "new" not in headers
    assert headers[BackendName("other")] is ProxyVersion.V2


def test_put_and_deleted_in_one_pool() -> None:
    """Other pools are not touched, and the same again changes nothing."""
    found = roll()
    member = Member(BackendName("new"), Address("10.0.0.9", 1))
    for _ in range(2):
        assert found.put(API, member).source is Source.API
    assert names(found, API) == ["new", "10.0.1.1:1"]
    assert found.delete(API, member.name).address == member.address
    assert names(found, API) == ["10.0.1.1:1"]
    assert names(found) == ["a", "b", "c"]


def test_what_cannot_be_is_said() -> None:
    """A pool or a backend that is not there, a name that is taken."""
    found = roll()
    with pytest.raises(UnknownPool, match=r"found no pool 'ap', expected one of \['api', 'app'\]"):
        found.put(PoolName("ap"), Member(BackendName("new"), at(1)))
    with pytest.raises(UnknownPool):
        found.delete(PoolName("ap"), BackendName("a"))
    with pytest.raises(Unknown):
        found.delete(APP, BackendName("z"))
    with pytest.raises(AlreadyThere):
        found.put(APP, Member(BackendName("a"), at(1)))


def test_a_reload_keeps_what_was_put_and_found() -> None:
    """Of pools and sources that are still there; a source that may find others begins anew."""
    old = roll()
    old.put(APP, Member(BackendName("new"), at(9)))
    old.put(API, Member(BackendName("lost"), at(9)))
    old.discovered(APP, FOUND, seen(at(1)))
    old.discovered(APP, OTHER, seen(at(2)))
    text = TEXT.replace("  api: [", "  # [").replace(", api.example.com: api", "")
    new = roll(text.replace("allow_loopback: true", "allow_loopback: false"))
    new.inherit(old)
    assert list(new) == [APP]
    assert names(new) == ["new", "a", "b", "c", str(at(1))]


def test_a_reload_without_room_leaves_the_old_roll() -> None:
    """Places are those of all pools together."""
    old = roll()
    old.put(API, Member(BackendName("new"), at(9)))
    ports = ", ".join(f'"10.1.0.1:{port}"' for port in range(1, MAX_BACKENDS + 1))
    text = f"""
listeners: ["127.0.0.1:0"]
routes: {{api.example.com: api}}
pools: {{api: [{ports}]}}
"""
    new = roll(text)
    with pytest.raises(TooMany):
        new.inherit(old)
    assert names(old, API) == ["new", "10.0.1.1:1"]


def test_what_finds_no_place_is_told() -> None:
    """Addresses found beyond the places of all pools are counted for their pool."""
    ports = ", ".join(f'"10.1.0.1:{port}"' for port in range(1, MAX_BACKENDS - 4))
    found = roll(TEXT.replace('api: ["10.0.1.1:1"]', f"api: [{ports}]"))
    found.discovered(APP, FOUND, seen(at(1), at(2), at(3), at(4)))
    assert names(found)[3:] == [str(at(1)), str(at(2))]
    assert (found.left_out(APP), found.left_out(API)) == (2, 0)


def test_endpoints_of_kubernetes_are_a_source_like_any_other() -> None:
    """What is asked of which API tells it from others; its members say who found them."""
    more = (
        "      - {kubernetes: {service: default/enclaves, port: https}, weight: 7}\n"
        "      - kubernetes: {service: enclaves, port: 8443, kubeconfig: /k,"
        " allow_loopback: true}\n"
    )
    found = roll(TEXT.replace("  api: [", f"{more}  api: ["))
    first = SourceName("kubernetes:default/enclaves:https")
    second = SourceName("kubernetes:enclaves:8443@/k+loopback")
    assert list(found.sources())[2:] == [(APP, first), (APP, second)]
    found.discovered(APP, first, [Found(at(1), BackendName("pod-a"))])
    member = found.members(APP)[-1]
    assert (member.name, member.weight, member.source) == ("pod-a", 7, Source.KUBERNETES)
