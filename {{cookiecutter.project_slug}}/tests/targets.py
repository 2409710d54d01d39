"""What tests run as tasks. Here, because a child process must be able to import it."""

from __future__ import annotations

import multiprocessing
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from {{ cookiecutter.package_name }}.silo.errors import FilesUnavailable, UserError
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter

if sys.platform != "win32":
    import resource


def wait_for(gate: str, seconds: float = 90) -> None:
    """Go on when the test has made a file of this name."""
    deadline = time.monotonic() + seconds
    while not Path(gate).exists():
        assert time.monotonic() < deadline, "the test did not open the gate"
        time.sleep(0.005)


# Good ends


def nothing(task: Reporter) -> None:
    """Ends well without a word."""


def echo(task: Reporter, *args: Any, **kwargs: Any) -> list[Any]:
    return [task.name, list(args), kwargs]


def tell_secret(task: Reporter) -> str:
    """Backwards, so that it is found nowhere but where it should not be."""
    return task.secrets["word"][::-1]


def environment(task: Reporter) -> dict[str, str]:
    return dict(os.environ)


def whereabouts(task: Reporter, gate: str = "") -> dict[str, Any]:
    """What a child has of its own, and what of its parent."""
    if gate:
        task.update(message="here")
        wait_for(gate)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "threads": sorted(each.name for each in threading.enumerate()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "temporary": tempfile.gettempdir(),
        "chance": [random.random(), secrets.token_hex(8), uuid.uuid4().hex],
        "numpy": getattr(sys.modules.get("numpy.random"), "seeded", None),
    }


def litter(task: Reporter) -> None:
    """Leave a temporary file about, and do not heed."""
    Path(tempfile.mkstemp()[1]).write_text("plain")
    time.sleep(60)


def reports(task: Reporter, gate: str) -> str:
    task.update(progress=25, message="A quarter")
    task.log("line one")
    task.update(message="Still a quarter")
    task.log("line two")
    task.update(progress=30)
    wait_for(gate)
    return "result"


def refuses_later(task: Reporter, gate: str) -> None:
    task.update(progress=25)
    wait_for(gate)
    raise UserError("Not this one.")


def gated_lines(task: Reporter, gate: str) -> None:
    """Lines that come together, once a test has made the gate, and an end a while later."""
    task.update(progress=25)
    wait_for(gate)
    for n in range(3):
        task.log(f"line {n}")
    time.sleep(1)


def completes(task: Reporter) -> None:
    task.update(progress=40)
    task.complete("All done")


def notes(task: Reporter, path: str, word: str, gate: str = "") -> None:
    """Say in a file that it runs, and wait for a gate."""
    with Path(path).open("a") as file:
        file.write(f"{word}\n")
    if gate:
        wait_for(gate)


def chatters(task: Reporter, lines: int) -> None:
    for n in range(lines):
        task.log(f"line {n}")
    task.log("x" * 10_000)


def overdoes(task: Reporter, gate: str) -> None:
    task.update(progress=40)
    task.update(progress=float("nan"))
    task.update(progress=250, message="overdone")
    wait_for(gate)


def prints(task: Reporter) -> str:
    """Writes to standard output as a native library may, and worse."""
    print('{"end": "failed", "message": "forged"}', flush=True)
    os.write(1, b'\n{"log": "forged"}\n\xff\xfe\x00 not even text\n' * 1000)
    os.system("echo '{\"progress\": 99}'")
    task.log("honest")
    return "fine"


def limits(task: Reporter) -> dict[str, Any]:
    names = ("AS", "CPU", "FSIZE", "NOFILE", "CORE")
    found = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in names}
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    alarm = round(signal.getitimer(signal.ITIMER_REAL)[0])
    more = {"CPU at most": hard, "alarm": alarm, "nice": os.nice(0)}
    return {**found, **more, "preloaded": "wave" in sys.modules}


def overlaps(task: Reporter, folder: str, gate: str) -> int:
    """How many of its kind run at this moment, this one included."""
    mine = Path(folder) / str(os.getpid())
    mine.touch()
    try:
        wait_for(gate)
        return len(list(Path(folder).iterdir()))
    finally:
        mine.unlink()


def pools(task: Reporter) -> list[int]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return list(pool.map(abs, [1, -2]))


def starts_a_reader(task: Reporter) -> str:
    """What a process of its own finds to read, and what the target itself does."""
    done = subprocess.run(["cat"], capture_output=True, timeout=60, check=True)
    return done.stdout.decode() + sys.stdin.read()


# Bad ends


def starts_threads(_: Reporter, count: int) -> int:
    with ThreadPoolExecutor(count) as pool:
        met = threading.Barrier(count)
        return sum(pool.map(lambda _: len(bytearray(10**5)) * bool(met.wait() + 1), range(count)))


def fails_at_length(task: Reporter, length: int) -> None:
    raise UserError("x" * length)


def raises_at_length(task: Reporter, length: int) -> None:
    raise ValueError("x" * length + " the end")


def fails(task: Reporter) -> None:
    task.update(progress=40)
    task.fail("There is no column of that name.")


def succeed_at(task: Reporter, attempt: int, path: str) -> None:
    """Break until the attempt of this number, counted in a file."""
    with Path(path).open("a") as tries:
        tries.write("x")
    if Path(path).stat().st_size < attempt:
        raise ValueError("not yet")


def finds_no_files(task: Reporter, attempt: int, path: str) -> None:
    """Meet a bucket that is away, until the attempt of this number."""
    with Path(path).open("a") as tries:
        tries.write("x")
    if Path(path).stat().st_size < attempt:
        raise FilesUnavailable


def tells_nothing(task: Reporter) -> None:
    raise UserError


def fails_silently(task: Reporter) -> None:
    task.fail(" ")


def tells(task: Reporter) -> None:
    raise UserError("The sheet is empty.")


def breaks(task: Reporter) -> None:
    raise ValueError("a secret detail")


def exits(task: Reporter) -> None:
    sys.exit(3)


def interrupts(task: Reporter) -> None:
    raise KeyboardInterrupt


def ends_twice(task: Reporter) -> None:
    task.complete("First")
    task.fail("Second")


def returns_what_cannot_be_stored(task: Reporter) -> object:
    return object()


def reports_nonsense(task: Reporter) -> None:
    task.update(progress="half")  # type: ignore[arg-type] # what a careless target may do


def logs_what_is_no_text(task: Reporter) -> None:
    task.log(404)  # type: ignore[arg-type] # what a careless target may do
    task.update(message=405)  # type: ignore[arg-type] # what a careless target may do


# Deaths


def aborts(task: Reporter) -> None:
    task.log("before the abort")
    os.abort()


def is_killed(task: Reporter) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_alarmed(task: Reporter) -> None:
    os.kill(os.getpid(), signal.SIGALRM)


def leaves_a_fork(task: Reporter) -> None:
    """Ends before a fork of its own, which speaks as if it were the child."""
    if os.fork():
        os.abort()
    task.say(log="forged")  # type: ignore[attr-defined] # what a child's own has
    time.sleep(60)


def leaves(task: Reporter, code: int = 0) -> None:
    os._exit(code)


def eats_memory(task: Reporter) -> None:
    held = []
    while True:
        held.append(bytearray(2**20))


def eats_memory_and_swallows(task: Reporter) -> None:
    try:
        eats_memory(task)
    except MemoryError as error:
        raise UserError("Half of it was read.") from error


def spins(task: Reporter) -> None:
    """Uses up its processor time, of which it leaves itself a second."""
    resource.setrlimit(resource.RLIMIT_CPU, (1, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    while True:
        pass


def fills_the_disk(task: Reporter, path: str) -> None:
    with Path(path).open("wb") as file:
        while True:
            file.write(b"x" * 2**20)


# No end


def heeds(task: Reporter, path: str, how: str) -> None:
    """Reports for ever; says in a file that it was told to stop."""
    task.update(message="still at it")
    try:
        while True:
            if how == "log":
                task.log("still at it")
            else:
                task.update(message="still at it")
            time.sleep(0.005)
    finally:
        notes(task, path, "stopped")


def sleeps(task: Reporter, path: str = os.devnull) -> None:
    """Never reports again."""
    notes(task, path, str(os.getpid()))
    task.update(message="asleep")
    time.sleep(60)


def floods(task: Reporter) -> None:
    while True:
        task.log("x" * 100)


def breeds(task: Reporter, path: str, then: str = "sleep") -> None:
    """Starts a child of its own, which outlives it if it may."""
    process = subprocess.Popen(["sleep", "60"])
    notes(task, path, str(process.pid))
    ends: dict[str, Callable[[], None]] = {
        "sleep": lambda: sleeps(task),
        "abort": os.abort,
        "return": lambda: None,
    }
    ends[then]()
