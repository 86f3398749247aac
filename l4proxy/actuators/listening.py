"""Where an actuator that is asked listens: its address, and the certificate that it shows."""

import ssl
from pathlib import Path
from typing import Annotated, Final

from pydantic import model_validator

from l4proxy.config.addresses import UNIX, parse_listener_address
from l4proxy.config.mistakes import BadValueError
from l4proxy.config.paths import parse_file_path, parse_socket_path
from l4proxy.config.scalars import parsed
from l4proxy.config.section import Section
from l4proxy.secret_file import no_password
from routing import Address

pem_file: Final = parsed(parse_file_path, str, "/etc/l4proxy/scaler.pem")
"""The annotation of a file in PEM."""


def parse_listen(found: object) -> Address:
    """Return the address to listen at: host:port, [v6]:port or unix:/path.

    Raises:
        BadValueError: It is none of these.

    """
    if isinstance(found, str) and found.startswith(UNIX):
        return Address(str(parse_socket_path(found, UNIX)), 0)
    return parse_listener_address(found)


class ListenSettings(Section):
    """Where to listen. Pools with the same settings share one listener."""

    listen: Annotated[Address, parsed(parse_listen, str, "0.0.0.0:8090")]
    """The address: host:port, [v6]:port or unix:/path."""

    certificate: Annotated[Path, pem_file] | None = None
    """The certificate to show, with its chain, as PEM; without one there is no TLS."""

    key: Annotated[Path, pem_file] | None = None
    """Its private key, as PEM, without a password."""

    @model_validator(mode="after")
    def _pair(self) -> "ListenSettings":
        if (self.certificate is None) != (self.key is None):
            raise BadValueError("found only one of certificate and key, expected both or neither")
        return self


def server_context(settings: ListenSettings) -> ssl.SSLContext | None:
    """Return what TLS is served with; None: there is none.

    Raises:
        OSError: A file cannot be read, or is no certificate or key.
        BadSecretFile: The key is under a password.

    """
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key, password=no_password)
    return context
