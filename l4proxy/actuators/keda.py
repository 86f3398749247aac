"""The actuator `keda`: an external-push scaler that KEDA asks, by gRPC.

The metric is the number of backends that the pool is to have, with a target of 1 a replica: so the
HorizontalPodAutoscaler that KEDA makes wants as many replicas. One listener serves every pool with
the same settings; the trigger's metadata `pool` says which. Answers come from memory. Before the
first order there is none, so that KEDA does what its `fallback` says.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Final

from pydantic import model_validator

from l4proxy.actuators import keda_wire as wire
from l4proxy.actuators.actuator import ActuatorError
from l4proxy.actuators.board import Asked, Desk, OrderBoard, OrderedNumber
from l4proxy.actuators.listening import ListenSettings, pem_file, server_context
from l4proxy.config.mistakes import BadValueError, describe
from routing import Address, PoolName

try:
    import grpc
    from grpc import aio
except ImportError as error:
    raise ImportError("keda needs grpcio: pip install 'l4proxy[keda]'") from error

METRIC: Final = "desired-backends"
"""The name of the metric; KEDA puts a number before it."""

TARGET: Final = 1
"""The value of the metric that one replica stands for."""

POOL: Final = "pool"
"""The key of the trigger's metadata that names the pool."""

MAX_MESSAGE_BYTES: Final = 65_536
"""Bytes of a request: the metadata of a trigger, which has some hundred."""

MAX_CALLS: Final = 256
"""Calls at once: KEDA has one stream and now and then a question for each ScaledObject."""

MAX_STREAMS: Final = 128
"""Streams among them: half, so that questions always have room."""

MAX_CONNECTIONS: Final = 256
"""Connections at once: KEDA has one or two of each of its two programs, for all ScaledObjects."""

IDLE_SECONDS: Final = 300.0
"""Seconds that a connection may be without a call: KEDA asks each 30 s, or has a stream."""

AGE_SECONDS: Final = 3_600.0
"""Seconds that a connection lasts, its calls included: some never ask, or are gone."""

GRACE_SECONDS: Final = 10.0
"""Seconds that calls have to end when their connection is too old."""

HANDSHAKE_SECONDS: Final = 10.0
"""Seconds that a client has for the handshakes of TLS and HTTP/2."""

RELEASE_SECONDS: Final = 1.0
"""Seconds that gRPC has to let go of its address: it takes milliseconds."""

_RELEASE_PAUSE_SECONDS: Final = 0.002

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16_384),
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_SECONDS * 1_000)),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.max_connection_idle_ms", int(IDLE_SECONDS * 1_000)),
    ("grpc.max_connection_age_ms", int(AGE_SECONDS * 1_000)),
    ("grpc.max_connection_age_grace_ms", int(GRACE_SECONDS * 1_000)),
    # A second daemon on the same port would be let in, and take half the questions.
    ("grpc.so_reuseport", 0),
)

_Context = aio.ServicerContext[bytes, bytes]


class KedaSettings(ListenSettings):
    """Where KEDA finds the scaler, and whether it must show a certificate."""

    client_ca: Annotated[Path, pem_file] | None = None
    """Who signs KEDA's certificate, as PEM; KEDA needs none when left out."""

    @model_validator(mode="after")
    def _tls(self) -> "KedaSettings":
        if self.client_ca is not None and self.certificate is None:
            raise BadValueError("found client_ca without certificate, expected both")
        return self


class Keda:
    """Makes actuators that KEDA asks."""

    name = "keda"
    settings = KedaSettings

    def __init__(self) -> None:
        self._desks: dict[KedaSettings, Desk] = {}

    def make(self, settings: KedaSettings, pool: PoolName) -> Asked:
        """Return the actuator of a pool.

        Raises:
            ActuatorError: A file of the settings cannot be used.

        """
        _credentials(settings)

        async def serve(board: OrderBoard) -> None:
            await _serve(settings, board)

        return Asked(self._desks.setdefault(settings, Desk(serve)), pool)


class Unanswered(Exception):
    """A call gets no answer, but this status."""

    def __init__(self, code: grpc.StatusCode, found: str) -> None:
        super().__init__(found)
        self.code = code


class Scaler:
    """What each call of the service answers, from bytes to bytes."""

    def __init__(self, board: OrderBoard) -> None:
        """Answer from this board."""
        self._board = board
        self._streams = 0

    def is_active(self, request: bytes) -> bytes:
        """Tell whether there is to be any backend at all.

        Raises:
            Unanswered: No such pool, or it had no order yet.

        """
        return _active(_ordered(self._found(request)))

    def metric_spec(self, request: bytes) -> bytes:
        """Tell what the metric is, and what one replica stands for.

        Raises:
            Unanswered: No such pool.

        """
        self._found(request)
        return wire.metric_spec_response(METRIC, TARGET)

    def metrics(self, request: bytes) -> bytes:
        """Tell how many backends there are to be.

        Raises:
            Unanswered: No such pool, or it had no order yet.

        """
        found = self._find(_parsed(wire.read_metrics_request, request))
        return wire.metrics_response(METRIC, _ordered(found))

    async def stream(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Tell whether there is to be any backend, now and whenever the number changes.

        Raises:
            Unanswered: No such pool, or too many ask already.

        """
        found = self._found(request)
        if self._streams >= MAX_STREAMS:
            what = f"found {self._streams} streams, expected at most {MAX_STREAMS}"
            raise Unanswered(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
        self._streams += 1
        try:
            seen = None
            while True:
                seen = await found.other_than(seen)
                yield _active(seen)
        finally:
            self._streams -= 1

    def _found(self, request: bytes) -> OrderedNumber:
        return self._find(_parsed(wire.read_reference, request))

    def _find(self, asking: wire.Reference) -> OrderedNumber:
        pool = asking.metadata.get(POOL)
        if pool is None:
            what = f"found no {POOL} in the metadata of the trigger, expected a pool's name"
            raise Unanswered(grpc.StatusCode.INVALID_ARGUMENT, what)
        found = self._board.find(pool)
        if found is None:
            what = f"found the pool {describe(pool)}, expected one that is scaled by KEDA"
            raise Unanswered(grpc.StatusCode.NOT_FOUND, what)
        return found


def _parsed(read: Callable[[bytes], wire.Reference], request: bytes) -> wire.Reference:
    try:
        return read(request)
    except wire.BadMessage as error:
        raise Unanswered(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


def _ordered(found: OrderedNumber) -> int:
    if found.desired is None:
        raise Unanswered(grpc.StatusCode.UNAVAILABLE, "nothing is decided yet, ask again")
    return found.desired


def _active(desired: int) -> bytes:
    return wire.is_active_response(active=desired > 0)


def _handler(scaler: Scaler) -> grpc.GenericRpcHandler:
    """Return the service as gRPC serves it. Bytes are parsed by us: gRPC would log each bad one."""

    def unary(answer: Callable[[bytes], bytes]) -> "grpc.RpcMethodHandler[bytes, bytes]":
        async def answered(request: bytes, context: _Context) -> bytes:
            try:
                return answer(request)
            except Unanswered as error:
                await context.abort(error.code, str(error))

        return grpc.unary_unary_rpc_method_handler(answered)

    async def streamed(request: bytes, context: _Context) -> AsyncIterator[bytes]:
        try:
            async with contextlib.aclosing(scaler.stream(request)) as answers:
                async for answer in answers:
                    yield answer
        except Unanswered as error:
            await context.abort(error.code, str(error))

    methods = {
        "IsActive": unary(scaler.is_active),
        "StreamIsActive": grpc.unary_stream_rpc_method_handler(streamed),
        "GetMetricSpec": unary(scaler.metric_spec),
        "GetMetrics": unary(scaler.metrics),
    }
    return grpc.method_handlers_generic_handler(wire.SERVICE, methods)


async def _serve(settings: KedaSettings, board: OrderBoard) -> None:
    """Answer KEDA until cancelled.

    Raises:
        ActuatorError: The address, or a file of the settings, cannot be used.

    """
    credentials = _credentials(settings)
    handlers = (_handler(Scaler(board)),)
    server = aio.server(handlers=handlers, options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
    try:
        _bind(server, settings, credentials)
    except (RuntimeError, OSError) as error:
        await server.stop(None)
        raise ActuatorError(f"the keda scaler cannot listen on {settings.listen}") from error
    try:
        await _started(server)
        # Not `wait_for_termination`: whoever is cancelled in there breaks the server's end.
        await asyncio.Event().wait()
    finally:
        await server.stop(None)
        await _released(settings.listen)


def _bind(
    server: aio.Server, settings: KedaSettings, credentials: grpc.ServerCredentials | None
) -> None:
    address = str(settings.listen)
    if credentials is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, credentials)
    if settings.listen.is_path:
        Path(settings.listen.host).chmod(0o600)


async def _started(server: aio.Server) -> None:
    """Start it, wholly, also if cancelled meanwhile: a server that has half begun cannot end."""
    starting = asyncio.gather(server.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await starting
        raise


async def _released(address: Address) -> None:
    """Wait until gRPC has let go of an address, which it does some time after its server's end.

    It removes the file of a unix socket then: another server's, if that came too soon.
    """
    until = time.monotonic() + RELEASE_SECONDS
    while _taken(address) and time.monotonic() < until:  # noqa: ASYNC110 - gRPC does not tell of it
        await asyncio.sleep(_RELEASE_PAUSE_SECONDS)


def _taken(address: Address) -> bool:
    if address.is_path:
        return Path(address.host).exists()
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address.host, address.port))
        except OSError:
            return True
    return False


def _credentials(settings: KedaSettings) -> grpc.ServerCredentials | None:
    """Return what TLS is served with; None: there is none.

    Raises:
        ActuatorError: A file cannot be used.

    """
    try:
        # gRPC would find a bad file only when the first client comes, and tell nobody.
        if server_context(settings) is None or not settings.certificate or not settings.key:
            return None
        pair = (settings.key.read_bytes(), settings.certificate.read_bytes())
        if settings.client_ca is None:
            return grpc.ssl_server_credentials([pair])
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.client_ca)
        authorities = settings.client_ca.read_bytes()
        return grpc.ssl_server_credentials([pair], authorities, require_client_auth=True)
    except (OSError, ValueError) as error:
        raise ActuatorError(f"the keda scaler: {error}") from error
