"""Whose ticket is this? Backends are asked, as an ordinary client would, what their tickets show.

A ticket begins, in most TLS stacks, with the name of the key that sealed it. Here the names are
learned, with no help from the backends:

    visit       one handshake, and the ticket that the backend gives
    interview   as many visits as it takes to know a backend's tickets
    layouts     tickets in, names out
    registry    the names of every pool: whose, since when, until when
    learner     who is interviewed, and when
"""
