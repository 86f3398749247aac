"""Every bound of the daemon that the configuration does not set: name, unit, reason.

Bounds of the hello stand in `sni`, those of a decision in `routing`, those that an operator may set
in `l4proxy.config`. `docs/limits.md` lists them all.
"""

from typing import Final

RELAY_BUFFER_BYTES: Final = 64 * 1024
"""One read of a relay. What the other side cannot take is kept: at most this a direction."""

BULK_READ_BYTES: Final = 512 * 1024
"""One read of a stream whose last read was full, where the other side has room for all of it: eight
times as much for each call, and nothing of it is kept."""

READS_PER_TURN: Final = 4
"""Full reads of one direction before others get their turn: 256 KiB, some 50 µs of copying. A large
read counts as the eight that it replaces."""

ACCEPTS_PER_TURN: Final = 8
"""Connections accepted before others get their turn: a flood waits in the kernel's backlog. With 64
the p99 of those who are served beside a flood was measured at 4.6 times its quiet value, with 8 at
2.9."""

BACKLOG: Final = 4_096
"""Connections that wait in the kernel for one listening socket; the kernel may cap it lower."""

DEFER_ACCEPT_SECONDS: Final = 1
"""TCP_DEFER_ACCEPT: accept and first read in one wake-up. Five hid silent clients for 7 s."""

ACCEPT_PAUSE_SECONDS: Final = 0.01
"""How long accepting rests when descriptors or connections are used up: it never spins."""

EXHAUSTED_SECONDS: Final = 1.0
"""How long descriptors may be used up before clients are turned away, one a pause: who comes in a
moment of shortage is served when it is over, who comes in a long one hears so."""

LAST_WORDS_SECONDS: Final = 1.0
"""How long a worker that ends waits for the supervisor to read its last counters."""

LINGER_SECONDS: Final = 1.0
"""How long a refused client is read from after its alert, so that a reset does not destroy it."""

RESET_DELIVERY_SECONDS: Final = 0.01
"""How soon a reset that waits for undelivered bytes first looks whether they are gone."""

DIAL_ATTEMPTS: Final = 3
"""Backends tried for one connection: one that is down costs a retry, a dead pool costs no storm."""

REPLAY_BYTES: Final = 16 * 1024
"""Of a client's first words, kept to be said to another backend should the first not answer: the
largest real hello known has 11.4 KB. Longer ones are said to one backend that took them, no more,
so that silent backends do not make a worker keep 64 KiB for each client."""

SOURCE_ATTEMPTS: Final = 8
"""Source addresses tried for one dial: when so many have no port left, the others have none."""

DESCRIPTORS_PER_CONNECTION: Final = 2
"""The client's socket and the backend's."""

RESERVED_DESCRIPTORS: Final = 64
"""Kept for listeners, epoll, the channel, libraries: not counted as room for connections."""

MAX_BACKENDS: Final = 4_096
"""Cells of the shared load table, over all pools: 16 KiB of memory a worker."""

REPORT_SECONDS: Final = 1.0
"""How often a worker reports its counters."""

PUBLISH_SECONDS: Final = 0.1
"""At least this between two snapshots to a worker: a flapping pool costs ten a second, no more."""

HURRY_SECONDS: Final = 0.02
"""The same while clients are held for a name that was just learned: they are for 150 ms, and the
names of a pool come within a few of each other."""

DOWN_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Largest message to a worker: 1,000 backends take 195 kB, so this is a fuse, not a limit."""

UP_FRAME_BYTES: Final = 1024 * 1024
"""Largest message from a worker, whose process handles hostile bytes: more ends the worker."""

UP_QUEUE_BYTES: Final = 1024 * 1024
"""What a worker holds for a supervisor that does not read: beyond it reports are dropped."""

RESPAWN_SECONDS: Final = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Waits before the first, second … replacement of a worker that keeps dying within a minute."""

WORKER_START_SECONDS: Final = 15.0
"""A worker that has not said it is ready by then is killed and replaced."""

MOST_HELLO_RECORDS: Final = 3_072
"""Records of one hello in the daemon, each a microsecond of work. A browser's hello of today in
records of one byte has 2,500; the 10,922 that fit 64 KiB would stop a worker for 10 ms."""

LOG_BATCH_BYTES: Final = 64 * 1024
"""Access-log text that leaves a worker in one message."""

LOG_DELAY_SECONDS: Final = 0.2
"""How long a line of the access log waits for others to travel with."""

LOG_QUEUE_BATCHES: Final = 256
"""Batches that wait for the log's writer, 16 MiB at most: beyond it lines are dropped, counted."""

LOGGED_PROTOCOLS: Final = 8
"""ALPN names in a line of the access log: clients offer two or three."""

WAITING_SHARE: Final = 0.5
"""Of the connections allowed, those that may wait for their hello: beyond it the oldest goes."""

SETTLED_SECONDS: Final = 2.0
"""After this a relay gets the options of long connections: short ones never pay for the calls, nor,
as it is two of the engine's `YOUNG_SECONDS`, for a timer."""

UNIX_RETRY_SECONDS: Final = 0.02
"""How often a dial asks a Unix socket again whose backlog is full: it never says when it is not."""
