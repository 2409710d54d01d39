"""POST /api/upload: what comes in, is stored as it is, and replaces what was there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.sessions.transaction import Transaction

from .person import SALES, Person, csv_text, error, xlsx


def test_an_upload_says_what_it_has_stored(person: Person) -> None:
    data = xlsx(Sales=SALES)
    answer = person.upload(("sales.xlsx", data))
    assert answer.status_code == 201
    [file] = answer.json["files"]
    assert file == {
        "id": file["id"],
        "name": "sales.xlsx",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert person.stored() == [data]
    assert person.sid == answer.headers["X-Session-ID"]


def test_files_that_may_have_been_kept_are_not_removed(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has taken them and its answer was lost: to send them again is told 201."""
    commit, key = Transaction.commit, {"Idempotency-Key": '"3b1f0e9c-7a55-4a39-8a0e-6f1f8d0f7c11"'}

    def unheard(held: Transaction, *given: Any) -> None:
        commit(held, *given)
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", unheard)
        assert error(person.upload(("a.csv", b"a\n1\n"), headers=key)) == (503, "unavailable")
    assert person.upload(("a.csv", b"a\n1\n"), headers=key).status_code == 201
    assert person.stored() == [b"a\n1\n"]


def test_several_files_keep_their_order(person: Person) -> None:
    files = [("b.csv", csv_text(SALES)), ("a.xlsx", xlsx(Sales=SALES)), ("c.tsv", b"a\tb\n1\t2\n")]
    assert [file["name"] for file in person.upload(*files).json["files"]] == [
        "b.csv",
        "a.xlsx",
        "c.tsv",
    ]
    assert [file["name"] for file in person.status()["files"]] == ["b.csv", "a.xlsx", "c.tsv"]


def test_two_files_of_one_name_are_both_kept(person: Person) -> None:
    first, second = b"a\n1\n", b"a\n2\n"
    files = person.upload(("same.csv", first), ("same.csv", second)).json["files"]
    assert [file["name"] for file in files] == ["same.csv", "same.csv"]
    assert files[0]["id"] != files[1]["id"]
    assert person.stored() == [first, second]


def test_an_upload_replaces_the_files_and_keeps_the_session(person: Person) -> None:
    person.upload(("old.csv", b"a\n1\n"))
    sid = person.sid
    person.upload(("new.csv", b"a\n2\n"))
    assert person.sid == sid
    assert [file["name"] for file in person.status()["files"]] == ["new.csv"]
    assert person.stored() == [b"a\n2\n"]


def test_an_upload_drops_the_report_and_its_files(person: Person) -> None:
    person.has_report()
    assert len(person.stored()) == 3
    person.upload(("new.csv", b"a\n2\n"))
    assert error(person.get("/api/report")) == (409, "not_ready")
    assert person.status()["job"]["status"] == "idle"
    assert person.stored() == [b"a\n2\n"]


def test_a_refused_upload_changes_nothing(person: Person) -> None:
    person.has_report(("old.csv", b"a,b\nx,1\n"))
    before = person.stored()
    assert error(person.upload(("new.csv", b""))) == (422, "empty_file")
    assert error(person.upload(("ok.csv", b"a\n1\n"), ("no.pdf", b"%PDF-1.7"))) == (
        415,
        "unsupported_type",
    )
    assert person.stored() == before
    assert person.get("/api/report").status_code == 200


def test_a_refused_first_upload_begins_no_session(person: Person) -> None:
    assert error(person.upload(("a.csv", b""))) == (422, "empty_file")
    assert person.sid == ""


def test_an_upload_while_a_job_runs_is_refused(held: Person) -> None:
    assert error(held.upload(("new.csv", b"a\n1\n"))) == (409, "already_running")
    assert [file["name"] for file in held.status()["files"]] == ["sales.xlsx"]
    assert len(held.stored()) == 1


@pytest.mark.parametrize("suffix", ["xlsx", "xlsm", "xls", "xlsb", "ods", "csv", "tsv"])
def test_the_page_offers_every_type_that_can_be_read(person: Person, suffix: str) -> None:
    assert f".{suffix}" in person.get("/").text
