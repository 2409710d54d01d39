"""Bodies that want to break what reads them: JSON, forms, compressed ones, keys of retries."""

from __future__ import annotations

import gzip
import json

import pytest
from faults.server import Caller, form

CSV = b"a,b\n1,2\n"
FORM = "multipart/form-data; boundary=x"
DEEP = b"[" * 100_000 + b"]" * 100_000


def part(name: bytes = b"a.csv", data: bytes = CSV, more: bytes = b"") -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n'
    return head + more + b"\r\n" + data + b"\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b'{"uploads":' + DEEP + b"}",
        b'{"uploads":' * 20_000,
        b'{"uploads":' + b"9" * 100_000 + b"}",
        b'{"uploads":["' + b"a" * 5_000_000 + b'"]}',
        b'{"uploads":["\\ud800"]}',
        b'{"uploads":["\\u0000", "../../secret_key"]}',
        b'{"uploads":["\xff\xfe"]}',
        b'{"uploads":[NaN]}',
        b'{"uploads":{"__task__":"x"}}',
        b'\xef\xbb\xbf{"uploads":["a"]}',
        '{"uploads":["a"]}'.encode("utf-16"),
        json.dumps({"uploads": [f"{n:06}" for n in range(80_000)]}).encode(),
        b"null",
        b"[]",
    ],
)
def test_no_list_of_uploads_is_an_error_of_ours(attacker: Caller, body: bytes) -> None:
    attacker.upload("a.csv", CSV)
    assert attacker.post("/api/upload", body).status in (400, 404, 413, 422)


@pytest.mark.parametrize(
    "body",
    [
        b'{"category":' + DEEP + b"}",
        b'{"largest":' + b"9" * 100_000 + b"}",
        b'{"largest":NaN}',
        b'{"largest":1e400}',
        b'{"largest":-0.0}',
        b'{"largest":"10"}',
        b'{"category":"\\ud800"}',
        b'{"\\ud800":"x"}',
        b'{"largest":1,"largest":99}',
        b'{"__proto__":{"largest":1}}',
        b'{"__task__":{"job":"x"}}',
        b'{"category":"' + b"a" * 5_000_000 + b'"}',
        json.dumps({f"k{n}": 1 for n in range(60_000)}).encode(),
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        gzip.compress(b"{}", mtime=0),
    ],
)
def test_no_options_are_an_error_of_ours(attacker: Caller, body: bytes) -> None:
    attacker.upload("a.csv", CSV)
    answer = attacker.post("/api/process", body)
    assert answer.status in (400, 413, 422)
    assert attacker.get("/api/status").json["job"]["id"] is None


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (part() * 1001 + b"--x--\r\n", FORM, 413),
        (b"--x\r\n" + b"\r" * 3_000_000, FORM, 422),
        (part(data=b"\r\n--" * 500_000) + b"--x--\r\n", FORM, 201),
        (part(data=b"a,b\r\n--y" * 300_000) + b"--x--\r\n", FORM, 201),
        (b"x" * 3_000_000 + b"\r\n" + part() + b"--x--\r\n", FORM, 413),
        (part() + b"--x--\r\n" + b"x" * 3_000_000, FORM, 413),
        (b"--x\r\n" + b"X: a\r\n" * 100_000 + b"\r\n", FORM, 413),
        (part(name=b"a" * 3_000_000), FORM, 413),
        (part(data=b"a" * 3_000_000).replace(b"; filename", b"; f"), FORM, 413),
        (part(), "multipart/form-data", 422),
        (part(), "multipart/form-data; boundary=", 422),
        (part(), f"multipart/form-data; boundary={'x' * 5000}", 422),
        (b"&".join(b"k%d=v" % n for n in range(50_000)), "application/x-www-form-urlencoded", 422),
        (gzip.compress(part() + b"--x--\r\n", mtime=0), FORM, 422),
        (part(b"a.xlsx") + b"--x--\r\n", FORM, 415),
        (part(data=b"MZ\x90\0\3\0\0\0") + b"--x--\r\n", FORM, 415),
        (part(data=b"<html><script>alert(1)</script>") + b"--x--\r\n", FORM, 415),
    ],
)
def test_no_form_is_an_error_of_ours(attacker: Caller, body: bytes, kind: str, status: int) -> None:
    answer = attacker.call("POST", "/api/upload", body, {"Content-Type": kind})
    assert answer.status == status


def test_nothing_sent_is_inflated(attacker: Caller) -> None:
    """A small body that would be a large one stays small."""
    bomb = gzip.compress(part(data=b"\0" * 50_000_000))
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    assert attacker.call("POST", "/api/upload", bomb, headers).status == 422
    assert attacker.sid is None


@pytest.mark.parametrize("key", ["a" * 256, "", "a b", "a,b", '"', '"a', "\x7f", "\xe9" * 20])
def test_a_key_that_is_none(attacker: Caller, key: str) -> None:
    body, kind = form("a.csv", CSV)
    headers = {"Content-Type": kind, "Idempotency-Key": key}
    assert attacker.call("POST", "/api/upload", body, headers).status == 400


def test_a_key_of_another_session_opens_nothing(attacker: Caller, victim: Caller) -> None:
    named = {"Content-Disposition": "attachment; filename=v.csv", "Upload-Complete": "?0"}
    headers = {**named, "Upload-Length": "9", "Idempotency-Key": "the-key-of-the-victim"}
    first = victim.call("POST", "/api/uploads", b"", headers)
    attacker.upload("a.csv", CSV)
    mine = attacker.call("POST", "/api/uploads", b"", headers)
    assert mine.json["id"] != first.json["id"]
    assert "Idempotency-Replayed" not in mine.headers
    assert victim.call("DELETE", first.headers["Location"]).status == 204


@pytest.mark.parametrize(
    "length", ["-5", "9999999999999999", "1.5", "0x10", "1e3", "\xb2", "999999999999999"]
)
def test_no_upload_of_an_odd_length_begins(attacker: Caller, length: str) -> None:
    headers = {"Content-Disposition": "attachment; filename=a.csv", "Upload-Complete": "?0"}
    answer = attacker.call("POST", "/api/uploads", b"", {**headers, "Upload-Length": length})
    assert answer.status in (400, 413)
    assert attacker.sid is None


@pytest.mark.parametrize(
    ("offset", "status"),
    [("5", 409), ("999999999999999", 409), ("-1", 400), ("+0", 400), ("0, 5", 400), ("1e0", 400)],
)
def test_no_byte_is_put_where_it_does_not_belong(
    attacker: Caller, offset: str, status: int
) -> None:
    path = attacker.create("a.csv", 10)
    kind = "application/partial-upload"
    headers = {"Upload-Offset": offset, "Upload-Complete": "?0", "Content-Type": kind}
    assert attacker.call("PATCH", path, b"a", headers).status == status
    assert attacker.offset(path) == 0


@pytest.mark.parametrize("last", ["-1", "9" * 15, "9" * 400, "1.1.1", "0x1", "\x85", "a" * 4000])
def test_an_event_that_never_was_is_no_reason_to_hang(attacker: Caller, last: str) -> None:
    attacker.upload("a.csv", CSV)
    assert len([*attacker.listen("/api/events", last)]) == 1
