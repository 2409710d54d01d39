"""The proxy that `docs/deployment.md` shows and the units, run or read by nginx and systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.server import Server
from programs import in_ci
from servers.ports import free_port
from support import eventually

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "deployment.md").read_text("utf-8")
UNITS = sorted((PROJECT / "deploy" / "systemd").glob("*.service"))
EXPOSURE = 20
"""In tenths; of systemd's words for it, below 20 is the best that a network service gets."""
CERTIFICATE = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=reports.example.com"]
TEMPORARY = "".join(
    f"{name}_temp_path {name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def snippet(kind: str) -> str:
    [found] = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)
    return str(found)


def missing(*commands: str) -> pytest.MarkDecorator:
    """Skip where these are absent; in CI, such a test fails."""
    absent = [] if in_ci() else [name for name in commands if not shutil.which(name)]
    return pytest.mark.skipif(bool(absent), reason=f"there is no {', '.join(absent)} here")


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[str]:
    """The app behind nginx, as the page has it, but for the ports and the certificate."""
    server = Server(tmp_path / "data", 1, SILO_TRUSTED_PROXIES=1)
    port, plain = free_port(), free_port()
    config = snippet("nginx")
    for old, new in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
        ("/etc/ssl/reports.example.com.crt", f"{tmp_path}/cert.pem"),
        ("/etc/ssl/reports.example.com.key", f"{tmp_path}/key.pem"),
    ):
        assert old in config
        config = config.replace(old, new)
    around = "daemon off;\npid pid;\nerror_log error.log;\nevents {}\nhttp {\naccess_log off;\n"
    (tmp_path / "nginx.conf").write_text(f"{around}{TEMPORARY}{config}}}\n")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *CERTIFICATE]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    server.start()
    nginx = subprocess.Popen(
        ["nginx", "-p", tmp_path, "-c", "nginx.conf", "-e", "error.log"], stderr=subprocess.PIPE
    )
    url = f"https://127.0.0.1:{port}"
    try:
        eventually(lambda: nginx.poll() is not None or curl(f"{url}/readyz").startswith("200"))
        assert nginx.poll() is None, nginx.communicate()[1]
        yield url
    finally:
        nginx.terminate()
        nginx.communicate(timeout=300)
        server.stop()


def curl(url: str, *more: str) -> str:
    """Status and body of an answer, whose certificate nobody has signed."""
    command = ["curl", "-sk", "-o", "-", "-w", "\n%{http_code}", *more, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    body, _, status = done.stdout.rpartition("\n")
    return f"{status} {body}"


@missing("nginx", "openssl", "curl")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_behind_nginx_large_uploads_come_in_and_events_come_out(
    proxied: str, tmp_path: Path
) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("Region,Amount\n" + "North,2\n" * 400_000)  # nginx alone would take 1 MB
    assert curl(f"{proxied}/metrics", "-H", "X-Forwarded-For: 127.0.0.1").startswith("401 ")
    head = tmp_path / "head"
    sent = ["-D", str(head), "-F", f"file=@{file}", "-H", "X-Requested-With: test"]
    assert curl(f"{proxied}/api/upload", *sent).startswith("201 ")
    session = re.search(r"^X-Session-ID: (\S+)", head.read_text(), re.M | re.I)
    assert session
    shown = ["-H", f"X-Session-ID: {session[1]}"]
    body = ["-d", "{}", "-H", "Content-Type: application/json"]
    assert curl(f"{proxied}/api/process", *shown, *body).startswith("202 ")
    heard = curl(f"{proxied}/api/events", *shown, "-N")
    assert heard.startswith("200 ")
    assert "event: complete" in heard
    assert curl(f"{proxied}/api/report", *shown).startswith("200 {")


@missing("nginx", "openssl", "curl")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_nginx_compresses_the_page_and_nothing_that_may_hold_a_secret(
    proxied: str, samples: list[Path]
) -> None:
    def head(path: str) -> str:
        asked = ["-H", "Accept-Encoding: gzip", f"{proxied}{path}"]
        return subprocess.run(
            ["curl", "-sk", "-D", "-", "-o", os.devnull, *asked], capture_output=True, text=True
        ).stdout

    for path in ("/", "/static/app.js", "/static/app.css"):
        assert "Content-Encoding: gzip" in head(path)
    assert samples
    offered = [f"/static/{sample.name}" for sample in samples]
    for path in ("/api/status", "/api/openapi.json", *offered):
        assert head(path).startswith("HTTP/1.1 200")
        assert "Content-Encoding" not in head(path)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )


@missing("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=["worker", "web"])
def test_systemd_finds_nothing_to_say_of_a_unit(tmp_path: Path, unit: Path) -> None:
    text = re.sub(
        r"^ExecStart=\S+ ", "ExecStart=/usr/bin/env ", unit.read_text("utf-8"), flags=re.M
    )
    here = tmp_path / "of-the-app.service"
    here.write_text(re.sub(r"^User=.*$", "User=nobody", text, flags=re.M))
    done = analyze("verify", here)
    assert done.returncode == 0, done.stderr
    assert "of-the-app" not in done.stderr


@missing("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=["worker", "web"])
def test_s41_a_unit_leaves_little_open(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout


def test_the_two_units_differ_in_what_they_run_alone() -> None:
    def others(unit: Path) -> set[str]:
        own = ("#", "Description=", "ExecStart=", "Environment=SILO_TRUSTED_PROXIES=")
        return {line for line in unit.read_text("utf-8").splitlines() if not line.startswith(own)}

    worker, web = UNITS
    assert others(worker) == others(web)
    [command] = re.findall("^ExecStart=(.*)$", worker.read_text("utf-8"), re.M)
    assert command.rpartition("/")[2] == f"{web.stem} worker"
