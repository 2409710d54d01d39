"""A real S3 server: OpenStack Swift on one node, with its S3 API, on free ports."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from . import of_the_run
from .ports import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "test:tester", "testing"
STORES = ("account", "container", "object")
START_SECONDS = 120

HASH = """\
[swift-hash]
swift_hash_path_suffix = silo
swift_hash_path_prefix = test

[storage-policy:0]
name = one
default = yes
"""

DEFAULTS = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {etc}
log_level = ERROR
log_address = {etc}/no-syslog
"""

STORE = (
    DEFAULTS
    + """\
devices = {devices}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
container_update_timeout = 30

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
)
"""A listing must know what was put: no process here makes good an update that came too late."""

PROXY = (
    DEFAULTS
    + """\

[pipeline:main]
pipeline = {pipeline} proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
"""
)

FILTERS: Mapping[str, Mapping[str, str]] = {
    "catch_errors": {},
    "atomic": {"use": "", "paste.filter_factory": "servers.atomic:factory"},
    "gatekeeper": {},
    "healthcheck": {},
    "remembering": {"use": "", "paste.filter_factory": "servers.remembering:factory"},
    "listing_formats": {},
    "s3api": {"s3_acl": "false", "location": "us-east-1", "min_segment_size": "5242880"},
    "tempauth": {"user_test_tester": f"{PASSWORD} .admin"},
    "copy": {},
    "bulk": {},
    "slo": {},
    "dlo": {},
    "versioned_writes": {"allow_object_versioning": "true"},
    "symlink": {},
}


class Swift:
    """The server, its data in `folder`; started, it has one bucket.

    `kill` and `start` again: on the same port, with the same data. `pause` has it take connections
    and answer nothing, until `resume`.
    """

    bucket = "silo"

    def __init__(self, folder: Path) -> None:
        self._etc = folder / "etc"
        self._devices = folder / "devices"
        self._ports = {kind: free_port() for kind in (*STORES, "proxy")}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._configure()
        try:
            self.start()
            self._make_bucket()
        except BaseException:
            self.kill()
            raise

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self._ports['proxy']}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the server finds in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._etc.parent / "swift.log").open("ab") as log:
            for kind in (*STORES, "proxy"):
                command = [str(Path(sys.executable).with_name(f"swift-{kind}-server"))]
                command.append(str(self._etc / f"{kind}.conf"))
                self._processes.append(
                    subprocess.Popen(
                        command,
                        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        deadline = time.monotonic() + START_SECONDS
        while not all(self._listens(port) for port in self._ports.values()):
            assert time.monotonic() < deadline, "Swift does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    stop = kill

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The server is gone while the block lasts."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """The server takes connections while the block lasts, and answers nothing."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def _signal(self, number: int) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _listens(self, port: int) -> bool:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            return False
        return True

    def _configure(self) -> None:
        self._etc.mkdir(parents=True)
        (self._devices / "one").mkdir(parents=True)
        (self._etc / "swift.conf").write_text(HASH)
        for kind in STORES:
            self._write(kind, STORE)
        rings = [f"{kind}={self._ports[kind]}" for kind in STORES]
        script = str(Path(__file__).with_name("rings.py"))
        # -P, or it would find this file where it looks for Swift's package.
        subprocess.run([sys.executable, "-P", script, str(self._etc), *rings], check=True)
        sections = [
            "\n".join([f"[filter:{name}]", *_lines({"use": f"egg:swift#{name}", **options}), ""])
            for name, options in FILTERS.items()
        ]
        self._write("proxy", "\n".join([PROXY, *sections]))

    def _write(self, kind: str, text: str) -> None:
        values = {
            "host": HOST,
            "port": self._ports[kind],
            "user": getpass.getuser(),
            "etc": self._etc,
            "devices": self._devices,
            "kind": kind,
            "pipeline": " ".join(FILTERS),
        }
        (self._etc / f"{kind}.conf").write_text(text.format(**values))

    def _make_bucket(self) -> None:
        """By a signed link: a store that signs one need not exist."""
        from obstore import sign
        from obstore.store import S3Store

        store = S3Store(
            self.bucket,
            endpoint=self.endpoint,
            access_key_id=USER,
            secret_access_key=PASSWORD,
            client_options={"allow_http": True},
        )
        link = urlsplit(sign(store, "PUT", "", timedelta(seconds=60)))
        connection = http.client.HTTPConnection(HOST, self._ports["proxy"], timeout=300)
        try:
            connection.request("PUT", f"{link.path}?{link.query}", headers={"Content-Length": "0"})
            response = connection.getresponse()
            assert response.status == 200, response.read()
        finally:
            connection.close()


@cache
def shared() -> Swift:
    """The one server of a run of the tests; its credentials are in the environment from then on.

    Each test has a prefix of its own in the bucket. The server ends with the run.
    """
    folder = tempfile.TemporaryDirectory()
    swift = Swift(Path(folder.name))
    os.environ.update(swift.environment)
    of_the_run.callback(folder.cleanup)
    of_the_run.callback(swift.stop)
    return swift


def _lines(options: Mapping[str, str]) -> list[str]:
    return [f"{name} = {value}" for name, value in options.items() if value]
