"""The hello of the benchmarks: what Python's own TLS client says."""

import ssl

SERVER_NAME = "app.example.com"
HELLO_BYTES = 517
"""The size to which OpenSSL, like browsers, has long padded its hellos: record header included."""


def make_hello(server_name: str = SERVER_NAME) -> bytes:
    """A real ClientHello of `HELLO_BYTES` bytes for this server name, in one record."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.set_ecdh_curve("prime256v1")  # without the post-quantum key shares of newer releases
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        hello = outgoing.read()
    else:
        raise RuntimeError("the handshake ended before a server had spoken")
    if len(hello) != HELLO_BYTES:
        raise RuntimeError(f"this OpenSSL says a hello of {len(hello)} bytes, not {HELLO_BYTES}")
    return hello
