"""KEDA's messages by protobuf's own code, from the published `externalscaler.proto`."""

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TEXT, _BOOL, _WHOLE = _Field.TYPE_STRING, _Field.TYPE_BOOL, _Field.TYPE_INT64
_DOUBLE, _PART = _Field.TYPE_DOUBLE, _Field.TYPE_MESSAGE
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED

# Message: its fields in the order of their numbers, each with a type, or the message that it holds.
_TABLE: dict[str, list[tuple[str, int, int, str]]] = {
    "ScaledObjectRef": [
        ("name", _TEXT, _ONE, ""),
        ("namespace", _TEXT, _ONE, ""),
        ("scalerMetadata", _PART, _MANY, "ScaledObjectRef.ScalerMetadataEntry"),
    ],
    "IsActiveResponse": [("result", _BOOL, _ONE, "")],
    "GetMetricSpecResponse": [("metricSpecs", _PART, _MANY, "MetricSpec")],
    "MetricSpec": [
        ("metricName", _TEXT, _ONE, ""),
        ("targetSize", _WHOLE, _ONE, ""),
        ("targetSizeFloat", _DOUBLE, _ONE, ""),
    ],
    "GetMetricsRequest": [
        ("scaledObjectRef", _PART, _ONE, "ScaledObjectRef"),
        ("metricName", _TEXT, _ONE, ""),
    ],
    "GetMetricsResponse": [("metricValues", _PART, _MANY, "MetricValue")],
    "MetricValue": [
        ("metricName", _TEXT, _ONE, ""),
        ("metricValue", _WHOLE, _ONE, ""),
        ("metricValueFloat", _DOUBLE, _ONE, ""),
    ],
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="externalscaler.proto", package="externalscaler", syntax="proto3"
    )
    for name, fields in _TABLE.items():
        added = file.message_type.add(name=name)
        for number, (field, kind, label, part) in enumerate(fields, 1):
            of = f".externalscaler.{part}" if part else None
            added.field.add(name=field, number=number, type=kind, label=label, type_name=of)
    entry = file.message_type[0].nested_type.add(name="ScalerMetadataEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_TEXT, label=_ONE)
    entry.field.add(name="value", number=2, type=_TEXT, label=_ONE)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()


def kind(name: str) -> type[message.Message]:
    """The class of a message."""
    found = _POOL.FindMessageTypeByName(f"externalscaler.{name}")
    return message_factory.GetMessageClass(found)


def reference(**metadata: str) -> bytes:
    """A ScaledObjectRef, as KEDA sends it."""
    made = kind("ScaledObjectRef")(name="enclaves", namespace="default", scalerMetadata=metadata)
    return made.SerializeToString()


def metrics_request(**metadata: str) -> bytes:
    """A GetMetricsRequest."""
    asking = kind("ScaledObjectRef").FromString(reference(**metadata))
    made = kind("GetMetricsRequest")(scaledObjectRef=asking, metricName="s0-desired-backends")
    return made.SerializeToString()
