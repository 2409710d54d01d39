"""The client library, against the app served in this process and against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.desk import HOUR, Colour, Desk, payments
from faults.server import Server
from openpyxl import load_workbook

from {{ cookiecutter.package_name }}.client import ApiError, Client, JobFailed

Connect = Callable[..., Any]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path / "data", monkeypatch)
    yield desk
    desk.stop()


@pytest.fixture
def client(desk: Desk) -> Iterator[Client]:
    with Client(desk.url) as client:
        yield client


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text("Region,Amount\nNorth,1\nSouth,2\n")
    return path


def test_from_files_to_a_report(client: Client, desk: Desk, sales: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    [stored] = client.upload(sales)
    assert (stored["name"], stored["size"]) == ("sales.csv", sales.stat().st_size)
    client.process(largest=7)
    assert client.wait(heard.append)["status"] == "complete"
    assert heard[-1]["progress"] == 100
    assert client.report()["title"] == "Report on sales.csv"
    assert desk.step.seen[0].largest == 7
    saved = client.download(tmp_path / "mine.xlsx")
    assert load_workbook(saved).sheetnames[0] == "Summary"
    assert sorted(path.name for path in tmp_path.glob("*.xlsx")) == ["mine.xlsx"]


def test_options_are_given_as_the_step_has_them(client: Client, desk: Desk, sales: Path) -> None:
    client.upload(sales)
    day = date(2025, 1, 31)
    client.process(since=day, main_colour=Colour.blue, sizes={"small"}, limit=None)
    client.wait()
    [seen] = desk.step.seen
    assert (seen.since, seen.main_colour, seen.sizes) == (day, Colour.blue, ["small"])


def test_another_upload_replaces_the_first(client: Client, sales: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    client.upload(sales)
    session = client._http.headers["X-Session-ID"]
    client.upload(other)
    client.process()
    client.wait()
    assert client.report()["title"] == "Report on other.csv"
    assert client._http.headers["X-Session-ID"] == session


def test_what_the_server_refuses_is_said_in_its_words(client: Client, sales: Path) -> None:
    client.upload(sales)
    with pytest.raises(ApiError, match="50") as caught:
        client.process(largest=99)
    assert (caught.value.status, caught.value.code) == (422, "invalid_options")
    assert caught.value.errors[0]["field"] == "largest"


def test_a_failed_job_raises_its_sentence(client: Client, desk: Desk, sales: Path) -> None:
    desk.step.error = "The file has no dates."
    client.upload(sales)
    client.process()
    with pytest.raises(JobFailed, match=r"The file has no dates\.") as caught:
        client.wait()
    assert caught.value.status == "failed"


def test_a_job_is_cancelled(client: Client, desk: Desk, sales: Path) -> None:
    desk.step.gate.clear()
    client.upload(sales)
    client.process()
    client.cancel()
    with pytest.raises(JobFailed) as caught:
        client.wait()
    assert caught.value.status == "cancelled"


def test_waiting_may_be_limited(client: Client, desk: Desk, sales: Path) -> None:
    desk.step.gate.clear()
    client.upload(sales)
    client.process()
    with pytest.raises(TimeoutError):
        client.wait(timeout=0.1)


@pytest.mark.parametrize("after", ["upload", "process", "wait"])
def test_an_expired_session_is_begun_anew(
    client: Client, desk: Desk, sales: Path, tmp_path: Path, after: str
) -> None:
    client.upload(sales)
    if after == "upload":
        desk.turn(HOUR + 1)
    client.process(largest=5)
    if after == "process":
        client.wait()
        desk.turn(HOUR + 1)
    client.wait()
    if after == "wait":
        desk.turn(HOUR + 1)
    assert load_workbook(client.download(tmp_path / "report.xlsx"))
    assert {options.largest for options in desk.step.seen} == {5}
    assert len(desk.step.seen) == (1 if after == "upload" else 2)


def test_rows_are_reviewed_before_the_report(client: Client, desk: Desk, sales: Path) -> None:
    desk.step.review = payments(720)
    client.upload(sales)
    client.process()
    client.wait()
    found = client.review()
    assert len(found["rows"]) == found["row_count"] == 720
    with pytest.raises(ApiError, match="Row 1, Category: Choose one") as caught:
        client.edit(0, "Category", "Fun")
    assert caught.value.errors[0]["column"] == "Category"
    client.edit(0, "Category", "Food")
    client.edit(700, "Due", date(2025, 12, 24))
    assert client.review()["rows"][700][5] == "2025-12-24"
    client.finish()
    client.wait()
    assert client.report()["notes"] == ["2 corrected."]


def correct(client: Client, desk: Desk, sales: Path) -> None:
    """Have a review, and correct a value of it."""
    desk.step.review = payments()
    client.upload(sales)
    client.process()
    client.wait()
    client.edit(0, "Category", "Food")


def test_a_review_that_expired_is_made_again_with_its_edits(
    client: Client, desk: Desk, sales: Path
) -> None:
    correct(client, desk, sales)
    desk.turn(HOUR + 1)
    client.edit(1, "Private", True)
    desk.turn(HOUR + 1)
    client.finish()
    client.wait()
    [table] = client.report()["tables"]
    assert (table["rows"][0][2], table["rows"][1][6]) == ("Food", True)


@pytest.mark.parametrize("after", ["finish", "wait"])
def test_a_finished_review_that_expired_is_finished_again(
    client: Client, desk: Desk, sales: Path, tmp_path: Path, after: str
) -> None:
    correct(client, desk, sales)
    client.finish()
    if after == "wait":
        client.wait()
    desk.turn(HOUR + 1)
    if after == "finish":
        client.wait()
    assert client.report()["notes"] == ["1 corrected."]
    desk.turn(HOUR + 1)
    assert load_workbook(client.download(tmp_path / "report.xlsx"))
    client.process()
    client.wait()
    desk.turn(HOUR + 1)
    assert client.review()["rows"][0][2] != "Food"


def test_without_files_an_expired_session_is_told(client: Client, desk: Desk, sales: Path) -> None:
    client.upload(sales)
    with Client(desk.url) as other:
        other._http.headers["X-Session-ID"] = client._http.headers["X-Session-ID"]
        desk.turn(HOUR + 1)
        with pytest.raises(ApiError) as caught:
            other.progress()
    assert (caught.value.status, caught.value.code) == (410, "session_expired")


def test_reset_removes_what_is_stored(client: Client, sales: Path) -> None:
    client.upload(sales)
    client.reset()
    with pytest.raises(ApiError) as caught:
        client.process()
    assert caught.value.code == "nothing_uploaded"


# Retries, against a server that is told what to answer

Answers = list[httpx.Response | Exception]


@pytest.fixture
def connect() -> Connect:
    """A client of a server that gives these answers; `slept` and `asked` tell what it did."""

    def make(answers: Answers, **more: Any) -> Any:
        asked: list[httpx.Request] = []
        slept: list[float] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            request.read()
            given = answers.pop(0)
            if isinstance(given, Exception):
                raise given
            return given

        transport = httpx.MockTransport(answer)
        made: Any = Client("http://server", transport=transport, sleep=slept.append, **more)
        made.asked, made.slept = asked, slept
        return made

    return make


def files() -> httpx.Response:
    return httpx.Response(201, json={"files": []}, headers={"X-Session-ID": "mine"})


def test_a_lost_answer_is_asked_for_again_with_the_same_key(connect: Connect, sales: Path) -> None:
    client = connect([httpx.ReadError("lost"), httpx.ConnectError("away"), files()])
    client.upload(sales)
    assert len({request.headers["Idempotency-Key"] for request in client.asked}) == 1
    assert all(b"Region,Amount" in request.content for request in client.asked)
    first, second = client.slept
    assert 0 < first < second * 2


def test_another_call_has_another_key_and_the_session(connect: Connect, sales: Path) -> None:
    client = connect([files(), httpx.Response(202, json={}), httpx.Response(202, json={})])
    client.upload(sales)
    client.process()
    client.process()
    assert len({request.headers["Idempotency-Key"] for request in client.asked}) == 3
    assert [request.headers.get("X-Session-ID") for request in client.asked] == [
        None,
        "mine",
        "mine",
    ]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_asks_to_wait_is_obeyed(connect: Connect, status: int) -> None:
    client = connect(
        [
            httpx.Response(status, headers={"Retry-After": "7"}),
            httpx.Response(200, json={"status": "idle"}),
        ]
    )
    assert client.progress()["status"] == "idle"
    assert client.slept == [7]


def test_a_conflict_that_passes_is_waited_for_and_another_is_not(connect: Connect) -> None:
    busy = httpx.Response(409, json={"error": "in_flight", "detail": "Wait."})
    running = httpx.Response(409, json={"error": "already_running", "detail": "It runs."})
    client = connect([busy, running])
    with pytest.raises(ApiError, match=r"It runs\."):
        client.process()
    assert len(client.slept) == 1


def test_it_gives_up_after_so_many_tries(connect: Connect) -> None:
    client = connect([httpx.ConnectError("away") for _ in range(3)], tries=3)
    with pytest.raises(httpx.ConnectError):
        client.progress()
    client = connect([httpx.Response(503, text="<html>") for _ in range(3)], tries=3)
    with pytest.raises(ApiError, match="The server answered 503"):
        client.progress()
    assert len(client.asked) == 3


def test_an_api_key_is_shown(connect: Connect) -> None:
    client = connect([httpx.Response(200, json={})], key="secret")
    client.progress()
    assert client.asked[0].headers["Authorization"] == "Bearer secret"


def test_a_download_that_breaks_off_leaves_the_old_file(connect: Connect, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("lost")

    path = tmp_path / "report.xlsx"
    path.write_bytes(b"old")
    lost = [httpx.Response(200, content=broken()) for _ in range(2)]
    client = connect(list(lost), tries=2)
    with pytest.raises(httpx.ReadError):
        client.download(path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.xlsx"]
    assert path.read_bytes() == b"old"
    client = connect([httpx.Response(200, content=b"new")])
    assert client.download(path, file=3).read_bytes() == b"new"
    assert client.asked[0].url.path == "/api/report/files/3"


# A real server


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_a_killed_server_is_waited_for(tmp_path: Path, sales: Path) -> None:
    server = Server(tmp_path / "data", 1, SILO_LEASE=3)
    server.start()
    try:
        with Client(f"http://127.0.0.1:{server.port}", tries=12) as client:
            client.upload(sales)
            client.process()
            server.kill(server.master)
            server.start()
            assert client.wait(timeout=300)["status"] == "complete"
            [table] = [t for t in client.report()["tables"] if t["name"] == "Columns"]
            assert table["row_count"] == 2
            book = load_workbook(client.download(tmp_path / "report.xlsx"))
            assert "Columns" in book.sheetnames
            assert json.dumps(client.progress())
    finally:
        server.stop()
