"""The actuator `keda`, asked by gRPC as KEDA asks."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc import StatusCode, aio
from pydantic import ValidationError

from l4proxy.actuators import Actuator, ActuatorError, keda
from l4proxy.actuators.board import OrderBoard, OrderedNumber
from l4proxy.actuators.keda import MAX_MESSAGE_BYTES, Keda, KedaSettings, Scaler, Unanswered
from l4proxy.conformance import check_actuator_kind
from routing import PoolName
from tests.e2e.certificates import Authority
from tests.l4proxy.actuators.keda_messages import kind, metrics_request, reference
from tests.l4proxy.actuators.orders import order, read
from tests.ports import free_port

PATIENCE = 20.0
APP, API = PoolName("app"), PoolName("api")
METRIC = "desired-backends"
# The name in the certificate; and a client that was here first tries again soon.
OPTIONS = [("grpc.default_authority", "keda"), ("grpc.initial_reconnect_backoff_ms", 20)]

# RFC 9113: the preface and empty settings; then a call without its message.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HEADERS = {
    b":path": b"/externalscaler.ExternalScaler/IsActive",
    b":authority": b"keda",
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}
_FIELDS = b"\x83\x86" + b"".join(
    bytes((0, len(name))) + name + bytes((len(value),)) + value for name, value in _HEADERS.items()
)
CALL = bytes((0, 0, len(_FIELDS), 1, 4, 0, 0, 0, 1)) + _FIELDS
OURS = keda._OPTIONS  # noqa: SLF001 - as they are in force


def settings(folder: Path, more: str = "") -> KedaSettings:
    """Settings that listen below a folder of the test."""
    return read(KedaSettings, f"listen: unix:{folder}/keda.sock\n{more}")


@contextlib.asynccontextmanager
async def running(*actuators: Actuator) -> AsyncIterator[None]:
    """Actuators that serve meanwhile."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(actuator.run()) for actuator in actuators]
        yield
        for task in serving:
            task.cancel()


class Asks:
    """The calls that KEDA makes, and what protobuf reads of their answers."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel

    async def call(self, method: str, request: bytes, answer: str) -> object:
        """One question and its answer."""
        asked: aio.UnaryUnaryMultiCallable[bytes, Message] = self._channel.unary_unary(
            f"/externalscaler.ExternalScaler/{method}",
            response_deserializer=kind(answer).FromString,
        )
        return MessageToDict(await asked(request, timeout=PATIENCE))

    async def refusal(self, method: str, request: bytes) -> tuple[StatusCode, str]:
        """The status of a question that gets no answer."""
        with pytest.raises(aio.AioRpcError) as caught:
            await self.call(method, request, "IsActiveResponse")
        return caught.value.code(), caught.value.details() or ""

    async def stream(self, request: bytes) -> AsyncIterator[object]:
        """Whether it is active, again and again."""
        asked: aio.UnaryStreamMultiCallable[bytes, Message] = self._channel.unary_stream(
            "/externalscaler.ExternalScaler/StreamIsActive",
            response_deserializer=kind("IsActiveResponse").FromString,
        )
        async for answer in asked(request):
            yield MessageToDict(answer)


@contextlib.asynccontextmanager
async def asking(folder: Path, tls: grpc.ChannelCredentials | None = None) -> AsyncIterator[Asks]:
    """A client, connected."""
    where = f"unix:{folder}/keda.sock"
    made = (
        aio.insecure_channel(where, options=OPTIONS)
        if tls is None
        else aio.secure_channel(where, tls, options=OPTIONS)
    )
    async with made as channel:
        await channel.channel_ready()
        yield Asks(channel)


async def test_keda_is_told_the_number_of_each_pool(tmp_path: Path) -> None:
    """By the metadata of its trigger, from one listener."""
    maker = Keda()
    first, second = (maker.make(settings(tmp_path), pool) for pool in (APP, API))
    async with running(first, second), asking(tmp_path) as client:
        await first.apply(order(5))
        await second.apply(order(0))
        assert await client.call(
            "GetMetricSpec", reference(pool="app"), "GetMetricSpecResponse"
        ) == {"metricSpecs": [{"metricName": METRIC, "targetSize": "1", "targetSizeFloat": 1.0}]}
        app, api = metrics_request(pool="app"), metrics_request(pool="api")
        assert await client.call("GetMetrics", app, "GetMetricsResponse") == {
            "metricValues": [{"metricName": METRIC, "metricValue": "5", "metricValueFloat": 5.0}]
        }
        assert await client.call("GetMetrics", api, "GetMetricsResponse") == {
            "metricValues": [{"metricName": METRIC}]
        }
        active = [
            await client.call("IsActive", reference(pool=pool), "IsActiveResponse")
            for pool in ("app", "api")
        ]
        assert active == [{"result": True}, {}]


async def test_a_change_is_pushed(tmp_path: Path) -> None:
    """The present state at once, then every change of the number."""
    actuator = Keda().make(settings(tmp_path), APP)
    async with running(actuator), asking(tmp_path) as client:
        stream = client.stream(reference(pool="app"))
        heard = []
        for desired in (3, 0, 2):
            await actuator.apply(order(desired))
            heard.append(await anext(stream))
        assert heard == [{"result": True}, {}, {"result": True}]


async def test_another_question_gets_no_number(tmp_path: Path) -> None:
    """It is told what was expected; before the first order, to ask again."""
    actuator = Keda().make(settings(tmp_path), APP)
    async with running(actuator), asking(tmp_path) as client:
        for method, request in (
            ("IsActive", reference(pool="app")),
            ("GetMetrics", metrics_request(pool="app")),
        ):
            assert await client.refusal(method, request) == (
                StatusCode.UNAVAILABLE,
                "nothing is decided yet, ask again",
            )
        await actuator.apply(order(5))
        refused = [
            (await client.refusal("IsActive", request))[0]
            for request in (
                reference(pool="other"),
                reference(),
                b"\x07",
                bytes(MAX_MESSAGE_BYTES + 1),
            )
        ]
        assert refused == [
            StatusCode.NOT_FOUND,
            StatusCode.INVALID_ARGUMENT,
            StatusCode.INVALID_ARGUMENT,
            StatusCode.RESOURCE_EXHAUSTED,
        ]
        assert (await client.refusal("StreamMetricSpec", b""))[0] is StatusCode.UNIMPLEMENTED
        with pytest.raises(aio.AioRpcError, match="NOT_FOUND"):
            await anext(client.stream(reference(pool="other")))
        assert await client.call("IsActive", reference(pool="app"), "IsActiveResponse")


async def test_there_are_so_many_streams_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place becomes free when a stream ends."""
    monkeypatch.setattr(keda, "MAX_STREAMS", 1)
    board, answer = OrderBoard(), OrderedNumber()
    board.enter(APP, answer)
    answer.change(3)
    scaler = Scaler(board)
    async with contextlib.aclosing(scaler.stream(reference(pool="app"))) as first:
        assert await anext(first)
        with pytest.raises(Unanswered, match="found 1 streams, expected at most 1"):
            await anext(scaler.stream(reference(pool="app")))
    assert await anext(scaler.stream(reference(pool="app")))


async def test_there_are_so_many_connections_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is closed: whoever reaches the port cannot take every descriptor."""
    options = [(name, 1 if "connections" in name else value) for name, value in OURS]
    monkeypatch.setattr(keda, "_OPTIONS", options)
    async with running(Keda().make(settings(tmp_path), APP)), asking(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "keda.sock")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(("hurried", "sent"), [("idle", b""), ("connection_age", CALL)])
async def test_nobody_holds_a_connection_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hurried: str, sent: bytes
) -> None:
    """Neither in silence, nor with a call that never says what it asks."""
    options = [(name, 100 if hurried in name else value) for name, value in OURS]
    monkeypatch.setattr(keda, "_OPTIONS", options)
    async with running(Keda().make(settings(tmp_path), APP)):
        while "keda.sock" not in os.listdir(tmp_path):  # noqa: ASYNC110, PTH208 - nobody tells of it
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "keda.sock")
        writer.write(PREFACE + sent)
        with contextlib.suppress(ConnectionError):
            assert await reader.read()
        writer.close()


async def test_over_tls_both_sides_are_known(tmp_path: Path) -> None:
    """KEDA trusts the authority of our certificate, and shows one of its own."""
    authority = Authority(tmp_path)
    own, theirs = authority.issue("keda"), authority.issue("client")
    files = f"certificate: {own.certificate}\nkey: {own.key}\nclient_ca: {authority.root}"
    root = authority.root.read_bytes()
    known = grpc.ssl_channel_credentials(
        root, theirs.key.read_bytes(), theirs.certificate.read_bytes()
    )
    actuator = Keda().make(settings(tmp_path, files), APP)
    await actuator.apply(order(5))
    async with running(actuator):
        async with asking(tmp_path, known) as client:
            assert await client.call("IsActive", reference(pool="app"), "IsActiveResponse")
        unknown = grpc.ssl_channel_credentials(root)
        where = f"unix:{tmp_path}/keda.sock"
        async with aio.secure_channel(where, unknown, options=OPTIONS) as channel:
            code, _ = await Asks(channel).refusal("IsActive", reference(pool="app"))
            assert code is StatusCode.UNAVAILABLE


async def test_only_the_daemons_user_reaches_a_unix_socket(tmp_path: Path) -> None:
    """As everywhere else; and nothing is left of it."""
    actuator = Keda().make(settings(tmp_path), APP)
    async with running(actuator), asking(tmp_path):
        assert (tmp_path / "keda.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("listen", ["unix", "tcp"])
async def test_it_may_end_at_any_moment_and_begin_again(tmp_path: Path, listen: str) -> None:
    """The address is free at once, as when a pool is changed by a reload."""
    where = f"unix:{tmp_path}/keda.sock" if listen == "unix" else f"127.0.0.1:{free_port()}"
    maker, read_settings = Keda(), read(KedaSettings, f"listen: {where}")
    for moment in range(12):
        actuator = maker.make(read_settings, APP)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(actuator.run())
            for _ in range(moment):
                await asyncio.sleep(0.0005 if moment > 8 else 0)
            task.cancel()
    actuator = maker.make(read_settings, APP)
    await actuator.apply(order(5))
    async with running(actuator), aio.insecure_channel(where, options=OPTIONS) as channel:
        await channel.channel_ready()
        assert await Asks(channel).call("IsActive", reference(pool="app"), "IsActiveResponse")


async def test_an_address_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    """It is not ours, or there is no such folder."""
    text = f"listen: unix:{tmp_path}/missing/keda.sock"
    with pytest.raises(ActuatorError, match=r"cannot listen on unix:.*/missing/keda\.sock"):
        await Keda().make(read(KedaSettings, text), APP).run()


@pytest.mark.parametrize("name", ["certificate", "client_ca"])
def test_a_file_that_cannot_be_used_is_told_at_once(tmp_path: Path, name: str) -> None:
    """Before anybody asks."""
    own = Authority(tmp_path).issue("keda")
    (tmp_path / "empty.pem").touch()
    files = {"certificate": own.certificate, "key": own.key, name: tmp_path / "empty.pem"}
    text = "\n".join(f"{key}: {path}" for key, path in files.items())
    with pytest.raises(ActuatorError, match="the keda scaler: "):
        Keda().make(settings(tmp_path, text), APP)


def test_clients_are_asked_for_certificates_over_tls_alone(tmp_path: Path) -> None:
    """Without TLS nobody can show one."""
    with pytest.raises(ValidationError, match="client_ca without certificate"):
        settings(tmp_path, "client_ca: /etc/ca.pem")


def test_it_keeps_the_promises_of_an_actuator(tmp_path: Path) -> None:
    """As every plug-in has to."""
    check_actuator_kind(Keda(), f"listen: unix:{tmp_path}/keda.sock")
