"""Starts a new Python for the children's side of this package, without the app's own secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

WITHHELD = ("SECRET_KEY", "SILO_ENCRYPTION_KEY", "SILO_STORE_URL", "SILO_BROKER_URL")
"""What a child gets no sight of, because no job needs it from there."""

ONE_THREAD = {"TOKIO_WORKER_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The client of a bucket, and numpy, would start a thread a core, and each takes of the address
space; jobs are there to be done side by side. Nor could a process be forked that has threads."""

FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""glibc would reserve 64 MB of addresses for each thread that a step starts, up to eight a core."""
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""What a job keeps is some ten thousand pages, each of which Linux makes at the first touch: 3 %
of its processor time. Where large ones are for who asks, glibc (2.35 and later) does so by this."""


def spawn(stderr: IO[bytes], folder: Path | None) -> subprocess.Popen[bytes]:
    """A child of its own, with nothing imported, whose temporary files lie in `folder`."""
    temporary = {"TMPDIR": str(folder)} if folder else {}
    return python(
        "child", (), temporary, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
    )


def python(
    module: str, arguments: Sequence[str], environment: dict[str, str], **streams: Any
) -> subprocess.Popen[bytes]:
    """A process that calls `main` of a module of this package, in a session of its own."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-c", f"from {__package__}.{module} import main; main()", *arguments],
        env={**inherited(), **environment},
        start_new_session=True,
        **streams,
    )


def inherited() -> dict[str, str]:
    """Our environment, with a module path that finds what we find, and without our secrets."""
    return {
        **ONE_THREAD,
        **FEW_ARENAS,
        **LARGE_PAGES,
        **{name: value for name, value in os.environ.items() if name not in WITHHELD},
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }
