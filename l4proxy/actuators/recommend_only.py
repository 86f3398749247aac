"""The actuator `recommend-only`: what is decided is shown, and a person carries it out."""

from l4proxy.actuators.actuator import Order
from l4proxy.config.actuator import NoSettings
from routing import PoolName


class RecommendOnly:
    """Does nothing: the log, the metrics and the status of the pool say what it was told."""

    name = "recommend-only"
    settings = NoSettings

    def make(self, settings: NoSettings, pool: PoolName) -> "RecommendOnly":  # noqa: ARG002 - the same for every pool
        """Return itself."""
        return self

    async def run(self) -> None:
        """Return at once."""

    async def apply(self, order: Order) -> None:
        """Leave everything as it is."""
