"""The JSON schema that editors read."""

import json
import re
from pathlib import Path
from typing import TypedDict

import pytest
import yaml

import l4proxy.config
from l4proxy.config import effective, json_schema
from l4proxy.config.schema import DIALECT, schema_text
from tests.l4proxy.config.texts import LEAST, parse, with_pool

SHIPPED = Path(l4proxy.config.__file__).with_name("schema.json")
EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"

Schema = TypedDict(
    "Schema",
    {
        "$ref": str,
        "anyOf": list["Schema"],
        "enum": list[object],
        "type": str,
        "properties": dict[str, "Schema"],
        "patternProperties": dict[str, "Schema"],
        "additionalProperties": "bool | Schema",
        "required": list[str],
        "items": "Schema",
        "minItems": int,
        "pattern": str,
        "minimum": int,
        "maximum": int,
        "exclusiveMinimum": int,
    },
    total=False,
)

SCALED = (
    "{min: 2, forecast: off, sessions: {free: 3, mark: 2}, park: off, drain_timeout: 1h, "
    "grow: {backends: 2}, schedules: [{starts: '0 8 * * *', lasts: 1h, min: 3}]}"
)
SCHEMA: Schema = json.loads(schema_text())
DEFINITIONS: dict[str, Schema] = json.loads(schema_text())["$defs"]


def fits(value: object, schema: Schema) -> bool:
    """Whether a value fits a schema, as far as the keywords go that ours has."""
    if "$ref" in schema and not fits(value, DEFINITIONS[schema["$ref"].rpartition("/")[2]]):
        return False
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if "enum" in schema and not any(value is one or value == one for one in schema["enum"]):
        return False
    return "type" not in schema or fits_type(value, schema)


def fits_type(value: object, schema: Schema) -> bool:
    """Whether a value is of the type that a schema says."""
    match schema["type"], value:
        case "object", dict():
            return fits_object(value, schema)
        case "array", list():
            items = [fits(item, schema["items"]) for item in value]
            return all(items) and len(items) >= schema.get("minItems", 0)
        case "string", str():
            return re.search(schema.get("pattern", ""), value) is not None
        case ("boolean", bool()):
            return True
        case "number", int() | float() if not isinstance(value, bool):
            return value > schema["exclusiveMinimum"]
        case "integer", int() if not isinstance(value, bool):
            return schema["minimum"] <= value <= schema["maximum"]
        case _:
            return False


def fits_object(values: dict[str, object], schema: Schema) -> bool:
    """Whether a mapping has the keys that it must have, and only what it may have."""
    return set(schema.get("required", ())) <= set(values) and all(
        fits_key(key, value, schema) for key, value in values.items()
    )


def fits_key(key: str, value: object, schema: Schema) -> bool:
    """Whether one key of a mapping is known and its value fits."""
    if key in schema.get("properties", {}):
        return fits(value, schema["properties"][key])
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return fits(value, inner)
    rest = schema.get("additionalProperties", True)
    return rest if isinstance(rest, bool) else fits(value, rest)


def test_the_shipped_schema_is_up_to_date() -> None:
    """What editors read describes the models of this version.

    To renew it: `print(l4proxy.config.schema.schema_text(), end="")` into `schema.json`.
    """
    assert SHIPPED.read_text(encoding="utf-8") == schema_text()


def test_the_schema_says_what_it_is() -> None:
    """An editor finds the dialect and a title."""
    assert json_schema()["$schema"] == DIALECT
    assert json_schema()["title"] == "The configuration of l4proxy"


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.read_text(encoding="utf-8"),
        LEAST,
        effective(parse(LEAST)),
        effective(parse(EXAMPLE.read_text(encoding="utf-8"))),
        with_pool("sticky: off\nhealth: 'off'"),
        with_pool("health: off\npassive_health: off\nproxy_protocol: off"),
        with_pool("health: tls\npassive_health: 'on'\nproxy_protocol: v2\nsource: [10.0.0.5]"),
        with_pool("health: {type: http, path: /x, status: 204}"),
        with_pool("health: {type: tcp, every: 1m}\nserver_name: a.b"),
        with_pool("attestation: off"),
        with_pool("attestation: {policy: a.yaml, mode: observe, revoked: ['chip:00112233']}"),
        with_pool(f"capacity: {{sessions_per_backend: 9}}\nscaling: {SCALED}"),
        with_pool("telemetry: {url: 'http://{host}:1/m', metrics: {a: b}}\nbalance: load"),
        LEAST.replace("[127.0.0.1:8443]", "[{address: '127.0.0.1:1', trusted: []}]"),
        LEAST.replace("10.0.0.1:443", "{dns: {name: a.b, port: 1, resolver: 10.0.0.2}, weight: 2}"),
        LEAST.replace("10.0.0.1:443", "{address: 'unix:/a', proxy_protocol: v1}"),
        f"{LEAST}admin: off\nlimits: {{per_client: off}}\naccess_log: off\n",
        f"{LEAST}admin: {{address: off, socket: /run/a}}\naccess_log: stdout\n",
    ],
)
def test_what_loads_fits_the_schema(text: str) -> None:
    """An editor underlines nothing in a configuration that works."""
    parse(text)
    assert fits(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "workers: 2",
        f"{LEAST}worker: 2\n",
        f"{LEAST}workers: 65\n",
        f"{LEAST}limits: {{hello_timeout: 5}}\n",
        f"{LEAST}limits: {{hello_bytes: 64kB}}\n",
        f"{LEAST}limits: {{buffers: off}}\n",
        f"{LEAST}log_clients: off\n",
        with_pool("health: {type: tls, path: /}"),
        with_pool("health: {every: 5s}"),
        with_pool("health: udp"),
        with_pool("proxy_protocol: v3"),
        LEAST.replace("10.0.0.1:443", "{dns: {name: a.b}}"),
        LEAST.replace("10.0.0.1:443", "{dns: {name: a.b, port: 1}, address: '10.0.0.1:443'}"),
        f"{LEAST}refusal: alerts\n",
        with_pool("attestation: {every: 5m}"),
        with_pool("drain: off"),
        with_pool("balance: roundrobin"),
        with_pool("scaling: {mni: 2}"),
        with_pool("scaling: {custom: {queue: {metric: queue, target: 0}}}"),
        with_pool("scaling: {forecast: on}"),
        with_pool("telemetry: http"),
        LEAST.replace("{app.example.com: app}", "{app.example.com: 5}"),
        LEAST.replace("{app.example.com: app}", "{app.example.com: {pool: app, alpn: ~}}"),
        LEAST.replace("[10.0.0.1:443]", "[]"),
    ],
)
def test_common_mistakes_do_not_fit(text: str) -> None:
    """An editor underlines what the check would refuse."""
    assert not fits(yaml.safe_load(text), SCHEMA)


def test_every_setting_is_described() -> None:
    """An editor has a sentence for every key."""
    described = [
        (name, key)
        for name, section in DEFINITIONS.items()
        for shape in (*section.get("anyOf", ()), section)
        for key, setting in shape.get("properties", {}).items()
        if "description" not in setting and "$ref" not in setting
    ]
    assert not described
