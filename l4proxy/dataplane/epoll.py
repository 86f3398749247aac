"""epoll: the kernel's list of descriptors that are ready (epoll(7)).

Python's own in the pure build. The compiled build has this module from `epoll.c` instead: the part
of it that the engine uses, at a third of the instructions for each event. What the engine is to use
besides has to be written there first.
"""

from select import epoll

__all__ = ["epoll"]
