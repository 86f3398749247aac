"""The supervisor: it owns sockets, snapshot and workers, and never sees a byte of a client."""
