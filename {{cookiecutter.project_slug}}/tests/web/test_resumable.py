"""/api/uploads: what arrived is kept, what is missing is sent again, and nothing else is left."""

from __future__ import annotations

import errno
import hashlib
import io
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import pytest
from backends import KEY, URLS
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Clock

from {{ cookiecutter.package_name }} import body, pending, resumable
from {{ cookiecutter.package_name }}.silo.errors import StoreFull
from {{ cookiecutter.package_name }}.silo.files.local import LocalPlace
from {{ cookiecutter.package_name }}.silo.sessions.transaction import Transaction

from .conftest import MakeApp
from .person import SALES, Answer, Person, csv_text, error, xlsx

DATA = csv_text([["Region", "Amount"], *([f"R{n % 7}", n] for n in range(3000))])
TYPES = "https://iana.org/assignments/http-problem-types#"
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=[*URLS, "encrypted"])
def stored(request: pytest.FixtureRequest, make_app: MakeApp, tmp_path: Path) -> Flask:
    """An app on each store, and one whose files are encrypted; their limits are small."""
    url = URLS.get(request.param)
    kind = {"SILO_STORE_URL": url(tmp_path)} if url else {"SILO_ENCRYPTION_KEY": KEY}
    return make_app(SILO_RUNNER="thread", SILO_MAX_UPLOAD_MB=1, SILO_SESSION_QUOTA_MB=2, **kind)


@pytest.fixture
def sender(stored: Flask) -> Sender:
    return Sender(stored)


class Sender(Person):
    """Somebody who sends each file by itself."""

    def create(
        self,
        data: bytes = b"",
        length: int | None = None,
        name: str = "sales.csv",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """An upload that begins with `data`; it is to have `length` bytes, if that is not all."""
        told = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        if length is not None:
            told |= {"Upload-Length": str(length), "Upload-Complete": "?0"}
        return self.post("/api/uploads", data=data, headers={**told, **(headers or {})})

    def created(self, length: int = len(DATA), **given: Any) -> str:
        """The id of an upload that is empty yet."""
        answer = self.create(length=length, **given)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def append(
        self, upload: str, offset: int, data: bytes, complete: bool = False, **given: Any
    ) -> Answer:
        headers = {
            "Content-Type": resumable.PARTIAL,
            "Upload-Offset": str(offset),
            "Upload-Complete": f"?{complete:d}",
            **given.pop("headers", {}),
        }
        given = given or {"data": data}
        return self.call("PATCH", f"/api/uploads/{upload}", headers=headers, **given)

    def torn(self, upload: str, offset: int, data: bytes, sent: int) -> Answer:
        """Say that all of `data` comes, and break off."""
        return self.append(upload, offset, data, True, **handed(Torn(data[:sent]), len(data)))

    def ask(self, upload: str) -> Answer:
        return self.call("HEAD", f"/api/uploads/{upload}")

    def offset(self, upload: str) -> int:
        answer = self.ask(upload)
        assert answer.status_code == 204
        return int(answer.headers["Upload-Offset"])

    def whole(self, data: bytes = DATA, name: str = "sales.csv") -> str:
        """The id of an upload that has arrived."""
        answer = self.create(data, name=name)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def take(self, *uploads: str) -> Answer:
        return self.post("/api/upload", json={"uploads": list(uploads)})

    def lies_there(self) -> list[Path]:
        """Every file in the app's store, parts and all."""
        folder = Path(self.app.extensions["silo"].file_store("files").session_dir(self.sid)).parent
        return [path for path in folder.rglob("*") if path.is_file()]


class Arriving:
    """A body as a server hands it on; `more` is called before each piece."""

    def __init__(self, data: bytes, more: Callable[[], object] = lambda: None) -> None:
        self._stream = io.BytesIO(data)
        self._more = more

    def read(self, size: int = -1) -> bytes:
        self._more()
        return self._stream.read(size)


class Torn(Arriving):
    """A body whose connection breaks off."""

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise ConnectionResetError("the client went away")
        return data


def handed(stream: object, length: int | None = None) -> dict[str, Any]:
    """What hands a body on; without a length it is sent in chunks."""
    said = {"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {}
    given = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": str(length)}
    return {"environ_overrides": {**given, **said}}


def once(happens: Callable[[], object]) -> Callable[[], object]:
    """The same, but only the first time."""
    times = iter([happens])
    return lambda: next(times, lambda: None)()


def kind(answer: Answer) -> tuple[int, str, str]:
    """The status, the code and the type of a refusal."""
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, answer.json["error"], answer.json["type"].removeprefix(TYPES)


# From the first byte to the report


def test_an_upload_in_pieces_becomes_a_file(sender: Sender) -> None:
    upload = sender.created(len(DATA), name="Käse & more.csv")
    middle = len(DATA) // 2
    answer = sender.append(upload, 0, DATA[:middle])
    assert answer.status_code == 204
    assert answer.headers["Upload-Offset"] == str(middle)
    assert answer.headers["Upload-Complete"] == "?0"
    answer = sender.append(upload, middle, DATA[middle:], True)
    assert answer.status_code == 200
    assert answer.headers["Upload-Complete"] == "?1"
    assert answer.json == {
        "id": upload,
        "name": "Käse & more.csv",
        "size": len(DATA),
        "offset": len(DATA),
    }
    assert sender.status()["files"] == []
    answer = sender.take(upload)
    assert answer.status_code == 201
    [file] = answer.json["files"]
    assert file == {
        "id": upload,
        "name": "Käse & more.csv",
        "size": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    assert sender.stored() == [DATA]
    assert sender.process().status_code == 202
    assert sender.end().name == "complete"


def test_a_whole_file_goes_in_one_call(sender: Sender) -> None:
    answer = sender.create(DATA)
    assert answer.status_code == 201
    upload = answer.json["id"]
    assert answer.headers["Location"] == f"/api/uploads/{upload}"
    assert answer.headers["Upload-Offset"] == str(len(DATA))
    assert answer.headers["Upload-Complete"] == "?1"
    assert sender.take(upload).json["files"][0]["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert sender.stored() == [DATA]


def test_a_creation_tells_where_and_how_much(sender: Sender) -> None:
    answer = sender.create(DATA[:10], len(DATA))
    assert answer.status_code == 201
    assert len(bytes.fromhex(answer.json["id"])) * 8 >= 128
    assert answer.headers["Upload-Offset"] == "10"
    assert answer.headers["Upload-Complete"] == "?0"
    assert answer.headers["Upload-Limit"] == "max-size=1048576, min-size=1, max-age=3600"
    answer = sender.ask(answer.json["id"])
    assert answer.status_code == 204
    assert answer.headers["Upload-Offset"] == "10"
    assert answer.headers["Upload-Complete"] == "?0"
    assert answer.headers["Upload-Length"] == str(len(DATA))
    assert answer.headers["Upload-Limit"].startswith("max-size=1048576")
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_the_server_takes_can_be_asked_first(sender: Sender) -> None:
    answer = sender.call("OPTIONS", "/api/uploads")
    assert answer.status_code == 204
    assert answer.headers["Accept-Patch"] == "application/partial-upload"
    assert answer.headers["Upload-Limit"].startswith("max-size=1048576")
    assert sender.sid == ""


def test_several_files_come_in_the_order_in_which_they_are_named(sender: Sender) -> None:
    ids = [sender.whole(DATA, "b.csv"), sender.whole(xlsx(Sales=SALES), "a.xlsx")]
    files = sender.take(*reversed(ids)).json["files"]
    assert [file["name"] for file in files] == ["a.xlsx", "b.csv"]
    assert sender.status()["files"] == files


def test_the_files_of_a_form_are_replaced_and_their_report_is_dropped(sender: Sender) -> None:
    sender.has_report(("old.csv", b"a,b\nx,1\n"))
    assert sender.take(sender.whole()).status_code == 201
    assert sender.stored() == [DATA]
    assert error(sender.get("/api/report")) == (409, "not_ready")
    sender.upload(("form.csv", b"a\n1\n"))
    assert sender.stored() == [b"a\n1\n"]


def test_taking_twice_is_taking_once(sender: Sender) -> None:
    upload = sender.whole()
    first = sender.take(upload)
    assert sender.take(upload).json == first.json
    assert sender.stored() == [DATA]


def test_nothing_is_a_file_before_it_is_taken(sender: Sender) -> None:
    sender.whole()
    sender.create(DATA[:100], len(DATA))
    assert sender.stored() == []
    assert sender.status()["files"] == []


# Broken off


def test_what_came_before_the_connection_broke_counts(sender: Sender) -> None:
    upload = sender.created()
    sender.torn(upload, 0, DATA, 5000)
    assert sender.offset(upload) == 5000
    sender.torn(upload, 5000, DATA[5000:], 1)
    assert sender.offset(upload) == 5001
    assert sender.append(upload, 5001, DATA[5001:], True).status_code == 200
    assert sender.take(upload).json["files"][0]["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert sender.stored() == [DATA]


def test_s20_a_silent_sender_is_let_go(make_app: MakeApp) -> None:
    sender = Sender(make_app(SILO_UPLOAD_IDLE=0.05))
    upload = sender.created()
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb", buffering=0) as stream:
        theirs.sendall(DATA[:5000])
        given = handed(stream, len(DATA))
        given["environ_overrides"]["gunicorn.socket"] = ours
        answer = sender.append(upload, 0, b"", True, **given)
    assert answer.status_code == 400
    assert answer.headers["Upload-Offset"] == "5000"
    assert sender.offset(upload) == 5000


def test_an_upload_that_was_cut_is_not_complete(sender: Sender) -> None:
    upload = sender.created()
    sender.torn(upload, 0, DATA, len(DATA) - 1)
    assert sender.ask(upload).headers["Upload-Complete"] == "?0"
    assert error(sender.take(upload)) == (409, "upload_incomplete")


def test_all_bytes_without_the_word_that_they_are_all(sender: Sender) -> None:
    upload = sender.created()
    sender.append(upload, 0, DATA)
    assert sender.ask(upload).headers["Upload-Complete"] == "?0"
    assert error(sender.take(upload)) == (409, "upload_incomplete")
    assert sender.append(upload, len(DATA), b"", True).status_code == 200
    assert sender.take(upload).status_code == 201


def test_s19_a_creation_that_breaks_off_leaves_nothing(sender: Sender) -> None:
    answer = sender.post(
        "/api/uploads",
        headers={"Content-Disposition": "attachment; filename=a.csv"},
        **handed(Torn(DATA[:5000]), len(DATA)),
    )
    assert error(answer) == (400, "cut_off")
    assert sender.lies_there() == []


def test_a_new_server_goes_on_where_the_old_one_was(make_app: MakeApp) -> None:
    sender = Sender(make_app())
    upload = sender.created()
    sender.torn(upload, 0, DATA, 5000)
    again = Sender(make_app(), sender.sid)
    assert again.offset(upload) == 5000
    assert again.append(upload, 5000, DATA[5000:], True).status_code == 200
    again.take(upload)
    assert again.stored() == [DATA]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    data=st.binary(min_size=1, max_size=20_000).map(lambda data: b"a" + data.replace(b"\0", b"0")),
    cuts=st.lists(st.integers(0, 20_000), max_size=8),
    says=st.lists(st.sampled_from(["torn", "whole", "wrong"]), min_size=8, max_size=8),
)
def test_s19_wherever_it_breaks_the_bytes_are_those_that_were_sent(
    app: Flask, data: bytes, cuts: list[int], says: list[str]
) -> None:
    sender = Sender(app)
    upload = sender.created(len(data))
    for cut, way in zip(cuts, says, strict=False):
        offset = sender.offset(upload)
        rest = data[offset:]
        if way == "wrong":
            wrong = sender.append(upload, offset + 1 + cut, b"x")
            assert wrong.status_code == 409
        elif way == "torn" and rest:
            sender.torn(upload, offset, rest, min(cut, len(rest) - 1))
        elif rest:
            sender.append(upload, offset, rest[: cut + 1])
    if sender.ask(upload).headers["Upload-Complete"] == "?0":
        offset = sender.offset(upload)
        assert sender.append(upload, offset, data[offset:], True).status_code == 200
    assert sender.take(upload).json["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert sender.stored() == [data]


# Where it does not fit


def test_another_offset_is_refused_with_the_right_one(sender: Sender) -> None:
    upload = sender.created()
    sender.append(upload, 0, DATA[:100])
    for offset in (0, 99, 101, len(DATA)):
        answer = sender.append(upload, offset, DATA[offset : offset + 10])
        assert kind(answer) == (409, "mismatching_offset", "mismatching-upload-offset")
        assert answer.json["expected-offset"] == 100
        assert answer.json["provided-offset"] == offset
        assert answer.headers["Upload-Offset"] == "100"
    assert sender.offset(upload) == 100


def test_who_comes_again_ends_the_connection_before(sender: Sender) -> None:
    upload = sender.created()
    again = Sender(sender.app, sender.sid)
    offsets: list[int] = []
    sender.append(upload, 0, DATA[:100])
    stalled = Arriving(DATA[100:], once(lambda: offsets.append(again.offset(upload))))
    late = sender.append(upload, 100, b"", True, **handed(stalled, len(DATA) - 100))
    assert kind(late) == (409, "mismatching_offset", "mismatching-upload-offset")
    assert late.json["expected-offset"] == 100
    assert offsets == [100]
    assert sender.append(upload, offsets[0], DATA[100:], True).status_code == 200
    sender.take(upload)
    assert sender.stored() == [DATA]


def test_a_connection_that_was_given_up_takes_no_file_along_when_it_ends(
    sender: Sender,
) -> None:
    """It may end long after: when the server has waited enough, or the client's host is back."""
    upload = sender.created()
    again = Sender(sender.app, sender.sid)

    def meanwhile() -> None:
        assert again.append(upload, again.offset(upload), DATA, True).status_code == 200
        assert again.take(upload).status_code == 201

    stalled = Arriving(DATA, once(meanwhile))
    late = sender.append(upload, 0, b"", True, **handed(stalled, len(DATA)))
    assert error(late) == (409, "busy")
    assert sender.stored() == [DATA]


def test_who_comes_again_to_another_process_does_so_too(make_app: MakeApp) -> None:
    sender = Sender(make_app())
    upload = sender.created()
    again = Sender(make_app(), sender.sid)
    offsets: list[int] = []
    stalled = Arriving(DATA, once(lambda: offsets.append(again.offset(upload))))
    late = sender.append(upload, 0, b"", True, **handed(stalled, len(DATA)))
    assert kind(late) == (409, "mismatching_offset", "mismatching-upload-offset")
    assert offsets == [0]
    assert again.append(upload, 0, DATA, True).status_code == 200


def test_of_two_connections_at_one_offset_one_is_told(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BEAT_SECONDS", 1)
    monkeypatch.setattr(time, "sleep", Mock())
    upload = sender.created()
    again = Sender(sender.app, sender.sid)
    answers: list[Answer] = []

    def overtake() -> None:
        answers.append(again.append(upload, 0, DATA[:7000]))

    late = sender.append(upload, 0, DATA, **handed(Arriving(DATA, once(overtake)), len(DATA)))
    assert answers[0].status_code == 204
    assert kind(late) == (409, "mismatching_offset", "mismatching-upload-offset")
    assert late.json["expected-offset"] == 7000
    assert sender.append(upload, 7000, DATA[7000:], True).status_code == 200
    sender.take(upload)
    assert sender.stored() == [DATA]


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload-Offset": ""},
        {"Upload-Offset": "-1"},
        {"Upload-Offset": "1.0"},
        {"Upload-Offset": "1" * 16},
        {"Upload-Complete": ""},
        {"Upload-Complete": "1"},
        {"Upload-Complete": "?2"},
    ],
)
def test_a_header_that_is_not_as_it_should_be_counts_as_none(
    sender: Sender, headers: dict[str, str]
) -> None:
    upload = sender.created()
    assert error(sender.append(upload, 0, DATA, headers=headers)) == (400, "bad_request")
    assert sender.offset(upload) == 0


def test_parameters_of_a_header_do_not_matter(sender: Sender) -> None:
    upload = sender.created()
    headers = {"Upload-Offset": "0;x=1", "Upload-Complete": "?1;y"}
    assert sender.append(upload, 0, DATA, headers=headers).status_code == 200


def test_bytes_of_another_content_type(sender: Sender) -> None:
    upload = sender.created()
    answer = sender.append(upload, 0, DATA, headers={"Content-Type": "text/csv"})
    assert error(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("at", "data", "complete", "headers"),
    [
        (0, DATA + b"x", False, {}),
        (0, DATA + b"x", True, {}),
        (0, DATA[:-1], True, {}),
        (0, DATA, True, {"Upload-Length": str(len(DATA) - 1)}),
        (0, DATA[:5], False, {"Upload-Length": str(len(DATA) + 1)}),
    ],
)
def test_a_length_that_is_not_the_one_that_was_told(
    sender: Sender, at: int, data: bytes, complete: bool, headers: dict[str, str]
) -> None:
    upload = sender.created()
    answer = sender.append(upload, at, data, complete, headers=headers)
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    assert sender.offset(upload) == 0


def test_a_body_of_unknown_length_cannot_go_beyond_the_upload(sender: Sender) -> None:
    upload = sender.created(len(DATA))
    answer = sender.append(upload, 0, b"", True, **handed(Arriving(DATA + b"x")))
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    assert sender.ask(upload).status_code == 404
    assert sender.lies_there() == []


def test_a_body_of_unknown_length_that_ends_too_soon_completes_nothing(sender: Sender) -> None:
    upload = sender.created(len(DATA))
    answer = sender.append(upload, 0, b"", True, **handed(Arriving(DATA[:-1])))
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    assert sender.append(upload, len(DATA) - 1, DATA[-1:], True).status_code == 200


def test_nothing_is_added_to_what_is_complete(sender: Sender) -> None:
    upload = sender.whole()
    assert sender.ask(upload).headers["Upload-Complete"] == "?1"
    assert sender.offset(upload) == len(DATA)
    answer = sender.append(upload, len(DATA), b"", True)
    assert kind(answer) == (400, "completed_upload", "completed-upload")
    assert answer.headers["Upload-Complete"] == "?1"
    answer = sender.append(upload, len(DATA), b"x", True)
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    sender.take(upload)
    assert sender.stored() == [DATA]


# Refused


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.pdf", b"%PDF-1.7", (415, "unsupported_type")),
        ("a", DATA, (415, "unsupported_type")),
        ("a.xlsx", DATA, (415, "unsupported_type")),
        ("a.csv", b"", (422, "empty_file")),
    ],
)
def test_a_file_that_cannot_be_read(
    sender: Sender, name: str, data: bytes, code: tuple[int, str]
) -> None:
    assert error(sender.create(data, name=name)) == code
    assert sender.sid == "" or sender.lies_there() == []


def test_s16_a_wrong_type_is_told_before_the_rest_is_sent(sender: Sender) -> None:
    upload = sender.created(name="a.xlsx")
    assert sender.append(upload, 0, DATA[:4000]).status_code == 204
    answer = sender.append(upload, 4000, DATA[4000:4100])
    assert error(answer) == (415, "unsupported_type")
    assert sender.ask(upload).status_code == 404
    assert sender.lies_there() == []


def test_a_short_file_is_checked_when_it_is_there(sender: Sender) -> None:
    upload = sender.created(8, name="a.xlsx")
    assert sender.append(upload, 0, b"a,b\n").status_code == 204
    assert error(sender.append(upload, 4, b"1,2\n", True)) == (415, "unsupported_type")
    assert sender.lies_there() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Disposition": ""},
        {"Content-Disposition": "attachment"},
        {"Upload-Length": "", "Upload-Complete": "?0"},
        {"Upload-Length": "many", "Upload-Complete": "?0"},
    ],
)
def test_a_creation_that_does_not_say_what_comes(sender: Sender, headers: dict[str, str]) -> None:
    assert error(sender.create(headers=headers)) == (400, "bad_request")
    assert sender.sid == ""


def test_a_creation_whose_lengths_differ(sender: Sender) -> None:
    answer = sender.create(DATA, headers={"Upload-Length": "5"})
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    answer = sender.create(DATA, 5)
    assert kind(answer) == (400, "inconsistent_length", "inconsistent-upload-length")
    assert sender.sid == ""


def test_s17_a_file_that_is_too_large_is_refused_before_it_is_sent(sender: Sender) -> None:
    answer = sender.create(length=2**20 + 1)
    assert error(answer) == (413, "too_large")
    assert answer.json["detail"] == "sales.csv is too large: a file may hold 1 MB."
    assert answer.headers["Upload-Limit"].startswith("max-size=1048576")
    assert sender.sid == ""


def test_s17_the_quota_counts_what_others_are_to_hold(sender: Sender) -> None:
    first, second = sender.created(2**20), sender.created(2**20)
    answer = sender.create(length=1)
    assert error(answer) == (413, "too_large")
    assert answer.json["detail"] == "Your files may hold 2 MB in all."
    assert "Upload-Limit" in answer.headers
    sender.call("DELETE", f"/api/uploads/{first}")
    assert sender.create(length=2**20).status_code == 201
    assert sender.ask(second).status_code == 204


def test_s17_the_quota_holds_for_many_at_once(sender: Sender) -> None:
    sender.created(1)

    def create(_: int) -> int:
        return Sender(sender.app, sender.sid).create(length=2**19).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(8)))
    assert statuses == [201] * 3 + [413] * 5


def test_a_smaller_quota_holds_at_the_end_too(make_app: MakeApp) -> None:
    sender = Sender(make_app(SILO_SESSION_QUOTA_MB=2))
    ids = [sender.whole(b"a" * 2**20), sender.whole(b"b" * 2**20)]
    less = Sender(make_app(SILO_SESSION_QUOTA_MB=1), sender.sid)
    assert error(less.take(*ids)) == (413, "too_large")
    assert less.take(ids[1]).status_code == 201


def test_uploads_at_a_time_are_numbered(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_PENDING", 2)
    sender.created(1)
    sender.created(1)
    assert error(sender.create(length=1)) == (409, "too_many_uploads")


def test_a_running_job_keeps_its_files(held: Person) -> None:
    sender = Sender(held.app, held.sid)
    assert error(sender.create(DATA)) == (409, "already_running")
    assert sender.post("/api/uploads", data=DATA).status_code == 400  # it may never be sent so
    assert error(sender.take("0" * 32)) == (409, "already_running")
    assert [file["name"] for file in sender.status()["files"]] == ["sales.xlsx"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"json": {}}, (422, "no_file")),
        ({"json": []}, (422, "no_file")),
        ({"json": {"uploads": []}}, (422, "no_file")),
        ({"json": {"uploads": "abc"}}, (422, "invalid_uploads")),
        ({"json": {"uploads": [1]}}, (422, "invalid_uploads")),
        ({"json": {"uploads": ["a", "a"]}}, (422, "invalid_uploads")),
        ({"data": b"{", "content_type": "application/json"}, (400, "bad_request")),
        ({"json": {"uploads": ["a" * 2**20]}}, (413, "too_large")),
    ],
)
def test_uploads_that_are_not_named_as_they_should_be(
    sender: Sender, given: dict[str, Any], code: tuple[int, str]
) -> None:
    assert error(sender.post("/api/upload", **given)) == code


# Whose it is, and for how long


def test_s05_an_upload_of_another_session_is_unknown(sender: Sender) -> None:
    upload = sender.whole()
    other = Sender(sender.app)
    assert other.ask(upload).status_code == 404
    other.whole(b"a\n1\n")
    assert other.ask(upload).status_code == 404
    assert error(other.append(upload, 0, DATA)) == (404, "unknown_upload")
    assert error(other.call("DELETE", f"/api/uploads/{upload}")) == (404, "unknown_upload")
    assert error(other.take(upload)) == (404, "unknown_upload")
    assert sender.take(upload).status_code == 201


def test_a_deleted_upload_leaves_nothing(sender: Sender) -> None:
    upload = sender.created()
    sender.append(upload, 0, DATA[:100])
    assert sender.call("DELETE", f"/api/uploads/{upload}").status_code == 204
    assert sender.lies_there() == []
    assert sender.ask(upload).status_code == 404
    assert error(sender.append(upload, 100, DATA[100:])) == (404, "unknown_upload")


def test_an_upload_that_becomes_a_file_while_it_is_deleted_stays_one(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = sender.whole()
    remove = pending.Pending.remove

    def late(uploads: pending.Pending, each: str) -> None:
        assert Sender(sender.app, sender.sid).take(upload).status_code == 201
        remove(uploads, each)

    monkeypatch.setattr(pending.Pending, "remove", late)
    sender.call("DELETE", f"/api/uploads/{upload}")
    assert sender.stored() == [DATA]


def test_a_reset_takes_the_uploads_along(sender: Sender) -> None:
    upload = sender.created()
    sender.append(upload, 0, DATA[:100])
    sender.post("/api/reset")
    assert sender.lies_there() == []
    assert sender.ask(upload).status_code == 404


def test_uploads_end_with_their_session(make_app: MakeApp, clock: Clock) -> None:
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created()
    sender.append(upload, 0, DATA[:100])
    clock.advance(61)
    assert sender.ask(upload).status_code == 410
    assert error(sender.append(upload, 100, DATA[100:], True)) == (410, "session_expired")
    assert error(sender.take(upload)) == (410, "session_expired")
    sender.app.extensions["silo"].store.cleanup()
    assert sender.lies_there() == []
    assert sender.create(DATA).status_code == 201


def test_bytes_that_arrive_keep_the_session(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BEAT_SECONDS", -1)
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created(2**19)
    began = clock()
    slow = Arriving(b"a,b\n" * 2**17, lambda: clock.advance(20))
    answer = sender.append(upload, 0, b"", True, **handed(slow, 2**19))
    assert clock() - began > 120
    assert answer.status_code == 200
    assert sender.take(upload).status_code == 201


def test_to_ask_keeps_the_session(make_app: MakeApp, clock: Clock) -> None:
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created()
    for _ in range(3):
        clock.advance(40)
        assert sender.ask(upload).status_code == 204


def test_an_upload_that_arrives_slowly_is_not_given_up(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BEAT_SECONDS", -1)
    sender = Sender(make_app(SILO_TTL=60))
    upload, data = sender.created(2**20), b"a,b\n" * 2**18
    again = Sender(sender.app, sender.sid)
    pieces = iter(range(99))

    def pass_time() -> None:
        clock.advance(10)
        if next(pieces) == 9:
            assert again.create(length=1).status_code == 201

    slow = Arriving(data, pass_time)
    answer = sender.append(upload, 0, b"", True, **handed(slow, len(data)))
    assert answer.status_code == 200


def test_an_upload_that_was_given_up_makes_room(make_app: MakeApp, clock: Clock) -> None:
    sender = Sender(make_app(SILO_TTL=60, SILO_MAX_UPLOAD_MB=1, SILO_SESSION_QUOTA_MB=1))
    given_up, used = sender.created(2**19), sender.created(2**19)
    for n in range(3):
        clock.advance(25)
        assert sender.append(used, n, b"a").status_code == 204
    assert sender.create(length=2**19).status_code == 201
    assert sender.ask(given_up).status_code == 404
    assert sender.offset(used) == 3


@pytest.mark.parametrize("end", ["reset", "expiry", "delete"])
def test_s21_the_end_of_everything_while_bytes_arrive(
    make_app: MakeApp, clock: Clock, end: str
) -> None:
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created()
    again = Sender(sender.app, sender.sid)

    def expire() -> None:
        clock.advance(61)
        sender.app.extensions["silo"].store.cleanup()

    ends: dict[str, Callable[[], object]] = {
        "reset": lambda: again.post("/api/reset"),
        "expiry": expire,
        "delete": lambda: again.call("DELETE", f"/api/uploads/{upload}"),
    }
    answer = sender.append(upload, 0, b"", **handed(Arriving(DATA, once(ends[end])), len(DATA)))
    assert error(answer) in [(409, "busy"), (410, "session_expired")]
    assert sender.lies_there() == []
    assert sender.create(DATA).status_code == 201


def test_s21_a_session_that_ends_without_its_files_going_yet(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beat finds out, and the cleanup, which comes later, finds the part."""
    monkeypatch.setattr(body, "BEAT_SECONDS", -1)
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created()
    arriving = Arriving(DATA, once(lambda: clock.advance(61)))
    answer = sender.append(upload, 0, b"", True, **handed(arriving, len(DATA)))
    assert error(answer) == (410, "session_expired")
    sender.app.extensions["silo"].store.cleanup()
    assert sender.lies_there() == []


def test_a_session_that_ends_at_that_very_moment_is_not_begun_anew(
    make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(make_app(SILO_TTL=60))
    upload = sender.created()
    store = sender.app.extensions["silo"].store
    lock, late = store.locks.acquire, once(lambda: clock.advance(61))
    monkeypatch.setattr(store.locks, "acquire", lambda key: (late(), lock(key))[1])
    assert error(sender.append(upload, 0, DATA, True)) == (410, "session_expired")
    assert not store.exists(sender.sid)


# When nothing can be stored


def test_a_full_disk_keeps_the_offset_honest(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = sender.created()
    sender.append(upload, 0, DATA[:100])
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", Mock(side_effect=FULL))
        assert error(sender.append(upload, 100, DATA[100:200])) == (507, "no_space")
    offset = sender.offset(upload)
    assert sender.append(upload, offset, DATA[offset:], True).status_code == 200
    sender.take(upload)
    assert sender.stored() == [DATA]


def test_a_full_disk_at_the_creation(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalPlace, "begin", Mock(side_effect=FULL))
        assert error(sender.create(length=10)) == (507, "no_space")
    assert sender.create(DATA).status_code == 201


def test_a_store_that_is_full_at_the_end_takes_them_later(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.upload(("old.csv", b"a\n1\n"))
    upload = sender.whole()

    def full(held: Transaction, also: object) -> None:
        held.rollback()
        raise StoreFull

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", full)
        assert error(sender.take(upload)) == (507, "no_space")
    assert [file["name"] for file in sender.status()["files"]] == ["old.csv"]
    assert sender.offset(upload) == len(DATA)
    assert sender.take(upload).status_code == 201
    assert sender.stored() == [DATA]


def test_a_creation_that_comes_again_under_its_key_is_the_same_upload(sender: Sender) -> None:
    headers = {
        "Content-Disposition": "attachment; filename=sales.csv",
        "Idempotency-Key": '"4be0643f-1d98-573b-97cd-ca98a65347dd"',
        "Upload-Complete": "?0",
        "Upload-Length": "100",
    }
    first, again = (sender.post("/api/uploads", headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = sender.post("/api/uploads", headers={**headers, "Upload-Length": "99"})
    assert error(other) == (422, "idempotency_mismatch")
