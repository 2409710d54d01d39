"""`GET /metrics`: what it counts, who may see it, and what it must neither tell nor do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from support import Clock, eventually

from {{ cookiecutter.package_name }} import views
from {{ cookiecutter.package_name }}.keys import Keys, Scope
from {{ cookiecutter.package_name }}.silo.errors import StoreFull
from {{ cookiecutter.package_name }}.silo.records import Record, Records
from {{ cookiecutter.package_name }}.total import Total
from {{ cookiecutter.package_name }}.views import FILES

from . import steps
from .conftest import MakeApp
from .person import Answer, Person, error
from .steps import Gate

Figures = dict[tuple[str, ...], float]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An app whose figures begin at nothing."""
    return make_app(SILO_RUNNER="thread")


def scrape(app: Flask, **headers: str) -> Figures:
    """Every sample by its name and the values of its labels."""
    answer = Person(app).get("/metrics", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counted(app: Flask, name: str) -> Figures:
    return {labels[1:]: value for labels, value in scrape(app).items() if labels[0] == name}


def test_calls_are_counted_by_endpoint_method_and_kind_of_status(person: Person) -> None:
    for _ in range(3):
        person.get("/api/status")
    person.post("/api/process")
    person.upload()
    assert counted(person.app, "silo_requests_total") == {
        ("app.status", "GET", "2xx"): 3,
        ("app.process", "POST", "4xx"): 1,
        ("arrival.upload", "POST", "2xx"): 1,
    }
    assert counted(person.app, "silo_request_seconds_count")["app.status",] == 3
    assert counted(person.app, "silo_request_seconds_bucket")["app.status", "+Inf"] == 3


def test_what_anybody_can_make_up_is_one_label(person: Person) -> None:
    for number in range(50):
        person.get(f"/no/{number}")
        person.call(f"VERB{number}", "/no")
    calls = counted(person.app, "silo_requests_total")
    assert calls == {("none", "GET", "4xx"): 50, ("none", "other", "4xx"): 50}


def test_buckets_hold_what_was_as_fast(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("{{ cookiecutter.package_name }}.metrics.elapsed", lambda: 0.2)
    person.get("/healthz")
    buckets = counted(person.app, "silo_request_seconds_bucket")
    within = {bound for (endpoint, bound), n in buckets.items() if endpoint == "app.healthz" and n}
    assert within == {"0.25", "1.0", "5.0", "30.0", "+Inf"}
    assert counted(person.app, "silo_request_seconds_sum")["app.healthz",] == pytest.approx(0.2)


def test_jobs_are_counted_once_by_how_they_end(
    app: Flask, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    complete, failed, cancelled = Person(app), Person(app), Person(app)
    for person in (complete, failed, cancelled):
        person.upload()
    complete.process()
    assert complete.end().name == "complete"
    gate.open.clear()
    gate.began.clear()
    cancelled.process()
    assert gate.began.wait(60)
    assert counted(app, "silo_jobs_running")[()] == 1
    cancelled.post("/api/cancel")
    assert cancelled.end().name == "cancelled"
    monkeypatch.setattr(views, "run", steps.mistake)
    failed.process()
    assert failed.end().name == "failed"
    eventually(lambda: all(counted(app, "silo_jobs_total").values()))
    assert counted(app, "silo_jobs_total") == {("complete",): 1, ("cancelled",): 1, ("failed",): 1}
    assert eventually(lambda: counted(app, "silo_jobs_running")[()] == 0)


def test_a_job_that_waits_is_in_the_queue(app: Flask) -> None:
    jobs = app.extensions["silo"].store.runner.jobs
    jobs.records.apply(jobs.queue.joining("a", "low", None, 0.0))
    jobs.records.apply(jobs.queue.joining("b", "high", None, 10.0**12))
    assert counted(app, "silo_jobs_queued") == {(): 2}


def test_sessions_and_their_end_are_counted(app: Flask, clock: Clock) -> None:
    for _ in range(3):
        Person(app).upload()
    assert counted(app, "silo_sessions") == {(): 3}
    assert counted(app, "silo_sessions_expired_total") == {(): 0}
    clock.advance(4000)
    for _ in range(2):
        app.extensions["silo"].store.cleanup()
    assert counted(app, "silo_sessions") == {(): 0}
    assert counted(app, "silo_sessions_expired_total") == {(): 3}


def test_what_is_stored_is_looked_at_once_a_minute_and_in_no_request(
    app: Flask, clock: Clock
) -> None:
    files = app.extensions["silo"].file_store(FILES)
    cleanup = app.extensions["silo"].store.cleanup
    assert counted(app, "silo_stored_bytes") == {}
    cleanup()
    files.save("a" * 20, "a.csv", b"12345678")
    cleanup()
    assert counted(app, "silo_stored_bytes") == {(): 0}
    clock.advance(61)
    with patch.object(Total, "_walk", side_effect=AssertionError("a request walks")):
        assert counted(app, "silo_stored_bytes") == {(): 0}
    cleanup()
    assert counted(app, "silo_stored_bytes") == {(): 8}


# What it must not do, and not tell


def test_it_makes_no_session_takes_no_lock_and_looks_through_nothing(app: Flask) -> None:
    person = Person(app)
    person.has_report()
    sid = person.sid
    scrape(app)
    puts: list[Any] = []
    looks: list[Any] = []
    kind: type[Records] = type(app.extensions["silo"].store.records)
    apply, due = kind.apply, kind.due
    here = threading.get_ident()  # others may still see to the job

    def applied(records: Records, *given: Any) -> int:
        puts.extend(given if threading.get_ident() == here else ())
        return apply(records, *given)

    def looked(records: Records, *given: Any) -> list[tuple[str, Record]]:
        looks.extend(given if threading.get_ident() == here else ())
        return due(records, *given)

    with patch.object(kind, "apply", applied), patch.object(kind, "due", looked):
        answer = Person(app, sid).get("/metrics")
    assert answer.status_code == 200
    assert "X-Session-ID" not in answer.headers
    assert {step.kind for step in puts} <= {"counts"}
    assert looks == []


def test_s03_it_tells_no_session_and_no_file(person: Person) -> None:
    person.has_report(("a secret name.csv", b"a,b\n1,2\n"))
    link = person.post("/api/report/link").json["url"]
    person.get(link)
    person.get("/api/uploads/0123456789abcdef")
    told = person.get("/metrics").text
    bare, _, signature = person.sid.rpartition(".")
    for secret in (bare, signature, "secret name", "token", "uploads/", "0123456789abcdef"):
        assert secret not in told
    labels = set(re.findall(r'"([^"]*)"', told))
    assert all(re.fullmatch(r"[a-zA-Z_.]+|[245]xx|[0-9.]+|\+Inf", label) for label in labels)


def test_it_answers_while_the_store_takes_nothing(person: Person) -> None:
    person.get("/healthz")
    scrape(person.app)
    records = person.app.extensions["silo"].store.records
    with patch.object(type(records), "apply", side_effect=StoreFull):
        assert scrape(person.app)["silo_requests_total", "app.healthz", "GET", "2xx"] == 1


def test_two_apps_in_one_process_count_for_themselves(make_app: MakeApp, tmp_path: Any) -> None:
    one, two = make_app(), make_app(SILO_DATA_DIR=tmp_path / "other")
    Person(one).get("/healthz")
    assert counted(one, "silo_requests_total") == {("app.healthz", "GET", "2xx"): 1}
    assert counted(two, "silo_requests_total") == {}


# Who may see it


def ask(app: Flask, address: str = "203.0.113.7", **headers: str) -> Answer:
    """Ask from an address, with headers whose names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Person(app).get("/metrics", headers=named, environ_base={"REMOTE_ADDR": address})


def bearer(app: Flask, *scopes: Scope) -> str:
    return f"Bearer {Keys(app.extensions['silo'].store.records).create('watcher', scopes)}"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_program_of_this_machine_sees_it(app: Flask, address: str) -> None:
    assert ask(app, address).status_code == 200


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.1", "::2", "::ffff:10.0.0.1", "", "x"])
def test_others_do_not(app: Flask, address: str) -> None:
    answer = ask(app, address)
    assert error(answer) == (401, "no_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


FORWARDED = [
    {"Forwarded": "for=127.0.0.1"},
    {"X_Forwarded_For": "127.0.0.1"},
    {"X_Forwarded_For": ""},
    {"X_Real_IP": "127.0.0.1"},
    {"X_Forwarded_Host": "localhost"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("headers", FORWARDED)
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_nor_who_comes_through_a_proxy_of_this_machine(
    make_app: MakeApp, headers: dict[str, str], hops: int
) -> None:
    app = make_app(SILO_TRUSTED_PROXIES=hops)
    assert error(ask(app, "127.0.0.1", **headers)) == (401, "no_key")


def test_a_key_must_be_for_it(app: Flask) -> None:
    assert ask(app, Authorization=bearer(app, "read", "admin")).status_code == 200
    refused = ask(app, Authorization=bearer(app, "read", "process", "upload"))
    assert error(refused) == (403, "no_scope")
    assert error(ask(app, Authorization="Bearer nonsense")) == (401, "no_key")


def test_a_program_of_this_machine_needs_no_key_where_calls_do(make_app: MakeApp) -> None:
    app = make_app(SILO_REQUIRE_KEY=True)
    assert ask(app, "127.0.0.1").status_code == 200
    assert error(ask(app)) == (401, "no_key")


def names(families: Iterable[Any]) -> list[str]:
    return [family.name for family in families]


def test_each_figure_has_a_kind_and_a_meaning(person: Person) -> None:
    person.get("/healthz")
    told = person.get("/metrics").text
    families = list(text_string_to_metric_families(told))
    assert len(set(names(families))) == len(families) == told.count("# TYPE") >= 7
    assert all(family.documentation and family.type != "unknown" for family in families)
