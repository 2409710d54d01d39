"""All rows by name: what each is called, what is to be known of it, and what measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .rows import alone, jobs, kill, light, page, sessions, start, uploads, watching
from .sizes import Sizes
from .subjects import Subject


@dataclass(frozen=True)
class Row:
    title: str
    words: str
    measure: Callable[[Subject, Sizes], dict[str, Any]]


@dataclass(frozen=True)
class Alone:
    """A row of ours alone, or of nobody; it gives its own subjects."""

    title: str
    words: str
    measure: Callable[[Sizes], dict[str, Any]]
    asked: bool = False
    """Whether it is left out unless it is named: it takes many minutes."""


ROWS = {
    "jobs": Row(
        "from upload to report: one user, eight at once",
        "A person whose page is loaded sends a workbook of 20,000 rows, waits, and fetches the "
        "report: eight times in turn, of which the median is shown, then eight such people at the "
        "same moment, until all have theirs. The speed-up is how much longer it took in turn. Each "
        "subject runs as many jobs at a time as it does by default: Gradio one, ours and Celery as "
        "many as there are cores, the others all of them in threads of one process. Where there is "
        "no live progress (flask-silo, FastAPI, Celery) the client asks every 50 ms. All peers "
        "read and write with openpyxl, as their users would; ours makes one sheet more.",
        jobs.jobs,
    ),
    "light": Row(
        "a light call, idle and while 4 jobs run",
        "One call after the other, each over a new connection, by a process of its own, which as "
        "root has real-time priority: on this machine it would else wait for a core beside the "
        "jobs, which a person's own machine has not. Gradio: a function that is not queued; "
        "Streamlit: its health; all others: a route that says ok.",
        light.light,
    ),
    "post": Row(
        "a session-bearing POST, 32 connections",
        "Each connection counts in a session of its own. Ours is in SQLite; Flask + Celery's is in "
        "the cookie (2 processes); all others' are in the memory of one process. flask-silo's "
        "README names no server. Streamlit's is a press of a button over a WebSocket.",
        sessions.post,
    ),
    "upload": Row(
        "a large upload",
        "As the page of each sends it, until the server has it all. Ours alone has it forced to "
        "disk; ours and Gradio hash it. Growth is of all processes together, each at its highest, "
        "once the start is over: a server may go on with that behind its first answers.",
        uploads.upload,
    ),
    "first-load": Row(
        "first load",
        "In Chromium with an empty cache. KB are as they come over the wire, heads too; what goes "
        "over WebSockets is not counted. The control is there once the page's scripts have run.",
        page.first_load,
    ),
    "cold-start": Row(
        "cold start, and what is installed",
        "From the command to the first answer, with the files in the system's memory (of Celery's "
        "worker, until it says ready). Packages are all that the app brings with it; MB are "
        "without what Python compiles.",
        start.cold_start,
    ),
    "watchers": Row(
        "live watchers",
        "News comes every 2 s; counted is who had some in the last 3 s. For ours another process "
        "publishes it through the store; with the others it is made in the answer itself. The "
        "light calls are made as beside jobs.",
        watching.watching,
    ),
    "kill": Row(
        "kill -9 mid-task, then asked",
        "All processes but Celery's broker are killed in the middle of a job and started again; "
        "then the person asks for half a minute, unless an answer is final.",
        kill.kill,
    ),
    "wrong": Row(
        "wrong answers, four workers",
        "One session counts to 200, each time over a new connection, before four web processes. "
        "Streamlit runs as one process only.",
        sessions.wrong,
    ),
}

ALONE = {
    "growth": Alone(
        "the job as it grows",
        "A process of its own makes the report without a server, as with SILO_TASK_MEMORY_MB=2048. "
        "With the default, 1024, a workbook of more than 625,000 such rows is refused: it may have "
        "5 million cells, a csv file 10 million.",
        alone.growth,
    ),
    "sessions": Alone(
        "sessions as they grow", "Calls of the store on SQLite, in µs.", alone.sessions
    ),
    "queue": Alone(
        "jobs queued", "An empty task each: put into the queue, then taken and done.", alone.queue
    ),
    "limits": Alone(
        "the physical limit",
        "What nothing built on it can beat: the same reader alone, the same job in one warm "
        "process without a server, a socket written to a rested disk, Flask with nothing in it.",
        alone.limits,
    ),
    "bake": Alone("a bake", "`cookiecutter` with the default answers.", alone.bake),
    "make-test": Alone(
        "make test", "The template's own tests, all of them.", alone.make_test, asked=True
    ),
}
