"""The worker: peek, decide, relay. It imports nothing that a connection does not need."""
