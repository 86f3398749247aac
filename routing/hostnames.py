"""Host patterns: which server names a route means. The rule is said here, once.

- `app.example.com` means that name and no other.
- `*.example.com` means every name below `example.com`, **one or more labels** deep:
  `a.example.com` and `a.b.example.com`, but not `example.com` itself (as in Gateway API, Envoy and
  nginx; a certificate's wildcard stands for one label only).
- The most specific pattern wins: exact beats wildcard, a longer suffix beats a shorter one. The
  order in which patterns are written never matters.
"""

from dataclasses import dataclass
from typing import Self

from routing.errors import BadHostPattern
from sni import BadServerName, ServerName

_WILDCARD = "*."


@dataclass(frozen=True, slots=True)
class HostPattern:
    """One host name, or all names below one. Made by `parse`.

    Attributes:
        name: The exact name, or what stands behind the `*.`.
        wildcard: Whether it means the names below `name` instead of `name`.

    """

    name: ServerName
    wildcard: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern as an operator writes it.

        Raises:
            BadHostPattern: It is neither a host name nor `*.` before one.

        """
        wildcard = text.startswith(_WILDCARD)
        rest = text.removeprefix(_WILDCARD)
        if "*" in rest:
            raise BadHostPattern(
                f"{text!r}: '*' stands only for all labels before a name, as in '*.example.com'; "
                "for every name there is the default route"
            )
        try:
            return cls(ServerName.parse(rest), wildcard)
        except BadServerName as fault:
            raise BadHostPattern(f"{text!r}: {fault}") from fault

    def __str__(self) -> str:
        return f"{_WILDCARD}{self.name}" if self.wildcard else str(self.name)

    def left_of(self, name: ServerName) -> str | None:
        """Return what a wildcard stands for in a name that it means: one or more labels.

        None when the pattern is exact or does not mean the name.
        """
        suffix = f".{self.name}"
        if not self.wildcard or not name.endswith(suffix):
            return None
        return name[: -len(suffix)]
