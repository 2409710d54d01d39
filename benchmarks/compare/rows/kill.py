"""`kill -9` of everything in the middle of a job, a start, and what the person then hears."""

from __future__ import annotations

import http.client
import time
from typing import Any

from .. import inputs
from ..clients import Client
from ..processes import CannotRunError
from ..sizes import Sizes
from ..subjects import Served, Subject, served
from ..wire import RefusedError
from .jobs import FOLDER, check

MIDDLE = (10.0, 75.0)
"""Percent of progress between which the job is under way."""
AGAIN = 0.2


def kill(subject: Subject, sizes: Sizes) -> dict[str, Any]:
    file = inputs.workbook(FOLDER, sizes.killed_rows)
    with served(subject) as running:
        client = running.client()
        client.upload(file)
        client.start()
        reached = get_going(client)
        running.processes.kill()
        running.restart()
        began = time.monotonic()
        said = ask(running, client, sizes.asked_seconds)
        taken = time.monotonic() - began
    after = {"after (s)": round(taken, 1)} if said == "complete" else {}
    return {"killed at (%)": round(reached, 1), "asked": said, **after}


def get_going(client: Client) -> float:
    """How far the job is, once it is in the middle. Raises CannotRunError if it never was."""
    while True:
        percent, word = client.progress()
        if word == "complete":
            raise CannotRunError("the job was done before it could be killed")
        if MIDDLE[0] <= percent <= MIDDLE[1]:
            return percent
        time.sleep(0.01)


def ask(running: Served, client: Client, seconds: float) -> str:
    """What the person is told at last: `complete` if the report can be fetched."""
    deadline = time.monotonic() + seconds
    said = "nothing"
    try:
        client.again(running.port)
        while time.monotonic() < deadline:
            percent, word = client.progress()
            if word == "complete":
                check(client.fetch())
                return word
            said = f"{word} at {percent:.1f} %" if percent else word
            if word in FINAL:
                return word
            time.sleep(AGAIN)
    except RefusedError as error:
        return str(error).partition(" ")[0] if str(error)[0].isdigit() else str(error)
    except (OSError, http.client.HTTPException) as error:
        return f"broken off: {type(error).__name__}"
    return f"stuck: {said}"


FINAL = ("blank page", "not started", "failed")
"""Words after which nothing more comes."""
