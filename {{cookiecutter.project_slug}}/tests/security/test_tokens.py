"""Ids, links and keys that nobody was given: guessed, bent, signed for something else."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from contextlib import closing

import pytest
from faults.server import Caller, Server
from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer

DATA = (
    ("GET", "/api/progress"),
    ("GET", "/api/events"),
    ("GET", "/api/report"),
    ("GET", "/api/report.xlsx"),
    ("POST", "/api/process"),
    ("POST", "/api/report/link"),
)


@pytest.fixture
def link(victim: Caller) -> str:
    """The victim's own download link."""
    url: str = victim.post("/api/report/link").json["url"]
    return url


@pytest.fixture
def secret(server: Server) -> str:
    """What signs everything; nobody else has it."""
    return (server.data / "secret_key").read_text()


def key_of(victim: Caller) -> str:
    return hashlib.sha256((victim.sid or "").encode()).hexdigest()


def job_of(victim: Caller) -> str:
    job: str = victim.get("/api/status").json["job"]["id"]
    return job


def is_good(attacker: Caller, token: str) -> bool:
    answer = attacker.get(f"/api/report.xlsx?token={token}")
    assert answer.status in (200, 403)
    return answer.status == 200


def test_a_link_is_good_for_one_thing(attacker: Caller, victim: Caller, link: str) -> None:
    token = link.partition("token=")[2]
    assert is_good(attacker, token)
    for path in ("/api/report", "/api/progress", "/api/events", "/api/status"):
        assert b"North" not in attacker.get(f"{path}?token={token}").body
    assert Caller(attacker.port, token).get("/api/status").json["session"] == "none"
    assert not is_good(attacker, victim.sid or "")


def test_a_link_cannot_be_bent(attacker: Caller, link: str) -> None:
    token = link.partition("token=")[2]
    body, moment, signature = token.rsplit(".", 2)
    for bent in (
        token[:-1],
        token + ".",
        f"{body}.{signature}",
        f"{body}.{moment}A.{signature}",
        f"{body}A.{moment}.{signature}",
        f"{moment}.{body}.{signature}",
        f"{body}.{moment}.",
        "",
        "%ff%fe%00",
        "a" * 3000,
        f"bad&token={token}",
    ):
        assert not is_good(attacker, bent), bent


@pytest.mark.parametrize("salt", ["silo.session", "itsdangerous", "cookie-session", "", "report"])
def test_what_was_signed_for_something_else_is_no_link(
    attacker: Caller, victim: Caller, secret: str, salt: str
) -> None:
    """The same secret signs all: it is the purpose that tells them apart."""
    forged = URLSafeTimedSerializer(secret, salt=salt).dumps([key_of(victim), job_of(victim)])
    assert not is_good(attacker, str(forged))


def test_a_link_of_tomorrow_is_none(attacker: Caller, victim: Caller, secret: str) -> None:
    class Tomorrow(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) + 86_400

    signer = URLSafeTimedSerializer(secret, salt="report-link", signer=Tomorrow)
    assert not is_good(attacker, str(signer.dumps([key_of(victim), job_of(victim)])))


@pytest.mark.parametrize("salt", ["report-link", "itsdangerous.Signer", "", "silo"])
def test_what_was_signed_for_something_else_is_no_session(
    server: Server, victim: Caller, secret: str, salt: str
) -> None:
    bare = (victim.sid or "").partition(".")[0]
    for digest in (hashlib.sha1, hashlib.sha256):
        forged = Signer(secret, salt=salt, digest_method=digest).sign(bare).decode()
        assert Caller(server.port, forged).get("/api/status").json["session"] == "none"


def test_a_session_cannot_be_bent(server: Server, victim: Caller) -> None:
    sid = victim.sid or ""
    bare, _, signature = sid.partition(".")
    for bent in (
        *(sid[:-1] + last for last in "AEIMQUYcgkosw048-_" if last != sid[-1]),
        bare,
        f"{bare}.",
        f".{signature}",
        f"{bare}.{signature}.",
        f"{bare}.{signature}=",
        f"{sid},{sid}",
        f'"{sid}"',
        sid.swapcase(),
        sid.replace(".", "%2e"),
        key_of(victim),
    ):
        assert Caller(server.port, bent).get("/api/status").json["session"] == "none", bent


@pytest.mark.parametrize(("method", "path"), DATA)
def test_nobody_else_reads_or_starts_anything(
    attacker: Caller, victim: Caller, method: str, path: str
) -> None:
    """Another session hears what somebody without any data hears."""
    attacker.upload("mine.csv", b"a,b\n1,2\n")
    mine = attacker.call(method, path)
    assert b"North" not in mine.body
    assert b"sales" not in mine.body
    assert victim.get("/api/report").status == 200


def test_an_upload_of_another_session_is_not_there(
    server: Server, attacker: Caller, victim: Caller
) -> None:
    attacker.upload("mine.csv", b"a,b\n1,2\n")
    path = Caller(server.port, victim.sid).create("a.csv", 8)
    calls = [("HEAD", b""), ("PATCH", b"a,b\n1,2\n"), ("DELETE", b"")]
    headers = {"Upload-Offset": "0", "Upload-Complete": "?1"}
    for caller in (attacker, Caller(server.port)):
        for method, body in calls:
            kind = {"Content-Type": "application/partial-upload"}
            assert caller.call(method, path, body, {**headers, **kind}).status == 404
        named = b'{"uploads":["%s"]}' % path.rpartition("/")[2].encode()
        assert caller.post("/api/upload", named).status == 404
    assert victim.offset(path) == 0
    assert victim.call("DELETE", path).status == 204


def test_what_is_stored_opens_nothing(server: Server, victim: Caller) -> None:
    """Whoever reads the database and the folders has no id, no link and no secret."""
    with closing(sqlite3.connect(server.data / "silo.db")) as store:
        values = [key for (key,) in store.execute("SELECT key FROM records")]
        values += [bytes(v).decode() for (v,) in store.execute("SELECT value FROM records")]
    for _, folders, files in os.walk(server.data):  # passes over what goes meanwhile
        values += [*folders, *files]
    assert not any((victim.sid or "") in value for value in values)
    words = {word for value in values for word in re.findall(r"[\w-]{16,}", value)}
    for word in sorted(words)[:300]:
        assert Caller(server.port, word).get("/api/status").json["session"] == "none"


@pytest.mark.parametrize(
    "given",
    [
        "bytes=0-0,1-1,2-2",
        f"bytes={','.join(['0-'] * 1000)}",
        "bytes=5-1",
        "bytes=99999999-",
        "bytes=--1",
        "bytes=a-b",
        "items=0-1",
    ],
)
def test_a_range_of_a_report_is_one_or_none(victim: Caller, given: str) -> None:
    answer = victim.call("GET", "/api/report.xlsx", b"", {"Range": given})
    assert answer.status in (200, 416)
    assert len(answer.body) < 100_000
