"""What backends are told of their clients: a PROXY header before the client's first byte."""

import pytest

from l4proxy.proxy_protocol import HeaderReader, HeaderReceived, IpEndpoint
from tests.e2e.backends import Backend, Recorder
from tests.e2e.balancer import Start
from tests.e2e.sockets import HELLO, NAME, connect, exactly


@pytest.mark.parametrize("version", [1, 2])
def test_a_backend_reads_who_the_client_is(start: Start, version: int) -> None:
    """Source and destination are the client's own, and behind them stands its hello, unchanged."""
    recorder = Recorder(b"well")
    with Backend(recorder) as backend:
        pool = {"backends": [backend.address], "proxy_protocol": f"v{version}"}
        balancer = start({"routes": {NAME.decode(): "app"}, "pools": {"app": pool}})
        with connect(balancer.address) as client:
            host, port = client.getsockname()
            client.sendall(HELLO)
            assert exactly(client, 4) == b"well"
        reader = HeaderReader()
        reader.receive_data(recorder.take())
        event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    assert event.header.version == version
    assert event.header.source == IpEndpoint(bytes(map(int, host.split("."))), port)
    assert event.rest == HELLO
