"""How often a client may do what costs something, and what becomes of one call too many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backends import URLS
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }}.config import Settings
from {{ cookiecutter.package_name }}.keys import Keys
from {{ cookiecutter.package_name }}.ratelimits import in_words, network
from {{ cookiecutter.package_name }}.silo.errors import SiloError, StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Step

from .conftest import MakeApp
from .person import SALES, Answer, Person, csv_text, error
from .steps import Gate

DATA = csv_text(SALES)
LIMITS = [name.upper() for name in Settings.model_fields if name.startswith("silo_limit_")]
TOO_OFTEN = (429, "too_often")
NAMED = {"Content-Disposition": "attachment; filename=sales.csv"}

Limited = Callable[..., Flask]


@pytest.fixture(params=URLS)
def limited(request: pytest.FixtureRequest, make_app: MakeApp, tmp_path: Path) -> Limited:
    """`limited(jobs="2/minute")` is an app, on each store, in which everything else is not."""

    def make(**limits: str) -> Flask:
        off = dict.fromkeys(LIMITS, "off")
        given = {f"SILO_LIMIT_{name.upper()}": limit for name, limit in limits.items()}
        return make_app(
            SILO_RUNNER="thread", SILO_STORE_URL=URLS[request.param](tmp_path), **{**off, **given}
        )

    return make


def create(person: Person, data: bytes = DATA, **headers: str) -> Answer:
    """Send a file as an upload of its own."""
    return person.post("/api/uploads", data=data, headers={**NAMED, **headers})


def process(person: Person) -> Answer:
    """Start a job, and wait for its end."""
    answer = person.process()
    if answer.status_code == 202:
        person.end()
    return answer


def upload(person: Person) -> Answer:
    """Send a file in a form."""
    return person.upload(("a.csv", DATA))


def at(app: Flask, address: str, forwarded: str = "") -> Person:
    """Somebody at this address, who says of themselves where they are."""
    person = Person(app)
    person.client.environ_base["REMOTE_ADDR"] = address
    if forwarded:
        person.client.environ_base["HTTP_X_FORWARDED_FOR"] = forwarded
    return person


def sessions(app: Flask) -> int:
    return int(app.extensions["silo"].store.active_count)


def bytes_stored(app: Flask) -> int:
    return int(app.extensions["silo"].file_store("files").total_size_bytes)


# Each limit

CALLS: list[tuple[str, str, Callable[[Person], Answer]]] = [
    ("uploads", "You upload too often.", upload),
    ("uploads", "You upload too often.", create),
    ("address_uploads", "Too many uploads come from where you are.", create),
    ("jobs", "You start jobs too often.", process),
    ("downloads", "You download too often.", lambda person: person.get("/api/report")),
    ("downloads", "You download too often.", lambda person: person.get("/api/report.xlsx")),
    ("downloads", "You download too often.", lambda person: person.post("/api/report/link")),
]


@pytest.mark.parametrize(("name", "sentence", "call"), CALLS)
def test_s38_one_call_too_many_is_refused_until_the_time_is_over(
    limited: Limited,
    clock: Clock,
    name: str,
    sentence: str,
    call: Callable[[Person], Answer],
) -> None:
    person = Person(limited(**{name: "3/minute"}))
    person.upload(("a.csv", DATA))
    allowed = 2 if name == "address_uploads" else 3
    assert TOO_OFTEN[0] not in [call(person).status_code for _ in range(allowed)]
    clock.advance(10.5)
    refused = call(person)
    assert error(refused) == TOO_OFTEN
    assert refused.headers["Retry-After"] == "50"
    assert refused.json["detail"] == f"{sentence} Try again in 50 seconds."
    clock.advance(49)
    assert call(person).headers["Retry-After"] == "1"
    clock.advance(0.5)
    assert call(person).status_code != TOO_OFTEN[0]


def test_s38_sessions_are_limited_and_those_that_there_are_go_on(
    limited: Limited, clock: Clock
) -> None:
    app = limited(sessions="2/hour")
    first, second = Person(app), Person(app)
    assert first.upload(("a.csv", DATA)).status_code == create(second).status_code == 201
    stored = bytes_stored(app)
    for third, call in ((Person(app), upload), (Person(app), create)):
        refused = call(third)
        assert error(refused) == TOO_OFTEN
        assert refused.headers["Retry-After"] == "3600"
        said = "Too many people begin where you are. Try again in 60 minutes."
        assert refused.json["detail"] == said
        assert "X-Session-ID" not in refused.headers
        assert third.status()["session"] == "none"
    assert sessions(app) == 2
    assert bytes_stored(app) == stored
    assert first.upload(("b.csv", DATA)).status_code == create(first).status_code == 201
    clock.advance(3599)
    assert error(create(Person(app))) == TOO_OFTEN
    clock.advance(1)
    assert create(Person(app)).status_code == 201


def test_s38_a_call_of_ones_own_that_begins_a_session_is_limited_too(limited: Limited) -> None:
    app = limited(sessions="2/hour")

    @app.post("/api/mine")
    def mine() -> dict[str, Any]:
        state: dict[str, Any] = app.extensions["silo"].state("work")
        return {"files": state["files"]}

    @app.get("/api/yours")
    def yours() -> str:
        return "nobody" if not app.extensions["silo"].sid else "somebody"

    assert Person(app).post("/api/mine").status_code == 200
    assert Person(app).get("/api/yours").status_code == 200
    assert error(Person(app).post("/api/mine")) == TOO_OFTEN
    assert error(Person(app).get("/api/yours")) == TOO_OFTEN
    assert sessions(app) == 2


def test_s38_a_session_that_has_ended_and_begins_anew_counts(
    limited: Limited, clock: Clock
) -> None:
    app = limited(sessions="1/day")
    person = Person(app)
    person.upload(("a.csv", DATA))
    clock.advance(3600)
    for _ in range(2):
        assert error(person.upload(("a.csv", DATA))) == TOO_OFTEN
        assert person.status()["session"] == "expired"


def test_s38_a_refused_call_does_not_keep_the_session_alive(limited: Limited, clock: Clock) -> None:
    app = limited(uploads="1/day", downloads="1/day", jobs="1/day")
    person = Person(app)
    person.has_report()
    create(person)
    clock.advance(3000)
    for refused in (create(person), person.process(), person.get("/api/report")):
        assert error(refused) == TOO_OFTEN
    assert person.status()["expires_in"] == pytest.approx(600, abs=2)
    assert person.status()["job"]["complete"], "and its report is as it was"
    clock.advance(601)
    assert person.status()["session"] == "expired"


def test_s38_a_refused_call_stores_nothing_and_lets_its_key_go(
    limited: Limited, clock: Clock
) -> None:
    app = limited(uploads="1/minute")
    person, key = Person(app), {"Idempotency-Key": '"0f2d8e8a-5a47-4c0e-9c0e-0c4f4a1e6a11"'}
    for _ in range(2):
        person.upload(("a.csv", DATA))
    stored = person.stored()
    for _ in range(3):
        assert error(create(person, DATA, **key)) == TOO_OFTEN
        assert error(person.upload(("b.csv", DATA * 100))) == TOO_OFTEN
    assert person.stored() == stored
    assert [file["name"] for file in person.status()["files"]] == ["a.csv"]
    clock.advance(60)
    answer = create(person, DATA, **key)
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers


def test_s38_an_upload_in_many_pieces_counts_once(limited: Limited) -> None:
    person = Person(limited(uploads="2/hour"))
    person.upload(("a.csv", DATA))  # the first, with which the session begins, is its address's
    told = {"Upload-Complete": "?0", "Upload-Length": str(len(DATA))}
    created = create(person, b"", **told)
    upload = created.headers["Location"]
    for offset, byte in enumerate(DATA):
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": f"?{offset + 1 == len(DATA):d}",
        }
        answer = person.call("PATCH", upload, data=bytes([byte]), headers=headers)
        assert answer.status_code in (200, 204)
        assert person.call("HEAD", upload).status_code == 204
    for _ in range(5):
        taken = person.post("/api/upload", json={"uploads": [created.json["id"]]})
        assert taken.status_code == 201
    assert create(person).status_code == 201
    assert error(create(person)) == TOO_OFTEN


def test_s38_a_creation_does_not_pass_for_something_else(limited: Limited) -> None:
    person = Person(limited(uploads="1/hour"))
    person.upload(("a.csv", DATA))
    assert create(person).status_code == 201
    assert error(create(person, DATA, **{"Content-Type": "application/json"})) == TOO_OFTEN


def test_s38_a_session_is_not_counted_for_another_but_their_address_is(limited: Limited) -> None:
    app = limited(uploads="2/hour", address_uploads="6/hour")
    people = [Person(app), Person(app)]
    for _ in range(3):
        assert [create(person).status_code for person in people] == [201, 201]
    assert create(people[0]).json["detail"].startswith("You upload too often.")
    assert create(Person(app)).json["detail"].startswith("Too many uploads come from")
    elsewhere = at(app, "203.0.113.9")
    assert create(elsewhere).status_code == 201
    elsewhere.sid = people[1].sid
    assert create(elsewhere).json["detail"].startswith("You upload too often.")


def test_s38_a_link_is_counted_for_the_session_that_it_is_of(limited: Limited) -> None:
    app = limited(downloads="4/hour")
    person, other = Person(app), Person(app)
    for each in (person, other):
        each.has_report()  # one
    link = person.post("/api/report/link").json["url"]  # two
    anybody = Person(app)
    assert [anybody.get(link).status_code for _ in range(3)] == [200, 200, 429]
    assert error(person.get("/api/report")) == TOO_OFTEN
    assert other.get("/api/report.xlsx").status_code == 200
    assert error(anybody.get(f"{link}x")) == (403, "forbidden_link")


def test_s38_what_is_not_limited_is_never_refused(make_app: MakeApp) -> None:
    once = dict.fromkeys(LIMITS, "1/day")
    person = Person(make_app(SILO_RUNNER="thread", **once))
    person.upload(("a.csv", DATA))
    free = ["/", "/healthz", "/readyz", "/api/status", "/api/options", "/api/progress"]
    free += ["/api/openapi.json", "/api/nothing", "/static/app.js"]
    for path in free:
        assert {person.get(path).status_code for _ in range(5)} <= {200, 404}
    for _ in range(5):
        assert person.post("/api/cancel").status_code == 409
        assert person.post("/api/reset").status_code == 204
        assert person.call("OPTIONS", "/api/uploads").status_code == 204


def test_s38_only_jobs_that_start_count(limited: Limited, gate: Gate) -> None:
    """Neither a second click, nor the same call again under its key, nor one with wrong options."""
    person = Person(limited(jobs="2/hour"))
    assert error(person.process()) == (409, "nothing_uploaded")
    person.upload(("a.csv", DATA))
    assert error(person.process(largest=0)) == (422, "invalid_options")
    key = {"Idempotency-Key": '"b1e9bd8c-8f2b-49a2-b1a9-0c0f4d9c9f11"'}
    for _ in range(5):
        assert person.post("/api/process", json={}, headers=key).status_code == 202
        assert error(person.process()) == (409, "already_running")
    gate.open.set()
    person.end()
    assert process(person).status_code == 202
    before = person.status()
    assert error(person.process()) == TOO_OFTEN
    assert {**person.status(), "expires_in": 0} == {**before, "expires_in": 0}


def test_s38_off_is_no_limit(limited: Limited) -> None:
    person = Person(limited())
    for _ in range(30):
        assert create(person).status_code == 201


def test_s38_of_several_limits_each_holds(limited: Limited, clock: Clock) -> None:
    person = Person(limited(jobs="2/minute; 3/hour"))
    person.upload(("a.csv", DATA))
    waits = []
    for _ in range(3):
        waits += [process(person).headers.get("Retry-After") for _ in range(2)]
        clock.advance(60)
    assert waits == [None, None, None, "3540", "3480", "3480"]


def test_s38_nobody_waits_longer_than_the_window_when_the_clock_is_set_back(
    limited: Limited, clock: Clock
) -> None:
    person = Person(limited(jobs="1/minute"))
    person.upload(("a.csv", DATA))
    process(person)
    clock.advance(-1000)
    assert process(person).headers["Retry-After"] == "60"


def test_s38_nobody_is_bothered_by_the_defaults(make_app: MakeApp) -> None:
    """An office behind one address: 60 people who begin at once, and one with 100 files."""
    app = make_app(SILO_RUNNER="thread")
    for _ in range(60):
        assert create(Person(app)).status_code == 201
    busy = Person(app)
    for _ in range(100):
        assert create(busy).status_code == 201
    for _ in range(20):
        assert busy.get("/api/report").status_code == 409


# Who is counted


def test_s38_apps_of_one_process_count_for_themselves(
    limited: Limited, make_app: MakeApp, tmp_path: Any
) -> None:
    one = limited(sessions="1/hour")
    other = make_app(SILO_DATA_DIR=tmp_path / "other", SILO_LIMIT_SESSIONS="1/hour")
    for app in (one, other):
        assert create(Person(app)).status_code == 201
        assert error(create(Person(app))) == TOO_OFTEN


def test_s38_apps_over_one_store_count_together(make_app: MakeApp) -> None:
    one, other = (make_app(SILO_LIMIT_SESSIONS="2/hour") for _ in range(2))
    assert create(Person(one)).status_code == create(Person(other)).status_code == 201
    for app in (one, other):
        assert error(create(Person(app))) == TOO_OFTEN


def test_s38_a_program_is_known_by_its_key_and_not_by_its_address(make_app: MakeApp) -> None:
    app = make_app(
        SILO_REQUIRE_KEY="1", SILO_LIMIT_SESSIONS="1/hour", SILO_LIMIT_ADDRESS_UPLOADS="3/hour"
    )
    keys = Keys(app.extensions["silo"].store.records)
    first, second = (keys.create(name, ["upload"]) for name in ("first", "second"))

    def call(key: str, address: str, sid: str = "") -> Answer:
        person = at(app, address)
        person.sid = sid
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return create(person, DATA, **headers)

    begun = call(first, "203.0.113.1")
    assert begun.status_code == 201
    assert error(call(first, "203.0.113.2")) == TOO_OFTEN
    assert call(second, "203.0.113.1").status_code == 201
    for key in ("", "silo_0123456789abcdef_" + "x" * 43):
        assert error(call(key, "203.0.113.1")) == (401, "no_key")
    sid = begun.headers["X-Session-ID"]
    assert call(first, "203.0.113.3", sid).status_code == 201
    assert error(call(first, "203.0.113.4", sid)) == TOO_OFTEN, "of the key's three"
    assert call(second, "203.0.113.4", sid).status_code == 201


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::1", "::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_s38_a_client_is_an_address_or_a_network_of_ipv6(address: str, counted: str) -> None:
    assert network(address) == counted


def test_s13_without_a_proxy_nobody_says_where_they_are(make_app: MakeApp) -> None:
    app = make_app(SILO_LIMIT_SESSIONS="2/hour", SILO_TRUSTED_PROXIES=0)
    for number in range(2):
        evading = at(app, "203.0.113.1", f"198.51.100.{number}")
        assert create(evading).status_code == 201
    assert error(create(at(app, "203.0.113.1", "198.51.100.9"))) == TOO_OFTEN, "not evaded"
    assert create(at(app, "198.51.100.0")).status_code == 201, "and nobody framed"


def test_s13_of_a_proxy_only_what_it_adds_itself_counts(make_app: MakeApp) -> None:
    app = make_app(SILO_LIMIT_SESSIONS="2/hour", SILO_TRUSTED_PROXIES=1)
    for number in range(2):
        evading = at(app, "10.0.0.1", f"198.51.100.{number}, 203.0.113.1")
        assert create(evading).status_code == 201
    assert error(create(at(app, "10.0.0.1", "198.51.100.9, 203.0.113.1"))) == TOO_OFTEN
    assert error(create(at(app, "10.0.0.2", "203.0.113.1"))) == TOO_OFTEN, "by another proxy"
    assert create(at(app, "10.0.0.1", "198.51.100.0")).status_code == 201, "and nobody framed"
    assert create(at(app, "10.0.0.1", "203.0.113.2")).status_code == 201


# When it cannot be counted


def fail(app: Flask, monkeypatch: pytest.MonkeyPatch, failure: type[SiloError]) -> None:
    def apply(*steps: Step) -> int:
        raise failure

    monkeypatch.setattr(app.extensions["silo"].store.records, "apply", apply)


def test_s38_a_store_that_does_not_answer_refuses_what_it_cannot_count(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = limited(downloads="9/hour", sessions="9/hour")
    person = Person(app)
    person.has_report()
    link = person.post("/api/report/link").json["url"]
    with monkeypatch.context() as patch:
        fail(app, patch, StoreUnavailable)
        for refused in (person.get(link), create(Person(app))):
            assert error(refused) == (503, "unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
    assert person.get(link).status_code == 200


def test_s38_on_a_full_disk_a_report_can_still_be_fetched(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = limited(downloads="9/hour", uploads="9/hour", sessions="9/hour")
    person = Person(app)
    person.has_report()
    link = person.post("/api/report/link").json["url"]
    fail(app, monkeypatch, StoreFull)
    assert Person(app).get(link).status_code == 200
    assert error(create(person)) == error(create(Person(app))) == (507, "no_space")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "a second"),
        (2, "2 seconds"),
        (60, "60 seconds"),
        (61, "2 minutes"),
        (120, "2 minutes"),
        (121, "3 minutes"),
        (3600, "60 minutes"),
        (3601, "2 hours"),
        (86400, "24 hours"),
    ],
)
def test_s38_the_time_is_never_told_too_short(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
