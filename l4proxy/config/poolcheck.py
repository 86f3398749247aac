"""What no value of a pool can tell alone."""

from collections.abc import Hashable, Iterator
from ipaddress import ip_address
from typing import Final

from l4proxy.config.addresses import parse_backend_address, parse_source
from l4proxy.config.backends import DnsSettings, backend_server_id, dns_port, dns_resolver
from l4proxy.config.document import Document, Path
from l4proxy.config.health import DEFAULT_EVERY, HealthType, probe_every, probe_timeout
from l4proxy.config.kubernetes import KubernetesSettings, read_service, read_service_port
from l4proxy.config.mistakes import Mistake, describe
from l4proxy.config.names import (
    default_backend_name,
    read_backend_name,
    read_host_name,
    read_pattern,
    read_pool_name,
)
from l4proxy.config.outline import Entry, Outline, backends_of, readable
from l4proxy.config.paths import parse_file_path
from l4proxy.config.repeats import repeats
from l4proxy.config.shorthand import health_written_out, none_when_off
from l4proxy.config.units import format_duration
from routing import BackendName

# What probes of these types say something to: a server name, in TLS or in HTTP.
_NAMED: Final = (HealthType.TLS, HealthType.HTTP)


def pool_mistakes(document: Document, outline: Outline, pool: Entry) -> Iterator[Mistake]:
    """Yield every mistake that lies between values of a pool, or between it and its routes."""
    yield from _backends(document, pool)
    yield from _discovery(document, pool)
    yield from _server_ids(document, pool)
    yield from _external_psks(document, pool)
    yield from _health(document, outline, pool)
    yield from _source(document, pool)


def _backends(document: Document, pool: Entry) -> Iterator[Mistake]:
    """Yield addresses and names that stand twice in one pool."""
    addresses = [
        (backend.at("address"), backend.read("address", parse_backend_address))
        for backend in backends_of(pool)
    ]
    yield from repeats(document, addresses, "another backend of this pool has this address")
    named = [backend for backend in backends_of(pool) if "name" in backend.values]
    # A backend without a name is called by its address; those come first, so that a name that
    # repeats one is reported where somebody chose it.
    own = {backend.at("address") for backend in named}
    unnamed = {at: path for path, at in addresses if at and path not in own}
    names: list[tuple[Path, BackendName | None]] = [
        (path, default_backend_name(at)) for at, path in unnamed.items()
    ]
    for path, name in names:
        if readable(read_backend_name, name) is None:
            message = f"{describe(name)} cannot be its name: write {{address: …, name: …}}"
            yield document.mistake(path, message)
    names += [(entry.at("name"), entry.read("name", read_backend_name)) for entry in named]
    yield from repeats(document, names, "another backend of this pool has the name {}")


def _server_ids(document: Document, pool: Entry) -> Iterator[Mistake]:
    """Yield numbers that two backends' ticket names would share."""
    ids = [
        (backend.at("server_id"), backend.read("server_id", backend_server_id.read))
        for backend in backends_of(pool)
    ]
    yield from repeats(document, ids, "another backend of this pool has this server id")


def _external_psks(document: Document, pool: Entry) -> Iterator[Mistake]:
    """Yield identities that lead to a backend that nobody names."""
    sticky = pool.below("sticky", none_when_off)
    psks = sticky.values.get("external_psks")
    backends = backends_of(pool)
    if not isinstance(psks, dict) or any("dns" in backend.values for backend in backends):
        return
    named = {_name_of(backend) for backend in backends}
    for key, value in psks.items():
        name = readable(read_backend_name, value)
        if name is not None and None not in named and name not in named:
            path = (*sticky.at("external_psks"), key)
            yield document.mistake(path, f"this pool has no backend {describe(name)}")


def _name_of(backend: Entry) -> BackendName | None:
    if "name" in backend.values:
        return backend.read("name", read_backend_name)
    address = backend.read("address", parse_backend_address)
    return None if address is None else default_backend_name(address)


def _discovery(document: Document, pool: Entry) -> Iterator[Mistake]:
    """Yield names that DNS would be asked for twice, and Services that are there twice."""
    asked = [
        (backend.at("dns"), _question(backend.below("dns", DnsSettings.written_out)))
        for backend in backends_of(pool)
        if "dns" in backend.values
    ]
    yield from repeats(document, asked, "this pool asks DNS for this name and port")
    services = [
        (each.at("kubernetes"), _service(each.below("kubernetes", KubernetesSettings.written_out)))
        for each in backends_of(pool)
        if "kubernetes" in each.values
    ]
    yield from repeats(document, services, "this pool has this Service and port")
    others = [
        (each.at("discovery"), repr(each.values["discovery"]))
        for each in backends_of(pool)
        if "discovery" in each.values
    ]
    yield from repeats(document, others, "this pool has this source")


def _question(dns: Entry) -> Hashable | None:
    """Return what is asked of whom; None if it cannot be read."""
    name, port = dns.read("name", read_host_name), dns.read("port", dns_port.read)
    if name is None or port is None:
        return None
    return name, port, dns.read("resolver", dns_resolver.read)


def _service(kubernetes: Entry) -> Hashable | None:
    """Return whose endpoints are asked of which API; None if it cannot be read."""
    service = kubernetes.read("service", read_service)
    port = kubernetes.read("port", read_service_port)
    if service is None or port is None:
        return None
    return service, port, kubernetes.read("kubeconfig", parse_file_path)


def _health(document: Document, outline: Outline, pool: Entry) -> Iterator[Mistake]:
    """Yield probes that would not end before the next begins, or that have no name to say."""
    health = pool.below("health", health_written_out)
    timeout = health.read("timeout", probe_timeout.read)
    every = health.read("every", probe_every.read) if "every" in health.values else DEFAULT_EVERY
    if timeout is not None and every is not None and timeout > every:
        message = f"found {format_duration(timeout)}, expected at most `every`, "
        yield document.mistake(health.at("timeout"), f"{message}{format_duration(every)}")
    nameless = "server_name" not in pool.values and outline.routed
    if nameless and health.values.get("type") in _NAMED and not _has_exact_route(outline, pool):
        message = (
            "a probe of this type says a server name, and no exact route leads to this pool: "
            "add `server_name: app.example.com`, or say tcp"
        )
        yield document.mistake(health.at("type"), message)


def _has_exact_route(outline: Outline, pool: Entry) -> bool:
    """Tell whether a pattern without wildcard leads to a pool; one that is broken may."""
    for key, rules in outline.patterns.items():
        pattern = readable(read_pattern, key)
        pools = [rule.read("pool", read_pool_name) for rule in rules]
        if pool.path[-1] in pools and not (pattern and pattern.wildcard):
            return True
    return False


def _source(document: Document, pool: Entry) -> Iterator[Mistake]:
    """Yield local addresses that dial nothing, and backends that none of them can dial."""
    items = pool.values.get("source")
    found = enumerate(items if isinstance(items, tuple) else ())
    sources = [((*pool.at("source"), n), readable(parse_source, item)) for n, item in found]
    yield from repeats(document, sources, "this pool has this source")
    given = {path: ip.version for path, ip in sources if ip}
    if not given or len(given) < len(sources):
        return
    families = [(backend.at("address"), _family(backend)) for backend in backends_of(pool)]
    for path, version in families:
        if version and version not in given.values():
            message = f"cannot be dialled: the pool's `source` has no IPv{version} address"
            yield document.mistake(path, message)
    needed = {version for _, version in families}
    for path, version in given.items():
        if None not in needed and version not in needed:
            message = f"dials nothing: no backend of this pool has an IPv{version} address"
            yield document.mistake(path, message)


def _family(backend: Entry) -> int | None:
    """Return the IP version of a backend, 0 for what has none; None when it is not known."""
    address = backend.read("address", parse_backend_address)
    if address is None:
        return None
    return ip_address(address.host).version if address.is_ip else 0
