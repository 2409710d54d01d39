"""Who is compared: how each is served, as its documentation says, and what its client is."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import environments as env
from .clients import Client, FlaskSilo, Gradio, Jobs, Ours
from .processes import NotApplicableError, Processes, answers, free_port
from .streamlit import HEALTH, Streamlit

Command = Sequence[str | Path]
SECRET = "only-of-the-benchmark-0123456789"
THREADS = 16
"""Of all gunicorn workers of a peer together."""
WORKERS = 2
"""Web processes of those whose sessions are not in one process."""


@dataclass(frozen=True)
class Subject:
    """`page` is what a person loads first, if there is one; `light` a call that costs nothing.

    `commands` are given a port, and how many processes shall answer; `counter` serves the call of a
    session that counts, where that is not the app's own.
    """

    name: str
    environment: str
    commands: Callable[[int, int | None], Sequence[Command]]
    client: Callable[[int], Client]
    light: tuple[str, str]
    page: str | None = None
    several: bool = True
    counter: Callable[[int, int | None], Sequence[Command]] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def install(self) -> None:
        if self.environment == "ours":
            env.install_ours()
        else:
            env.install_peer(self.environment)
        if self.environment == "celery":
            env.install_broker()


@dataclass
class Served:
    """A subject's server while it runs."""

    subject: Subject
    port: int
    processes: Processes
    ready_after: float = 0.0
    """Seconds from the commands to the first answer."""

    def client(self) -> Client:
        return self.subject.client(self.port)

    def restart(self) -> None:
        self.processes.start()
        self.wait()

    def wait(self) -> None:
        self.processes.wait(lambda: answers(self.port, self.ready_path) and self._work_waits())

    @property
    def ready_path(self) -> str:
        subject = self.subject
        return subject.page or (subject.light[1] if subject.light[0] == "GET" else "/")

    def _work_waits(self) -> bool:
        """Whether Celery's worker says that it is ready."""
        if self.subject.environment != "celery":
            return True
        return b" ready." in self.processes.log(1).read_bytes()


@contextlib.contextmanager
def served(
    subject: Subject, workers: int | None = None, *, counter: bool = False
) -> Iterator[Served]:
    """Serve a subject from an empty folder until the end of the block.

    `workers` is a number of web processes, or None for what the documentation has.
    """
    if workers and workers > 1 and not subject.several:
        raise NotApplicableError("one process only")
    port = free_port()
    commands = (counter and subject.counter) or subject.commands
    with tempfile.TemporaryDirectory(dir=env.CACHE, ignore_cleanup_errors=True) as folder:
        settings = {name: value.format(port=port) for name, value in subject.settings.items()}
        paths = (env.PEERS, env.PEERS / subject.environment, env.BENCHMARKS)
        settings["PYTHONPATH"] = ":".join(map(str, paths))
        with broker(subject, Path(folder)) as more:
            processes = Processes(commands(port, workers), Path(folder), {**settings, **more})
            running = Served(subject, port, processes)
            began = time.perf_counter()
            try:
                with processes:
                    if counter and subject.counter:
                        processes.wait(lambda: answers(port, "/api/count"))
                    else:
                        running.wait()
                    running.ready_after = time.perf_counter() - began
                    yield running
            except Exception:
                env.keep(f"{subject.name}:\n{processes.said()}")
                raise


@contextlib.contextmanager
def broker(subject: Subject, folder: Path) -> Iterator[dict[str, str]]:
    """Celery's broker, which nobody kills: it would be on a machine of its own."""
    if subject.environment != "celery":
        yield {}
        return
    port, place = free_port(), folder / "broker"
    place.mkdir()
    command: Command = [
        *(env.install_broker(), "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no"),
    ]
    with Processes([command], place, {}) as server:
        server.wait(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield {"BROKER_URL": f"redis://127.0.0.1:{port}/0"}


def gunicorn(name: str, app: str, port: int, workers: int, threads: int) -> Command:
    return [
        *(env.python(name), "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--threads", str(threads), "--log-level", "warning"),
    ]


def flask_silo(port: int, workers: int | None) -> Sequence[Command]:
    """One process by itself: its sessions are in memory."""
    return [gunicorn("flask_silo", "app:app", port, workers or 1, THREADS)]


def uvicorn(name: str, port: int, workers: int | None) -> Sequence[Command]:
    return [
        [
            *(env.python(name), "-m", "uvicorn", "app:app", "--port", str(port)),
            *("--workers", str(workers or 1), "--log-level", "warning"),
        ]
    ]


def celery(port: int, workers: int | None) -> Sequence[Command]:
    """The web server and Celery's worker, which has as many processes as there are cores."""
    web = workers or WORKERS
    return [
        gunicorn("celery", "app:app", port, web, THREADS // web),
        [
            *(env.python("celery"), "-m", "celery", "-A", "app:celery", "worker"),
            *("--loglevel", "INFO"),
        ],
    ]


def gradio(port: int, workers: int | None) -> Sequence[Command]:
    if workers and workers > 1:
        return uvicorn("gradio", port, workers)
    return [[env.python("gradio"), env.PEERS / "gradio" / "app.py"]]


def streamlit(port: int, _: int | None) -> Sequence[Command]:
    return [
        [
            *(env.python("streamlit"), "-m", "streamlit", "run", env.PEERS / "streamlit/app.py"),
            *("--server.port", str(port), "--server.headless", "true"),
            *("--server.maxUploadSize", "1000", "--browser.gatherUsageStats", "false"),
        ]
    ]


def ours(port: int, workers: int | None) -> Sequence[Command]:
    """As its units for systemd and Kubernetes have it."""
    command = env.CACHE / "ours" / "bin" / env.SLUG
    return [[command, "serve", "--port", str(port), "--workers", str(workers or WORKERS)]]


def our_counter(port: int, workers: int | None) -> Sequence[Command]:
    """The README's counter on our extension, which the app itself has no use for."""
    web = workers or WORKERS
    return [gunicorn("ours", "apps:ours()", port, web, THREADS // web)]


SUBJECTS = [
    Subject(
        "ours",
        "ours",
        ours,
        Ours,
        ("GET", "/healthz"),
        page="/",
        counter=our_counter,
        settings={
            "SILO_DATA_DIR": "data",
            "SILO_MAX_UPLOAD_MB": "1000",
            "SILO_SESSION_QUOTA_MB": "1000",
            "BENCH_STORE": "sqlite:///silo.db",
        },
    ),
    Subject("flask-silo", "flask_silo", flask_silo, FlaskSilo, ("GET", "/healthz")),
    Subject(
        "Gradio",
        "gradio",
        gradio,
        Gradio,
        ("POST", "/gradio_api/run/light"),
        page="/",
        settings={"GRADIO_SERVER_PORT": "{port}", "GRADIO_ANALYTICS_ENABLED": "False"},
    ),
    Subject(
        "Streamlit", "streamlit", streamlit, Streamlit, ("GET", HEALTH), page="/", several=False
    ),
    Subject("FastAPI", "fastapi", partial(uvicorn, "fastapi"), Jobs, ("GET", "/healthz")),
    Subject(
        "Flask + Celery",
        "celery",
        celery,
        Jobs,
        ("GET", "/healthz"),
        settings={"SECRET_KEY": SECRET},
    ),
]
