"""Every kind of record that silo keeps, and which of them go along when an app moves.

Whoever adds a kind adds it here: a test of the app finds those that are missing.
"""

from __future__ import annotations

from .tasks.queue import KINDS as QUEUES

MOVING = (
    "counts",
    "limit",
    "periodic",
    "served",
    "stream",
    "answer",
    "answers",
    "job",
    "lease",
    *QUEUES,
    "garbage",
    "tombstone",
    "session",
)
"""What another store must have, in the order in which it is copied: sessions come last, so that in
a store that has half of it each session has all that it refers to.
"""

STAYING = ("lock", "hold", "message", "worker", "cached")
"""Locks, and workers that are there, are of processes that have ended by then; messages are of a
broker that stays behind. A cached answer is good for one version of its session's record, which has
another one in another store; it is made anew.
"""
