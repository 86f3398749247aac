"""The JSON schema of the configuration, for editors. It ships as `schema.json` beside this file.

The models describe what a document means; here the shorthands are added that it may say instead.
"""

import json
from typing import Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from l4proxy.config.model import Config
from l4proxy.config.scalars import Word
from l4proxy.config.shorthand import PATTERNS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON schema that is written."""

# The keys that stand for a whole section when the section is not a mapping.
_SHORTHANDS: Final = {
    "ListenerSettings": "address",
    "BackendSettings": "address",
    "RuleSettings": "pool",
    "PoolSettings": "backends",
    "HealthSettings": "type",
}

# Keys whose absence is None in the model: a document leaves them out, and has no word for it.
_LEFT_OUT: Final = (
    ("RuleSettings", "alpn"),
    ("PoolSettings", "server_name"),
    ("BackendSettings", "proxy_protocol"),
    ("BackendSettings", "server_id"),
    ("DnsDiscoverySettings", "proxy_protocol"),
    ("KubernetesDiscoverySettings", "proxy_protocol"),
    ("PluginDiscoverySettings", "proxy_protocol"),
    ("KubernetesSettings", "kubeconfig"),
    ("MetricsSettings", "cpu"),
    ("MetricsSettings", "memory"),
    ("MetricsSettings", "requests"),
    ("ScalingSettings", "grow"),
    ("ScalingSettings", "shrink"),
    ("TelemetrySettings", "token_file"),
    ("TelemetrySettings", "client_certificate"),
    ("TelemetrySettings", "client_key"),
    ("TelemetrySettings", "ca"),
    ("TelemetrySettings", "source"),
)


def json_schema() -> dict[str, object]:
    """Return the JSON schema (draft 2020-12) of a configuration in this version."""
    # What a model writes is what a document says; what it reads, pydantic cannot know.
    schema = Config.model_json_schema(mode="serialization", schema_generator=_Generator)
    sections = schema["$defs"]
    for name, key in _LEFT_OUT:
        setting = sections[name]["properties"][key]
        setting |= setting.pop("anyOf")[0]
        del setting["default"]
    for switched in (
        schema["properties"]["admin"],
        sections["PoolSettings"]["properties"]["health"],
        sections["PoolSettings"]["properties"]["sticky"],
        sections["PoolSettings"]["properties"]["attestation"],
        sections["PoolSettings"]["properties"]["telemetry"],
        sections["PoolSettings"]["properties"]["scaling"],
        sections["ScalingSettings"]["properties"]["forecast"],
    ):
        switched["anyOf"][-1] = {"enum": ["off", False]}
    # The patterns stand beside the default, and a rule may stand without its list.
    routes = sections["RouteSettings"]
    rules = routes["properties"].pop(PATTERNS)["additionalProperties"]
    routes["additionalProperties"] = {"anyOf": [rules["items"], rules]}
    del routes["required"]
    for name, key in _SHORTHANDS.items():
        short = sections[name]["properties"][key]
        sections[name] = {"anyOf": [short, sections[name]]}
    schema["properties"]["pools"]["additionalProperties"] = False
    return {"$schema": DIALECT, **schema, "title": "The configuration of l4proxy"}


def schema_text() -> str:
    """Return the text of `schema.json`."""
    return json.dumps(json_schema(), indent=2) + "\n"


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which takes no subclass of str for a default.

    It also says that exactly one of several sections fits, which a shorthand of both does not.
    """

    def encode_default(self, dft: object) -> object:
        return str(dft) if isinstance(dft, Word) else super().encode_default(dft)

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        written = super().tagged_union_schema(schema)
        return {"anyOf": written["oneOf"]}
