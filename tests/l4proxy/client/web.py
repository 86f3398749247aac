"""An application that serves pages."""

import asyncio


async def serve_pages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with its path, on a connection that stays if the client likes."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1]
            length = b"Content-Length: %d\r\n\r\n" % len(path)
            writer.write(b"HTTP/1.1 200 OK\r\n" + length + path)
            if b"connection: close" in head.lower():
                break
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        writer.close()
