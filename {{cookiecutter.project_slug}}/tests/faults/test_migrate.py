"""An app that runs, with people at every stage of it, moves elsewhere and back: all go on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import stand_in
from servers import swift, valkey
from support import eventually

from {{ cookiecutter.package_name }} import cli
from {{ cookiecutter.package_name }}.keys import SCOPES
from {{ cookiecutter.package_name }}.silo.records import Postpone, open_records
from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key

from .server import Answer, Caller, Program, Server

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)
STEP = Path(__file__).with_name("moving_step.py")
SECRET = "b1946ac92492d2347c6235b4d2611184"
DATA = b"Region,Amount\n" + b"".join(b"R%d,%d\n" % (n % 30, n) for n in range(40_000))
HALF = 2**17
KEY = {"Idempotency-Key": '"order-66-of-somebody"'}


Settings = dict[str, object]


@dataclass
class Folders:
    """Where an app of these tests is at home."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def go_on(self) -> Path:
        """The file for which slow jobs wait."""
        return self.root / "go on"

    def settings(self, **more: object) -> Settings:
        step = str(self.root / "step")
        path = os.pathsep.join([step, stand_in.FOLDER, stand_in.shipped_path()])
        return {
            "PYTHONPATH": path,
            "MAY_GO_ON": self.go_on,
            "SILO_WORKERS": 1,
            "SILO_LEASE": 3,
            "SILO_CLEANUP_INTERVAL": 0.5,
            "SILO_CACHE_TTL": 600,
            **more,
        }

    def command(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """A command of the app, with these settings."""
        told = {name: str(value) for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", cli.__name__, *arguments],
            env={**os.environ, "SILO_DATA_DIR": str(self.data), **told},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def home(tmp_path: Path) -> Folders:
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "known_step.py").write_text(STEP.read_text())
    return Folders(tmp_path)


@pytest.fixture(params=["another folder", "redis, a bucket and celery"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of where the app moves to."""
    if request.param == "another folder":
        return {
            "SILO_STORE_URL": f"sqlite:///{tmp_path}/new/silo.db",
            "SILO_FILES_URL": tmp_path / "new" / "files",
        }
    bucket = swift.shared()
    return {
        "SILO_STORE_URL": f"{valkey.shared().url}?prefix={tmp_path.name}",
        "SILO_FILES_URL": f"s3://{bucket.bucket}/{tmp_path.name}",
        "SILO_FILES_ENDPOINT": bucket.endpoint,
        "SILO_RUNNER": "celery",
        **bucket.environment,
    }


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(folder, NAME=value)` is a server with these settings, stopped after the test."""
    servers: list[Server] = []

    def start(data: Path, **settings: object) -> Server:
        server = Server(data, 1, None, **settings)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def work(home: Folders) -> Iterator[Callable[..., list[Program]]]:
    """`work(NAME=value)` has a worker with these settings, if they want one, on another machine.

    It gives the workers that run, stopped after the test.
    """
    workers: list[Program] = []

    def start(**settings: object) -> list[Program]:
        if settings.get("SILO_RUNNER") == "celery":
            workers.append(Program(home.root / "worker" / "data", settings))
            workers[0].launch("worker")
        return workers

    yield start
    for worker in workers:
        assert worker.stop() == 0, worker.log


def job(caller: Caller) -> dict[str, object]:
    found: dict[str, object] = caller.get("/api/status").json["job"]
    return found


def until(caller: Caller, *statuses: str) -> None:
    eventually(lambda: job(caller)["status"] in statuses, 120)


def report(caller: Caller) -> object:
    return caller.get("/api/report").json["tables"][0]["rows"]


def end(caller: Caller, store: str) -> None:
    """Have a session be idle for so long that the next cleanup ends it."""
    records = open_records(store)
    records.apply(Postpone("session", session_key(caller.sid or ""), 1.0))
    records.close()
    eventually(lambda: caller.get("/api/report").status == 410)


REPORTS = {
    "uploader": [["only", "2"]],
    "twice": [["twice", "2"]],
    "done": [["done", "2"]],
    "reviewer": [["look", "mine"]],
    "running": [["slow", "1"]],
    "queued": [["slower", "1"]],
}
NAMES = ("uploader", "halfway", "running", "queued", "done", "late", "reviewer", "twice")


class People:
    """Somebody at each stage; `port` is where they find the app."""

    def __init__(self, port: int, key: str) -> None:
        headers = {"X-Requested-With": "test", "Authorization": f"Bearer {key}"}
        self.by_name = {name: Caller(port, headers=dict(headers)) for name in NAMES}
        self.first: Answer
        self.upload = ""

    def __getattr__(self, name: str) -> Caller:
        return self.by_name[name]

    def come_to(self, port: int) -> None:
        """All of them find the app at another port."""
        for caller in self.by_name.values():
            caller.port = port

    def begin(self) -> None:
        """Bring everybody where they are when the app stops."""
        assert self.late.upload("late.csv", b"A,B\n1,2\n").status == 201
        assert self.uploader.upload("only.csv", b"A,B\nonly,2\n").status == 201
        self.upload = self.halfway.create("half.csv", len(DATA))
        self.halfway.append_in_part(self.upload, DATA, HALF * 2).close()
        self.halfway.wait_offset(self.upload, HALF)
        self.twice.upload("twice.csv", b"A,B\ntwice,2\n")
        self.first = self.repeated()
        assert self.first.status == 202
        until(self.twice, "complete")
        self.process(self.done, "done.csv", b"A,B\ndone,2\n")
        until(self.done, "complete")
        self.process(self.reviewer, "review.csv", b"A,B\nlook,2\n")
        until(self.reviewer, "complete")
        edit = {"row": 0, "column": "B", "value": "mine", "was": "2"}
        body = json.dumps({"edits": [edit]}).encode()
        kind = {"Content-Type": "application/json"}
        assert self.reviewer.call("PATCH", "/api/review", body, kind).status == 200
        self.process(self.running, "slow.csv", b"A,B\nslow,1\n")
        until(self.running, "running")
        self.process(self.queued, "slower.csv", b"A,B\nslower,1\n")
        assert job(self.queued)["status"] == "queued"

    def process(self, caller: Caller, name: str, data: bytes) -> None:
        assert caller.upload(name, data).status == 201
        assert caller.post("/api/process").status == 202

    def repeated(self) -> Answer:
        """A call that comes twice, with its key."""
        kind = {"Content-Type": "application/json"}
        return self.twice.call("POST", "/api/process", b"{}", {**kind, **KEY})

    def go_on(self) -> None:
        """Everybody goes on where they were."""
        assert self.late.get("/api/report").status == 410
        assert self.late.post("/api/process").status == 410
        assert [it["name"] for it in self.uploader.get("/api/status").json["files"]] == ["only.csv"]
        assert self.uploader.post("/api/process").status == 202
        self.finish_upload()
        assert self.reviewer.get("/api/review").json["rows"] == [["look", "mine"]]
        assert self.reviewer.post("/api/finish").status == 202

    def are_done(self) -> None:
        """Everybody has what they came for."""
        assert self.late.get("/api/report").status == 410
        again = self.repeated()
        assert (again.status, again.body) == (self.first.status, self.first.body)
        assert again.headers["Idempotency-Replayed"] == "true"
        for name, rows in REPORTS.items():
            caller = self.by_name[name]
            until(caller, "complete")
            assert report(caller) == rows, name
            assert caller.get("/api/report.xlsx").body[:2] == b"PK", name

    def finish_upload(self) -> None:
        offset = self.halfway.offset(self.upload)
        assert HALF <= offset < len(DATA)
        assert self.halfway.append(self.upload, offset, DATA[offset:]).status == 200
        taken = json.dumps({"uploads": [self.upload.rpartition("/")[2]]}).encode()
        [file] = self.halfway.post("/api/upload", taken).json["files"]
        assert file["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_everybody_goes_on_where_the_app_has_moved_to_and_back_again(
    home: Folders,
    elsewhere: Settings,
    serve: Callable[..., Server],
    work: Callable[..., list[Program]],
) -> None:
    here = home.settings(SECRET_KEY=SECRET, SILO_REQUIRE_KEY=1)
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    key = home.command("keys", "create", "all", *scopes, **here).stdout.strip()
    old = serve(home.data, **here)
    people = People(old.port, key)
    people.begin()
    end(people.late, f"sqlite:///{home.data}/silo.db")
    assert old.stop() == 0

    credentials = {name: it for name, it in elsewhere.items() if not name.startswith("SILO_")}
    done = home.command("migrate", *target(elsewhere), **here, **credentials)
    assert done.returncode == 0, done.stderr
    assert "session" in done.stdout
    again = home.command("migrate", *target(elsewhere), **here, **credentials)
    assert (again.returncode, again.stdout.count(" 0 new")) == (0, again.stdout.count(" new"))
    new = serve(home.root / "new data", **here, **elsewhere)
    workers = work(**here, **elsewhere)
    people.come_to(new.port)
    home.go_on.touch()
    people.go_on()
    people.are_done()
    assert new.stop() == 0
    assert [worker.stop() for worker in workers] == [0] * len(workers)

    back = {
        "SILO_STORE_URL": f"sqlite:///{home.data}/silo.db",
        "SILO_FILES_URL": home.data / "files",
    }
    refused = home.command("migrate", *target(back), **here, **elsewhere)
    assert refused.returncode == 1
    assert "is in use" in refused.stderr
    done = home.command("migrate", "--replace", *target(back), **here, **elsewhere)
    assert done.returncode == 0, done.stderr
    old.start()
    people.come_to(old.port)
    people.are_done()


def target(settings: Settings) -> list[str]:
    """The options that name where these settings say."""
    return [
        f"--to-store={settings['SILO_STORE_URL']}",
        f"--to-files={settings['SILO_FILES_URL']}",
        f"--to-endpoint={settings.get('SILO_FILES_ENDPOINT', '')}",
    ]
