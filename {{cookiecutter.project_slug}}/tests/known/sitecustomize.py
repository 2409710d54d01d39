"""Python runs this when it starts with this folder on its path; see `stand_in.py`.

TESTS_CLOCK_AHEAD has the process live so many seconds in the future, as on a host whose clock is
wrong.
"""

import os
import time

from stand_in import for_good


def shift(seconds: float) -> None:
    """Have the time be later for whatever asks Python for it."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


for_good()
if ahead := float(os.environ.get("TESTS_CLOCK_AHEAD", 0)):
    shift(ahead)
