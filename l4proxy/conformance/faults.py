"""What a conformance test has found."""


class NotConforming(AssertionError):
    """A part breaks promises; one a line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
