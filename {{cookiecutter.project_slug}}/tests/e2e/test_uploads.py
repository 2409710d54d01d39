"""Uploads over connections that break and to servers that die: byte for byte, and nothing twice."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.server import Server
from playwright.sync_api import Route, expect
from support import eventually

from .conftest import Arrives, Served
from .desk import Desk
from .proxy import Proxy
from .visitor import Visitor, csv

MB = 10**6
MakeProxy = Callable[[int], Proxy]


@pytest.fixture
def through() -> Iterator[MakeProxy]:
    """`through(port)` is a way to a server."""
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Server]:
    """A server to be killed."""
    server = Server(tmp_path / "data")
    server.start()
    yield server
    server.stop()


def table(path: Path, megabytes: int) -> Path:
    """A csv file of so many megabytes, in which no two rows are the same."""
    rows = (f"{path.stem},{n:011d}\n" for n in range(megabytes * MB // (len(path.stem) + 13)))
    path.write_text("Region,Amount\n" + "".join(rows))
    return path


def hashes(*files: Path) -> list[str]:
    return sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def stored(data: Path) -> list[Path]:
    """What lies in a server's files, parts and all."""
    return [p for p in (data / "files").rglob("*") if p.is_file() and p.suffix != ".label"]


def arrived(data: Path, count: int) -> None:
    """Wait until so many bytes are with the server."""
    eventually(lambda: sum(path.stat().st_size for path in stored(data)) > count)


def test_a_cut_connection_costs_only_what_it_carried(
    arrives: Arrives, restarting: Served, through: MakeProxy, tmp_path: Path
) -> None:
    file, proxy = table(tmp_path / "large.csv", 25), through(restarting.port)
    visitor = arrives(proxy.url)
    visitor.loses_server = True
    proxy.break_after(5 * MB, lambda: arrived(tmp_path, 4 * MB))
    proxy.break_after(10 * MB)
    visitor.choose(file)
    visitor.sees("ready")
    assert hashes(*stored(tmp_path)) == hashes(file)
    began = offsets(visitor)  # after one of the cuts the browser may have asked again by itself
    assert began[0] == 0
    assert began[1] > 4 * MB
    assert began == sorted(set(began))


def offsets(visitor: Visitor) -> list[int]:
    """Where the page began each time that it sent."""
    patches = [request for request in visitor.requests if request.method == "PATCH"]
    return [int(request.headers["upload-offset"]) for request in patches]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_killed_server_goes_on_where_it_was(
    arrives: Arrives, killed: Server, through: MakeProxy, tmp_path: Path
) -> None:
    file, proxy = table(tmp_path / "large.csv", 20), through(killed.port)
    visitor = arrives(proxy.url)
    visitor.loses_server = True

    def kill() -> None:
        arrived(killed.data, 11 * MB)
        killed.kill(*killed.everyone())
        killed.start()

    proxy.break_after(12 * MB, kill)
    visitor.choose(file)
    visitor.sees("ready")
    assert hashes(*stored(killed.data)) == hashes(file)
    assert offsets(visitor)[-1] > 11 * MB


def test_several_files_arrive_and_count_together(
    arrives: Arrives, restarting: Served, through: MakeProxy, tmp_path: Path
) -> None:
    files = [table(tmp_path / f"{name}.csv", 8) for name in ("one", "two", "three")]
    proxy = through(restarting.port)
    visitor = arrives(proxy.url)
    visitor.loses_server = True
    visitor.page.evaluate(
        """() => {
            window.said = [];
            const box = document.getElementById("bytes");
            const seen = () => said.push(box.textContent);
            new MutationObserver(seen).observe(box, { childList: true });
        }"""
    )
    proxy.break_after(15 * MB, lambda: arrived(tmp_path, 14 * MB))
    visitor.choose(*files)
    visitor.sees("ready")
    assert hashes(*stored(tmp_path)) == hashes(*files)
    assert max(offsets(visitor)) > 6 * MB
    listed = visitor.page.locator("#uploaded li")
    expect(listed).to_have_text([re.compile(f"^{file.name}") for file in files])
    said: list[str] = visitor.page.evaluate("said")
    assert any(each.endswith(" of 24 MB") for each in said), said
    sent = [float(each.split()[0]) for each in said if re.fullmatch(r"[\d.]+ MB of 24 MB", each)]
    assert sent == sorted(sent)


def test_a_session_that_ends_in_the_middle_begins_anew(
    arrives: Arrives, desk: Desk, through: MakeProxy, tmp_path: Path
) -> None:
    files = [table(tmp_path / f"{name}.csv", 2) for name in ("one", "two")]
    proxy = through(int(desk.url.rpartition(":")[2].strip("/")))
    visitor = arrives(proxy.url)
    visitor.loses_server = True
    proxy.break_after(3 * MB, lambda: desk.turn(3601))
    visitor.choose(*files)
    visitor.sees("ready")
    assert hashes(*stored(tmp_path)) == hashes(*files)


def test_the_same_file_goes_on_after_a_reload(
    arrives: Arrives, restarting: Served, through: MakeProxy, tmp_path: Path
) -> None:
    file, proxy = table(tmp_path / "large.csv", 10), through(restarting.port)
    visitor = arrives(proxy.url)
    visitor.loses_server = True

    def stop() -> None:
        arrived(tmp_path, 5 * MB)
        restarting.stop()

    proxy.break_after(6 * MB, stop)
    visitor.choose(file)
    visitor.reads("The server does not answer; trying again…")
    restarting.start()
    visitor.page.reload()
    visitor.choose(file)
    visitor.sees("ready")
    assert hashes(*stored(tmp_path)) == hashes(file)
    assert offsets(visitor)[-1] > 5 * MB


def test_other_files_after_a_reload_leave_nothing_of_the_first(
    arrives: Arrives, restarting: Served, through: MakeProxy, tmp_path: Path
) -> None:
    file, proxy = table(tmp_path / "large.csv", 10), through(restarting.port)
    visitor = arrives(proxy.url)
    visitor.loses_server = True
    proxy.break_after(6 * MB, restarting.stop)
    visitor.choose(file)
    visitor.reads("The server does not answer; trying again…")
    restarting.start()
    visitor.page.reload()
    visitor.upload(csv("other.csv"))
    assert [path.read_bytes() for path in stored(tmp_path)] == [csv()["buffer"]]


def test_who_is_online_again_is_told_so_while_the_upload_goes_on(visitor: Visitor) -> None:
    late = visitor.holds("**/api/uploads/*")
    visitor.choose(csv())
    held = late()
    line = "document.querySelector('#connection').innerText"
    told = f"(name) => (dispatchEvent(new Event(name)), {line})"
    assert visitor.page.evaluate(told, "offline")
    assert visitor.page.evaluate(told, "online") == ""
    visitor.sees("uploading")
    held.continue_()
    visitor.sees("ready")


def test_a_cancelled_upload_leaves_nothing(
    arrives: Arrives, restarting: Served, through: MakeProxy, tmp_path: Path
) -> None:
    file, proxy = table(tmp_path / "large.csv", 10), through(restarting.port)
    visitor = arrives(proxy.url)
    visitor.page.route("**/api/upload", lambda route: None)  # never answered
    visitor.choose(file)
    visitor.reads("Sent. Checking the files…")
    assert stored(tmp_path)
    visitor.press("Cancel the upload")
    visitor.sees("empty")
    eventually(lambda: not stored(tmp_path))


def test_the_same_file_twice_is_two_files(visitor: Visitor) -> None:
    visitor.upload(csv(), csv())
    expect(visitor.page.locator("#uploaded li")).to_have_count(2)


def test_what_the_server_refuses_is_told_before_anything_is_sent(visitor: Visitor) -> None:
    wrong = {**csv("a.pdf"), "mimeType": "application/pdf"}
    visitor.choose(csv(), wrong)  # type: ignore[arg-type]  # of the same form
    visitor.reads("a.pdf is not a type that can be read.")
    visitor.sees("empty")
    assert offsets(visitor) == []
    visitor.upload()


def test_files_chosen_right_after_a_cancel_are_sent(visitor: Visitor) -> None:
    """The cancelled upload may still be about to begin."""
    held: list[Route] = []
    visitor.page.route("**/upload.js", lambda route: held.append(route))
    visitor.choose(csv("older.csv"))
    visitor.sees("uploading")
    visitor.waits(lambda: held)
    visitor.press("Cancel the upload")
    visitor.choose(csv("newer.csv"))
    held[0].continue_()
    visitor.sees("ready")
    visitor.reads("newer.csv")
