"""A connection that has proved where it leads."""

from dataclasses import dataclass

from l4proxy.agent.stream import Stream
from l4proxy.client.account import Account
from l4proxy.client.lineages import Lineage
from l4proxy.client.tls import Line


@dataclass(slots=True, eq=False)
class Connection:
    """A proved connection; whoever has it closes it.

    Attributes:
        account: What is known of it.

    """

    account: Account
    _line: Line
    _lineage: Lineage

    @property
    def stream(self) -> Stream:
        """Its bytes: those of the application, both ways, from the first on."""
        return self._line.stream

    def close(self, *, abort: bool = False) -> None:
        """Close it, and keep what a later connection may resume.

        Args:
            abort: With a reset, as what was said is not whole.

        """
        if not abort:
            self._lineage.keep(self._line.session)
        self.stream.close(abort=abort)
