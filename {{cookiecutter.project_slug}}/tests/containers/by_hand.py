"""Follows the Dockerfile and a compose file without Docker: the same commands, as processes.

    PYTHONPATH=tests:tests/known python -m containers.by_hand compose.distributed.yaml

What is the recipes' own: the first stage's COPY and RUN lines, in an environment of its own, and
each service's command, environment, healthcheck, order of start and time to stop. What stands in
for something is printed as it begins, and shown here:

- no image of others is there: Valkey for `redis`, with the options of the service's command, and
  OpenStack Swift for `s3`, whose credentials and bucket are put into the app's environment; both
  are asked whether they are well in their own way, not by their healthchecks
- no layers and no user of the image: paths are folders of this machine, processes run as you do
- no network of containers: names and ports become free ports of 127.0.0.1
- no read-only root: afterwards, everything outside of the writable folders is compared
- the app's step is that of the tests
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from faults.server import Caller
from servers import swift
from servers.ports import free_port
from servers.valkey import Valkey
from support import eventually

from .recipes import PROJECT, VARIABLE, Image, Service, read_image, read_services

HEALTHY_SECONDS = 300
REPORT_SECONDS = 300
STEP = PROJECT / "tests" / "known"
Say = Callable[[str], None]


def replaced(text: str, names: Mapping[str, str]) -> str:
    """The text with ours for each of theirs, all at once."""
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)


class Root:
    """What the first stage of the Dockerfile leaves behind, below a folder of this machine."""

    def __init__(self, folder: Path, image: Image, say: Say) -> None:
        self.folder = folder
        self.image = image
        self.names = {"/opt/app": f"{folder}/opt/app"}
        (folder / "app").mkdir(parents=True)
        for word, rest in image.steps:
            say(f"{word} {rest}")
            if word == "COPY":
                self._copy(shlex.split(rest))
            else:
                self._run(rest)
        self._before = self._state()

    def _copy(self, names: list[str]) -> None:
        *sources, target = names
        for source in (PROJECT / name for name in sources):
            into = self.folder / "app" / target
            if source.is_dir():
                shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, into)

    def _run(self, command: str) -> None:
        here = str(Path(sys.executable).parent)
        done = subprocess.run(
            ["sh", "-ec", replaced(command, self.names)],
            cwd=self.folder / "app",
            env={**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def changed(self) -> list[str]:
        """What processes have written where a container could not."""
        return sorted(name for name, _ in self._state() ^ self._before)

    def _state(self) -> set[tuple[str, int]]:
        return {(str(path), path.lstat().st_mtime_ns) for path in self.folder.rglob("*")}


class Container:
    """A service's command as a process, in folders of its own."""

    def __init__(
        self, root: Root, service: Service, folder: Path, names: Mapping[str, str]
    ) -> None:
        self.service = service
        self.folder = folder
        writable = {path: str(folder / path.strip("/")) for path in service.writable}
        self._names = {**root.names, **writable, **names}
        for path in service.writable:
            (folder / path.strip("/")).mkdir(parents=True, exist_ok=True)
        given = service.environment | {"PATH": service.environment["PATH"].replace("$PATH", "/bin")}
        self._environment = {
            **{name: self._here(value) for name, value in given.items()},
            "TMPDIR": self._here("/tmp"),
            "HOME": str(root.folder / "home"),
            "PYTHONPATH": str(STEP),
        }
        with (folder / "log").open("ab") as log:
            self._process = self._start(service.command, stdout=log, stderr=log)

    def _start(self, command: list[str], **more: object) -> subprocess.Popen[bytes]:
        program, *arguments = map(self._here, command)
        found = shutil.which(program, path=self._environment["PATH"])
        assert found, f"there is no {program} in the image"
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [found, *arguments], cwd=self._here("/data"), env=self._environment, **more
        )

    def _here(self, text: str) -> str:
        return replaced(text, self._names)

    def is_healthy(self) -> bool:
        """Whether its healthcheck says so. Fails if it has ended."""
        assert self._process.poll() is None, self.log
        quiet = subprocess.DEVNULL
        return self._start(self.service.check, stdout=quiet, stderr=quiet).wait(300) == 0

    def run(self, *arguments: str) -> str:
        """What the app's command says with these arguments, beside the service. Fails with it."""
        process = self._start([self.service.command[0], *arguments], stdout=subprocess.PIPE)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return str(said, "utf-8")

    def stop(self) -> int:
        """Its exit code, after SIGTERM; -9 if that took longer than compose would wait."""
        self._process.terminate()
        try:
            return self._process.wait(self.service.grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")


class Stack:
    """The services of a compose file, started and stopped as compose would."""

    def __init__(self, root: Root, path: Path, folder: Path, say: Say) -> None:
        given = {name: secrets.token_hex(32) for name in _asked_for(path)}
        self._services = read_services(path, root.image, given)
        self._root, self._folder, self._say = root, folder, say
        self._valkey: Valkey | None = None
        self.port = free_port()
        self._names = {"0.0.0.0": "127.0.0.1", "8000": str(self.port)}
        self.containers: dict[str, list[Container]] = {}

    def up(self) -> None:
        for name, service in self._services.items():
            self._say(f"{name}: {shlex.join(service.command)}")
            if service.image is None:
                self.scale(name, 1)
            else:
                self._stand_in(service)

    def _stand_in(self, service: Service) -> None:
        folder = self._folder / service.name
        if service.name == "redis":
            words = [word.removeprefix("--") for word in service.command[1:]]
            options = dict(zip(words[::2], words[1::2], strict=True))
            self._valkey = Valkey(folder, False, **options)
            self._names["redis:6379"] = f"127.0.0.1:{self._valkey.port}"
            self._say(f"  instead of {service.image}: Valkey on port {self._valkey.port}")
        else:
            server, app = swift.shared(), self._services["web"].environment
            self._names |= {app[n]: value for n, value in server.environment.items()}
            self._names["http://s3:7070"] = server.endpoint
            self._names["s3://files"] = f"s3://{server.bucket}/{folder.parent.name}"
            self._say(f"  instead of {service.image}: OpenStack Swift at {server.endpoint}")

    def scale(self, name: str, count: int) -> None:
        """Start as many more of a service as are missing, and wait until all are well."""
        running = self.containers.setdefault(name, [])
        while len(running) < count:
            folder = self._folder / f"{name}-{len(running) + 1}"
            folder.mkdir()
            running.append(Container(self._root, self._services[name], folder, self._names))
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not all(container.is_healthy() for container in running):
            assert time.monotonic() < deadline, [container.log for container in running]
            time.sleep(0.1)
        self._say(f"  {count} of {name}: healthy")

    def down(self) -> dict[str, list[int]]:
        """Stop whatever waits for others before those; the exit codes."""
        ended = {}
        for name, running in reversed(self.containers.items()):
            ended[name] = [container.stop() for container in running]
            self._say(f"{name}: ended with {ended[name]}")
        self.containers.clear()
        if self._valkey:
            self._valkey.stop()
        return ended


def _asked_for(path: Path) -> set[str]:
    found = VARIABLE.findall(path.read_text("utf-8"))
    return {name for name, kind, _ in found if kind == "?"}


@contextlib.contextmanager
def followed(root: Root, name: str, say: Say) -> Iterator[Stack]:
    """A compose file's services, running; whatever happens, they are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="by-hand-") as folder:
        stack = Stack(root, PROJECT / name, Path(folder), say)
        try:
            stack.up()
            yield stack
        except BaseException:
            for container in chain.from_iterable(stack.containers.values()):
                say(f"--- end of the log of {container.folder.name}\n{container.log[-4000:]}")
            raise
        finally:
            stack.down()


def use(port: int) -> None:
    """Upload a file, have it processed, and fetch the report."""
    caller = Caller(port)
    assert caller.upload("a.csv", b"Town,Size\nA,1\nB,2\n").status == 201
    assert caller.post("/api/process", b"{}").status == 202
    eventually(lambda: caller.get("/api/progress").json["status"] == "complete", REPORT_SECONDS)
    assert [event.event for event in caller.listen("/api/events")][-1] == "complete"
    assert caller.get("/api/report").status == 200


def main(name: str) -> int:
    print(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is stopped then, too
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        root = Root(Path(folder), read_image(), print)
        with followed(root, name, print) as stack:
            use(stack.port)
            print("a report was made")
            if "worker" in stack.containers:
                stack.scale("worker", 4)
                use(stack.port)
                print("a report was made")
            ended = stack.down()
        changed = root.changed()
    print("written where nothing may be:", *(changed or ["nothing"]))
    return int(bool(changed) or any(any(codes) for codes in ended.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
