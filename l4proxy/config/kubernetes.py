"""What the configuration says of objects in a Kubernetes cluster."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, NamedTuple

from l4proxy.config.addresses import MAX_PORT
from l4proxy.config.mistakes import expected
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import Scalar, parsed, text, truth
from l4proxy.config.section import Section

# Names of objects, RFC 1123: with dots for most kinds, without for those that DNS names.
LABEL_PATTERN: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SUBDOMAIN_PATTERN: Final = rf"(?=.{{1,253}}$){LABEL_PATTERN}(?:\.{LABEL_PATTERN})*"

_SERVICE: Final = re.compile(rf"(?:({LABEL_PATTERN})/)?({LABEL_PATTERN})", re.ASCII)
_PORT_NAME: Final = re.compile(LABEL_PATTERN, re.ASCII)


class ServiceName(NamedTuple):
    """A Service; without a namespace it is in that of the credentials."""

    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def read_service(found: object) -> ServiceName:
    """Return the name of a Service.

    Raises:
        BadValueError: it is none.
    """
    match = _SERVICE.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        raise expected(found, "a Service, NAMESPACE/NAME, such as default/enclaves")
    return ServiceName(match[1], match[2])


def read_service_port(found: object) -> str | int:
    """Return the name of a Service's port, or the number of a port of its pods.

    Raises:
        BadValueError: it is neither.
    """
    if isinstance(found, str) and _PORT_NAME.fullmatch(found) and not found.isdigit():
        return found
    if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= MAX_PORT:
        return found
    raise expected(found, f"the name of a port, or a number from 1 to {MAX_PORT}")


kubernetes_label: Final = text("a name of a-z, 0-9 and '-'", LABEL_PATTERN)
kubernetes_name: Final = text("a name of a-z, 0-9, '-' and '.'", SUBDOMAIN_PATTERN)
kubeconfig_file: Final = parsed(parse_file_path, str, "/etc/l4proxy/kubeconfig")
service_name: Final = parsed(read_service, str, "default/enclaves")
service_port: Final = Scalar(
    read_service_port,
    lambda port: port,
    {
        "anyOf": [
            {"type": "string", "pattern": f"^(?:{LABEL_PATTERN})$"},
            {"type": "integer", "minimum": 1, "maximum": MAX_PORT},
        ]
    },
)


class KubernetesSettings(Section):
    """The Service whose endpoints are backends."""

    expects: ClassVar[str] = "a mapping {service, port, …}"

    service: Annotated[ServiceName, service_name]
    """The Service, NAMESPACE/NAME; without a namespace in that of the credentials."""

    port: Annotated[str | int, service_port]
    """The name of its port; or a number, at which each pod is dialled whatever the Service says."""

    kubeconfig: Annotated[Path, kubeconfig_file] | None = None
    """How the API is reached; left out: as a pod is, by its service account."""

    allow_loopback: Annotated[bool, truth()] = False
    """Whether an endpoint may be this machine itself, with all that listens on its loopback."""
