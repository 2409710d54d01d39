"""Ways out of a folder: in an address, in an upload's id, in the name of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.server import Caller, Server

from .wire import HEAD, OWN, ask, statuses

CSV = b"Region,Amount\nNorth,1\nSouth,2\n"


@pytest.mark.parametrize(
    "path",
    [
        b"../__init__.py",
        b"..%2f__init__.py",
        b"%2e%2e/__init__.py",
        b"%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        b"%252e%252e%252f__init__.py",
        b"..\\__init__.py",
        b"..%5c__init__.py",
        b"%c0%ae%c0%ae/__init__.py",
        b"/etc/passwd",
        b"%00",
        b"app.js%00.css",
        b"app.js/../../__init__.py",
        b"./",
        b"",
        b"C:/windows/win.ini",
        b"~root",
    ],
)
def test_nothing_but_the_page_s_own_files_is_served(server: Server, path: bytes) -> None:
    answer = ask(server.port, b"GET /static/" + path, HEAD)
    assert statuses(answer) == [404]
    assert b"root:" not in answer
    assert b"import" not in answer


@pytest.mark.parametrize(
    "upload",
    [b"..%2f..%2fsecret_key", b"%2e%2e", b"*", b"%00", b"a" * 3000, b"%ed%a0%80", b"__class__"],
)
@pytest.mark.parametrize("method", [b"HEAD", b"PATCH", b"DELETE"])
def test_an_upload_is_found_by_its_id_and_no_path(
    server: Server, victim: Caller, method: bytes, upload: bytes
) -> None:
    headers = b"X-Session-ID: " + (victim.sid or "").encode() + b"\r\n"
    headers += b"Content-Type: application/partial-upload\r\nContent-Length: 0\r\n"
    headers += b"Upload-Offset: 0\r\nUpload-Complete: ?1\r\n"
    answer = ask(server.port, method + b" /api/uploads/" + upload, OWN + headers)
    assert statuses(answer) == [404]
    assert (server.data / "secret_key").exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../../../tmp/evil.csv", "evil.csv"),
        (b"/etc/cron.d/evil.csv", "evil.csv"),
        (b"%2e%2e%2fevil.csv", "%2e%2e%2fevil.csv"),
        (b"a\0b.csv", "ab.csv"),
        (b"\xe2\x80\xaefdp.csv", "fdp.csv"),
        (b"CON.csv", "CON.csv"),
        (b"...csv", "...csv"),
        (b"a" * 10_000 + b".csv", "a" * 116 + ".csv"),
        (b"%s%n${7*7}.csv", "%s%n${7*7}.csv"),
        (b"<img src=x onerror=alert(1)>.csv", "<img src=x onerror=alert(1)>.csv"),
        (b"\xf0\x9f\x92\xa9.csv", "\N{PILE OF POO}.csv"),
    ],
)
def test_a_name_is_shown_and_never_a_path(
    server: Server, attacker: Caller, name: bytes, shown: str
) -> None:
    answer = attacker.post("/api/upload", *named(name))
    assert [file["name"] for file in answer.json["files"]] == [shown]
    assert only_generated_names(server.data / "files")


@pytest.mark.parametrize("name", [b"../../a\0b.csv", b"....csv", rb"<a\"b;c=d>.csv"])
def test_a_name_stays_one_all_the_way(server: Server, attacker: Caller, name: bytes) -> None:
    assert attacker.post("/api/upload", *named(name)).status == 201
    assert attacker.post("/api/process").status == 202
    assert [*attacker.listen("/api/events")][-1].event == "complete"
    told = attacker.get("/api/report.xlsx").headers["Content-Disposition"]
    assert told.startswith('attachment; filename="')
    assert not any(character in told for character in "/\r\n\0\u202e")
    assert only_generated_names(server.data / "files")


def named(name: bytes) -> tuple[bytes, str]:
    """A form with one file of this name, and its content type."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name
    return head + b'"\r\n\r\n' + CSV + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    "name", ["UTF-8''%0d%0aX-Evil%3a1.csv", "UTF-8''..%2f..%2fa.csv", "UTF-8''%E2%80%AEa.csv"]
)
def test_an_encoded_name_ends_no_header_and_is_no_path(attacker: Caller, name: str) -> None:
    told = {"Upload-Complete": "?0", "Upload-Length": "9"}
    named = {"Content-Disposition": f"attachment; filename*={name}", **told}
    answer = attacker.call("POST", "/api/uploads", b"", named)
    assert answer.status == 201
    assert answer.json["name"] in ("X-Evil:1.csv", "a.csv")
    assert "X-Evil" not in answer.headers


def test_a_link_that_somebody_planted_is_not_followed(
    server: Server, attacker: Caller, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("of somebody else")
    assert attacker.upload("a.csv", CSV).status == 201
    folder = newest(server.data / "files")
    (folder / "link").symlink_to(kept)
    (folder / "file").symlink_to(kept / "file")
    assert attacker.post("/api/reset").status == 204
    assert not folder.exists()
    assert (kept / "file").read_text() == "of somebody else"


def test_a_folder_that_is_a_link_is_not_emptied(
    server: Server, attacker: Caller, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("of somebody else")
    assert attacker.upload("a.csv", CSV).status == 201
    folder = newest(server.data / "files")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.symlink_to(kept)
    assert attacker.post("/api/reset").status == 204
    assert (kept / "file").read_text() == "of somebody else"


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_ctime_ns)


def only_generated_names(folder: Path) -> bool:
    """Whether everything below is called by hexadecimal digits and what we add to them."""
    digits = set("0123456789abcdef")
    names = [*folder.iterdir(), *(path for each in folder.iterdir() for path in each.iterdir())]
    return all(set(path.name.partition(".")[0]) <= digits for path in names)
