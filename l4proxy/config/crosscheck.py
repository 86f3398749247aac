"""What no value can tell alone: names that nobody defined, things said twice."""

from collections.abc import Hashable, Iterator
from ipaddress import ip_address

from l4proxy.config.addresses import parse_admin_address, parse_listener_address
from l4proxy.config.document import Document
from l4proxy.config.mistakes import Mistake, describe, did_you_mean
from l4proxy.config.model import AdminSettings
from l4proxy.config.names import read_pattern, read_pool_name
from l4proxy.config.outline import Entry, Outline, backends_of, readable
from l4proxy.config.poolcheck import pool_mistakes
from l4proxy.config.repeats import repeats
from l4proxy.config.scalars import OFF, REFUSE
from l4proxy.config.shorthand import DEFAULT_ROUTE
from l4proxy.limits import MAX_BACKENDS
from routing import Address


def cross_mistakes(document: Document) -> Iterator[Mistake]:
    """Yield every mistake that lies between values."""
    outline = Outline.of(document)
    yield from _listeners(document, outline)
    for listener in outline.listeners:
        yield from _trust(document, listener)
    yield from _admin(document, outline)
    yield from _routes(document, outline)
    yield from _destinations(document, outline)
    pools = outline.pools or {}
    for pool in pools.values():
        yield from pool_mistakes(document, outline, pool)
    total = sum(len(backends_of(pool)) for pool in pools.values())
    if total > MAX_BACKENDS:
        message = f"found {total} backends, expected at most {MAX_BACKENDS} in all pools together"
        yield document.mistake(("pools",), message)


def _listeners(document: Document, outline: Outline) -> Iterator[Mistake]:
    read = [
        (item.at("address"), item.read("address", parse_listener_address))
        for item in outline.listeners
    ]
    # The kernel gives each listener on port 0 a port of its own.
    bound = [(path, address) for path, address in read if address and address.port]
    yield from repeats(document, bound, "another listener has this address")
    admin = _admin_address(outline.admin)
    for path, address in bound:
        if admin is not None and _covers(address, admin):
            yield document.mistake(path, f"the admin API has this address ({admin})")


def _trust(document: Document, listener: Entry) -> Iterator[Mistake]:
    """Yield PROXY headers that nobody may send, and senders of headers that nobody reads."""
    asked = listener.values.get("proxy_protocol", False)
    trusted = listener.values.get("trusted", ())
    if asked is True and trusted == ():
        message = "nobody may send a header: name who may, such as `trusted: [10.0.0.0/8]`"
        yield document.mistake(listener.at("proxy_protocol"), message)
    if asked is False and isinstance(trusted, tuple) and trusted:
        message = "only PROXY headers need trust: add `proxy_protocol: true`, or leave this out"
        yield document.mistake(listener.at("trusted"), message, at_key=True)


def _admin(document: Document, outline: Outline) -> Iterator[Mistake]:
    """Yield an admin API that has no way in."""
    if not isinstance(outline.admin, dict) or not _is_off(outline.admin.get("address")):
        return
    if "socket" not in outline.admin or _is_off(outline.admin["socket"]):
        message = "leaves no way in: add `socket: /path`, or say `admin: off`"
        yield document.mistake(("admin", "address"), message)


def _is_off(found: object) -> bool:
    return found is False or found == OFF


def _admin_address(admin: object) -> Address | None:
    if admin is None:
        return AdminSettings().address
    if not isinstance(admin, dict):
        return None
    return readable(parse_admin_address, admin.get("address", str(AdminSettings().address)))


def _covers(listener: Address, other: Address) -> bool:
    """Tell whether a listener leaves no room for another socket: it may bind every address."""
    ip = ip_address(listener.host)
    everywhere = ip.is_unspecified and ip.version == ip_address(other.host).version
    return listener.port == other.port and (everywhere or listener.host == other.host)


def _routes(document: Document, outline: Outline) -> Iterator[Mistake]:
    """Yield patterns that stand twice, in whatever spelling, and rules that contradict."""
    read = {key: readable(read_pattern, key) for key in outline.patterns}
    patterns = [(("routes", key), pattern) for key, pattern in read.items()]
    yield from repeats(document, patterns, "another route has this pattern", at_key=True)
    for key, rules in outline.patterns.items():
        pattern = read[key]
        for rule in rules:
            if rule.values.get("instance_name") is True and pattern and not pattern.wildcard:
                message = 'an instance name stands before a pattern that begins with "*."'
                yield document.mistake(rule.at("instance_name"), message)
        protocols = [(rule.path, _protocols(rule)) for rule in rules]
        yield from repeats(document, protocols, "another rule of this pattern has the same alpn")


def _protocols(rule: Entry) -> Hashable | None:
    """Return what tells rules of one pattern apart; None if it cannot be read."""
    alpn = rule.values.get("alpn", ())
    if "pool" not in rule.values or not isinstance(alpn, tuple):
        return None
    if not all(isinstance(name, str) for name in alpn):
        return None
    return frozenset(alpn)


def _destinations(document: Document, outline: Outline) -> Iterator[Mistake]:
    """Yield pools that routes name and nobody defines, and routes that lead nowhere."""
    default = REFUSE if outline.default is None else outline.default
    if outline.routed and not outline.patterns and default == REFUSE:
        message = "every connection would be refused: there is neither a route nor a default pool"
        yield document.mistake(("routes",), message)
    named = [
        (rule.at("pool"), rule.read("pool", read_pool_name))
        for rules in outline.patterns.values()
        for rule in rules
    ]
    named.append((("routes", DEFAULT_ROUTE), readable(read_pool_name, default)))
    pools = outline.pools
    for path, pool in named:
        if pool and pools is not None and pool not in pools:
            hint = did_you_mean(pool, pools)
            tail = f" ({hint})" if hint else ""
            yield document.mistake(path, f"there is no pool {describe(pool)}{tail}")
