"""A large file, sent as the page of each sends it, until the server has all of it."""

from __future__ import annotations

import os
import time
from typing import Any

from .. import inputs
from ..processes import MB
from ..sizes import Sizes
from ..subjects import Subject, served
from .jobs import FOLDER

WARM_MEGABYTES = 5


def upload(subject: Subject, sizes: Sizes) -> dict[str, Any]:
    """Megabytes a second, and by how many the server's processes grew, each at its highest."""
    small, file = (inputs.bulk(FOLDER, size) for size in (WARM_MEGABYTES, sizes.upload_megabytes))
    taken = 0.0
    with served(subject) as running:
        for warm in (small, small):
            client = running.client()
            client.upload(warm)
            client.close()
        client = running.client()
        os.sync()  # what others have left to be written would be waited for

        def send() -> None:
            nonlocal taken
            began = time.perf_counter()
            client.upload(file)
            taken = time.perf_counter() - began

        grown = running.processes.growth(send)
        client.close()
    return {"MB/s": round(file.stat().st_size / MB / taken), "growth (MB)": round(grown, 1)}
