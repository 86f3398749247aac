"""The promises of sni.alerts."""

import ssl

import pytest

from sni.alerts import AlertDescription, encode_alert


@pytest.mark.parametrize("description", AlertDescription)
def test_an_alert_is_seven_bytes(description: AlertDescription) -> None:
    """One fatal alert is one record: type 21, version 3.3, two bytes, level 2, the number."""
    assert encode_alert(description) == bytes([21, 3, 3, 0, 2, 2, description])


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_real_client_reads_the_reason(newest: ssl.TLSVersion) -> None:
    """A TLS client that has only sent its hello learns why it is refused."""
    context = ssl.create_default_context()
    context.maximum_version = newest
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="app.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(encode_alert(AlertDescription.UNRECOGNIZED_NAME))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        client.do_handshake()
