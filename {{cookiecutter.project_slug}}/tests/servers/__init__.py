"""Servers that tests start: each on a free port, its data in a folder of the test."""

from __future__ import annotations

import atexit
from contextlib import ExitStack

of_the_run = ExitStack()
"""What ends the servers that a run shares: at the end of its tests, else of the process."""
atexit.register(of_the_run.close)
