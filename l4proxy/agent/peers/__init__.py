"""Peers: the agent verifies the other enclaves of its pool, and tells clients which they are.

`settings` has who they are and by which policy; `visit` is an attested connection of the agent's
own to one of them; `watch` visits all of them once an epoch, and has the set that comes of it.
"""
