"""epoll: the kernel's list of descriptors that are ready (epoll(7)).

Python's own in the pure build. The compiled build has the part of it that the engine uses from
`_epoll.c`, at a third of the instructions for each event.
"""

try:
    from l4proxy.dataplane._epoll import epoll
except ImportError:
    from select import epoll

__all__ = ["epoll"]
