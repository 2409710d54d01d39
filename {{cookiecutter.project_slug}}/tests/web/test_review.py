"""GET and PATCH /api/review, POST /api/finish: a person's corrections before the report."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.desk import payments
from support import Clock, eventually

from {{ cookiecutter.package_name }} import edits, jobs, paths
from {{ cookiecutter.package_name }}.report import Cell, Column, Report, Table
from {{ cookiecutter.package_name }}.review import Review, ReviewColumn
from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.step import InputFile, Progress, UserError

from .conftest import MakeApp
from .person import Answer, Person, error

TRAVEL = {"row": 0, "column": "Category", "value": "Travel"}


class Reviewed:
    """A step with a review, and what its `finish` was given."""

    def __init__(self) -> None:
        self.review: Review | Report = payments()
        self.seen: list[Review] = []
        self.options: list[Any] = []
        self.error = ""

    def process(self, inputs: Sequence[InputFile], options: Any, progress: Progress) -> Any:
        return self.review

    def finish(self, review: Review, options: Any) -> Report:
        self.seen.append(review)
        self.options.append(options)
        if self.error:
            raise UserError(self.error)
        columns = [Column(column.name) for column in review.columns]
        return Report("Reviewed", [Table("Rows", columns, review.rows)])


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    step = Reviewed()
    monkeypatch.setattr(jobs, "process", step.process)
    monkeypatch.setattr(jobs, "finish", step.finish)
    return step


@pytest.fixture
def reviewer(person: Person, step: Reviewed) -> Person:
    """Somebody whose rows wait to be reviewed."""
    return begun(person)


def begun(person: Person) -> Person:
    person.upload()
    assert person.process(largest=7).status_code == 202
    assert person.end().name == "complete"
    return person


def edit(person: Person, *wanted: dict[str, Any], **more: Any) -> Answer:
    return person.call("PATCH", "/api/review", json={"edits": list(wanted), **more})


def column(person: Person, name: str) -> list[Any]:
    found = person.get("/api/review").json
    place = [each["name"] for each in found["columns"]].index(name)
    return [row[place] for row in found["rows"]]


def finish(person: Person) -> dict[str, Any]:
    """Make the report, and read it."""
    assert person.post("/api/finish").status_code == 202
    assert person.end().name == "complete"
    told: dict[str, Any] = person.get("/api/report").json
    return told


# The journey


def test_the_rows_wait_for_the_person_and_the_report_for_them(reviewer: Person) -> None:
    status = reviewer.status()
    assert status["review"] == status["job"]["id"]
    found = reviewer.get("/api/review").json
    assert (found["title"], found["row_count"]) == ("Are these in the right category?", 3)
    assert found["rows"][0] == ["Bakery", "2025-03-01", None, 12.5, 0, "2025-04-01", False, None]
    assert found["columns"][2]["choices"] == ["Food", "Travel", "Rent"]
    assert (found["edited"], found["edits"]) == ([], 0)
    refused = reviewer.get("/api/report")
    assert error(refused) == (409, "not_ready")
    assert "Review the rows first" in refused.json["detail"]


def test_the_report_is_made_of_the_corrected_rows(reviewer: Person, step: Reviewed) -> None:
    due = {"row": 1, "column": "Due", "value": "2025-05-02"}
    assert edit(reviewer, TRAVEL, due).json["edits"] == 2
    table = finish(reviewer)["tables"][0]
    assert [row[2] for row in table["rows"]] == ["Travel"] * 3
    [seen] = step.seen
    assert seen.rows[1][5] == date(2025, 5, 2)
    assert seen.edited == {(0, "Category"), (1, "Due")}
    assert step.options[0].largest == 7
    status = reviewer.status()
    assert status["review"] not in (None, status["job"]["id"]), "the review is still there"


def test_after_the_report_more_can_be_corrected(reviewer: Person, step: Reviewed) -> None:
    edit(reviewer, TRAVEL)
    finish(reviewer)
    assert edit(reviewer, {**TRAVEL, "value": "Food"}).status_code == 200
    assert finish(reviewer)["tables"][0]["rows"][0][2] == "Food"
    assert len(reviewer.stored()) == 4, "an upload, a review, and the last report alone"


def test_a_finish_that_fails_leaves_the_review(reviewer: Person, step: Reviewed) -> None:
    edit(reviewer, TRAVEL)
    step.error = "Travel is not paid for."
    assert reviewer.post("/api/finish").status_code == 202
    assert reviewer.end().data["error"] == "Travel is not paid for."
    step.error = ""
    edit(reviewer, {**TRAVEL, "value": "Rent"})
    assert finish(reviewer)["tables"][0]["rows"][0][2] == "Rent"


def test_a_step_without_a_review_has_none(person: Person) -> None:
    person.has_report()
    assert person.status()["review"] is None
    for answer in (person.get("/api/review"), edit(person, TRAVEL), person.post("/api/finish")):
        assert error(answer) == (409, "no_review")


def test_without_a_session_there_is_none_either(person: Person) -> None:
    for answer in (person.get("/api/review"), edit(person, TRAVEL), person.post("/api/finish")):
        assert error(answer) == (409, "no_review")
    assert person.sid == ""


def test_a_review_comes_out_of_the_store_as_it_went_in(reviewer: Person, step: Reviewed) -> None:
    moment = datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    cells: list[Cell] = [
        moment,
        moment.replace(tzinfo=None),
        moment.date(),
        time(3, 4),
        timedelta(1, 2, 3),
    ]
    row: list[Cell] = [*cells, 2**70, float("inf"), True, None, "x\u0000\r\n"]
    columns = [ReviewColumn(str(n)) for n in range(len(row))]
    step.review = Review("All sorts", [*columns, ReviewColumn("e", editable=True)], [[*row, "e"]])
    begun(reviewer)
    finish(reviewer)
    assert step.seen[-1].rows == [[*row, "e"]]
    assert [each.name for each in step.seen[-1].columns[:-1]] == [each.name for each in columns]


# Pages of rows


def test_rows_come_a_page_at_a_time(reviewer: Person, step: Reviewed) -> None:
    step.review = payments(250)
    begun(reviewer)
    edit(reviewer, {**TRAVEL, "row": 0}, {**TRAVEL, "row": 200})
    first = reviewer.get("/api/review").json
    assert (first["offset"], len(first["rows"]), first["row_count"]) == (0, 100, 250)
    assert first["edited"] == [{"row": 0, "column": "Category"}]
    last = reviewer.get("/api/review?offset=200&limit=100").json
    assert (last["offset"], len(last["rows"]), last["edits"]) == (200, 50, 2)
    assert last["edited"] == [{"row": 200, "column": "Category"}]
    assert last["rows"][0][4] == 200


@pytest.mark.parametrize(
    "query", ["offset=-5", "limit=0", "limit=501", "offset=x", "limit=9e9", "limit=1&limit=2"]
)
def test_a_page_that_cannot_be_is_refused(reviewer: Person, query: str) -> None:
    assert error(reviewer.get(f"/api/review?{query}")) == (400, "bad_request")


# What an edit may be


@pytest.mark.parametrize(
    ("column_name", "value", "said"),
    [
        ("Category", "Fun", "Choose one"),
        ("Category", 3, "Choose one"),
        ("Category", None, "must not be empty"),
        ("Category", "", "must not be empty"),
        ("Amount", "1", "Enter a number"),
        ("Amount", -0.5, "0 at least"),
        ("Amount", 10_001, "10,000 at most"),
        ("Amount", True, "Enter a number"),
        ("Amount", 10**400, "Enter a number"),
        ("People", 1.5, "Enter a whole number"),
        ("People", 2**60, "Enter a whole number"),
        ("Due", "tomorrow", "Enter a date"),
        ("Due", "2025-02-30", "Enter a date"),
        ("Due", "20250203", "Enter a date"),
        ("Due", 20250203, "Enter a date"),
        ("Private", "yes", "yes or no"),
        ("Private", 1, "yes or no"),
        ("Remark", "x" * 41, "40 characters"),
        ("Remark", 5, "Enter a text"),
        ("Payee", "Me", "cannot be changed"),
        ("Nothing", "x", "no such cell"),
    ],
)
def test_a_value_that_its_column_does_not_take_is_refused_by_name(
    reviewer: Person, column_name: str, value: object, said: str
) -> None:
    good = {"row": 2, "column": "People", "value": 8}
    answer = edit(reviewer, good, {"row": 1, "column": column_name, "value": value})
    assert error(answer) == (422, "invalid_edits")
    [wrong] = answer.json["errors"]
    assert (wrong["row"], wrong["column"]) == (1, column_name)
    assert said in wrong["message"]
    assert answer.json["detail"] == f"Row 2, {column_name}: {wrong['message']}"
    assert reviewer.get("/api/review").json["edits"] == 0, "all are kept, or none"


def test_a_row_that_there_is_not_is_refused(reviewer: Person) -> None:
    assert error(edit(reviewer, {**TRAVEL, "row": 3})) == (422, "invalid_edits")


@pytest.mark.parametrize(
    ("column_name", "value"),
    [
        ("Category", "Rent"),
        ("Amount", 0),
        ("Amount", 99.25),
        ("Amount", None),
        ("People", -3),
        ("Due", "2024-02-29"),
        ("Private", True),
        ("Remark", "Grüße <b>"),
        ("Remark", None),
    ],
)
def test_a_value_of_its_kind_is_kept(reviewer: Person, column_name: str, value: object) -> None:
    edit(reviewer, {"row": 1, "column": "Remark", "value": "before"})
    assert edit(reviewer, {"row": 1, "column": column_name, "value": value}).status_code == 200
    assert column(reviewer, column_name)[1] == value


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"edits": []},
        {"edits": [TRAVEL] * 1001},
        {"edits": [{"row": -1, "column": "Category", "value": "Food"}]},
        {"edits": [{"row": "0", "column": "Category", "value": "Food"}]},
        {"edits": [{"row": 0, "column": "Category"}]},
        {"edits": [{**TRAVEL, "more": 1}]},
        {"edits": [{**TRAVEL, "value": ["Food"]}]},
        {"edits": [TRAVEL], "more": 1},
        [],
    ],
)
def test_a_body_of_another_form_is_refused(reviewer: Person, body: object) -> None:
    answer = reviewer.call("PATCH", "/api/review", json=body)
    assert error(answer) == (422, "invalid_edits")
    assert answer.json["errors"]


def test_what_is_no_json_is_refused(reviewer: Person) -> None:
    assert error(reviewer.call("PATCH", "/api/review", data=b"{")) == (400, "bad_request")


def test_a_value_that_the_step_gave_is_no_edit(reviewer: Person) -> None:
    edit(reviewer, {"row": 1, "column": "Amount", "value": 7})
    answer = edit(reviewer, {"row": 1, "column": "Amount", "value": 12.5})
    assert answer.json["edits"] == 0


def test_more_edits_than_a_session_keeps_are_refused(
    reviewer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "MOST_EDITS", 1)
    assert edit(reviewer, TRAVEL).status_code == 200
    answer = edit(reviewer, {"row": 1, "column": "People", "value": 8})
    assert error(answer) == (409, "too_many_edits")
    assert "At most 1 values" in answer.json["detail"]
    assert edit(reviewer, {**TRAVEL, "value": "Food"}).status_code == 200, "in its place"


def test_so_are_edits_that_are_too_large(reviewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "MOST_BYTES", 60)
    assert edit(reviewer, TRAVEL).status_code == 200
    answer = edit(reviewer, {"row": 1, "column": "Remark", "value": "x" * 40})
    assert error(answer) == (409, "too_many_edits")


# Several tabs


def test_edits_of_different_cells_add_up(reviewer: Person) -> None:
    tabs = [Person(reviewer.app, reviewer.sid) for _ in range(8)]
    came: list[Answer] = []

    def work(number: int, tab: Person) -> None:
        for row in range(3):
            wanted = {"row": row, "column": "People", "value": 100 * number + row}
            if number < 3:
                wanted = {"row": number, "column": ["Amount", "Remark", "Private"][row]}
                wanted["value"] = [number + 1, f"tab {number}", True][row]
            came.append(edit(tab, wanted))

    threads = [threading.Thread(target=work, args=each) for each in enumerate(tabs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in came} == {200}
    assert column(reviewer, "Amount") == [1, 2, 3]
    assert column(reviewer, "Remark") == ["tab 0", "tab 1", "tab 2"]
    assert column(reviewer, "Private") == [True] * 3
    assert all(value >= 300 for value in column(reviewer, "People"))


def test_who_comes_second_to_a_cell_is_told_what_stands_there(reviewer: Person) -> None:
    assert edit(reviewer, {**TRAVEL, "was": None}).status_code == 200
    answer = edit(reviewer, {**TRAVEL, "value": "Food", "was": None})
    assert error(answer) == (409, "edit_conflict")
    [clash] = answer.json["errors"]
    assert (clash["row"], clash["column"], clash["value"]) == (0, "Category", "Travel")
    assert column(reviewer, "Category")[0] == "Travel", "the first stays"
    assert edit(reviewer, {**TRAVEL, "value": "Food", "was": "Travel"}).status_code == 200
    assert column(reviewer, "Category")[0] == "Food", "and is replaced by who has seen it"


def test_the_same_edit_sent_again_is_no_conflict(reviewer: Person) -> None:
    for _ in range(2):
        assert edit(reviewer, {**TRAVEL, "was": None}).json["edits"] == 1


def test_edits_of_a_review_that_is_gone_do_not_reach_the_next(reviewer: Person) -> None:
    old = reviewer.get("/api/review").json["review"]
    edit(reviewer, TRAVEL, review=old)
    begun(reviewer)
    assert column(reviewer, "Category")[0] is None, "a new review begins without edits"
    answer = edit(reviewer, TRAVEL, review=old)
    assert error(answer) == (409, "review_replaced")
    assert column(reviewer, "Category")[0] is None


# The end of it


def test_a_cell_that_must_not_be_empty_holds_the_report_up(reviewer: Person) -> None:
    answer = reviewer.post("/api/finish")
    assert error(answer) == (409, "review_incomplete")
    assert answer.json["errors"] == [
        {"row": 0, "column": "Category", "message": "This must not be empty."}
    ]
    assert reviewer.status()["review"] == reviewer.status()["job"]["id"]


def test_finish_with_the_same_key_starts_one_job(reviewer: Person, step: Reviewed) -> None:
    edit(reviewer, TRAVEL)
    headers = {"Idempotency-Key": '"ccd6b5e2-6aa8-4a53-8e4c-5ab2f2a3b0b1"'}
    first, second = (reviewer.post("/api/finish", headers=headers) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert reviewer.end().name == "complete"
    assert len(step.seen) == 1


def test_while_the_report_is_made_nothing_is_edited(
    reviewer: Person, step: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(reviewer, TRAVEL)
    began, go = threading.Event(), threading.Event()
    made = step.finish

    def held(review: Review, options: Any) -> Report:
        began.set()
        assert go.wait(60)
        return made(review, options)

    monkeypatch.setattr(jobs, "finish", held)
    assert reviewer.post("/api/finish").status_code == 202
    assert began.wait(60)
    for answer in (edit(reviewer, TRAVEL), reviewer.post("/api/finish")):
        assert error(answer) == (409, "already_running")
    go.set()
    assert reviewer.end().name == "complete"


@pytest.mark.parametrize("path", ["/api/upload", "/api/reset"])
def test_other_files_and_a_reset_drop_the_review(reviewer: Person, path: str) -> None:
    edit(reviewer, TRAVEL)
    finish(reviewer)
    _ = reviewer.post("/api/reset") if path == "/api/reset" else reviewer.upload()
    assert reviewer.status()["review"] is None
    assert error(reviewer.get("/api/review")) == (409, "no_review")
    assert len(reviewer.stored()) == (0 if path == "/api/reset" else 1)


def test_processing_again_drops_it_too(reviewer: Person, step: Reviewed) -> None:
    edit(reviewer, TRAVEL)
    finish(reviewer)
    step.review = Report("No review this time")
    begun(reviewer)
    assert reviewer.status()["review"] is None
    assert reviewer.get("/api/report").json["title"] == "No review this time"


def test_after_expiry_it_is_gone(reviewer: Person, clock: Clock) -> None:
    edit(reviewer, TRAVEL)
    clock.advance(4000)
    for answer in (reviewer.get("/api/review"), edit(reviewer, TRAVEL)):
        assert error(answer) == (410, "session_expired")
    assert error(reviewer.post("/api/finish")) == (410, "session_expired")


def test_it_survives_a_restart(make_app: MakeApp, step: Reviewed) -> None:
    first = make_app(SILO_RUNNER="thread")
    person = begun(Person(first))
    edit(person, TRAVEL)
    first.extensions["silo"].stop()
    again = Person(make_app(SILO_RUNNER="thread"), person.sid)
    assert column(again, "Category")[0] == "Travel"
    assert finish(again)["tables"][0]["rows"][0][2] == "Travel"


def test_another_s_review_is_not_to_be_had(reviewer: Person, other: Person) -> None:
    review = reviewer.status()["review"]
    other.upload()
    assert error(edit(other, TRAVEL, review=review)) == (409, "no_review")
    assert error(other.get("/api/review")) == (409, "no_review")
    assert error(other.post("/api/finish")) == (409, "no_review")
    assert column(reviewer, "Category")[0] is None


def test_a_review_is_not_kept_in_the_cache(make_app: MakeApp, step: Reviewed) -> None:
    person = begun(Person(make_app(SILO_RUNNER="thread", SILO_CACHE_TTL=3600)))
    edit(person, TRAVEL)
    finish(person)
    begun(person)
    assert person.status()["review"] == person.status()["job"]["id"]
    assert column(person, "Category")[0] is None


def test_encrypted_files_hold_it_too(make_app: MakeApp, step: Reviewed, tmp_path: Path) -> None:
    key = "cmV2aWV3cmV2aWV3cmV2aWV3cmV2aWV3cmV2aWV3cmU="
    person = begun(Person(make_app(SILO_RUNNER="thread", SILO_ENCRYPTION_KEY=key)))
    edit(person, TRAVEL)
    found = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found) > 2
    assert not any(b"Hotel Adlon" in data for data in found)
    assert finish(person)["tables"][0]["rows"][0][2] == "Travel"


# Without a person


def passed(folder: Path) -> BackgroundTask:
    """The command line's way, in a thread."""
    task = BackgroundTask("report")
    task.start(paths.run_paths, [], {}, str(folder / "report.xlsx"), str(folder / "files"))
    eventually(lambda: not task.is_running)
    return task


def test_without_a_person_the_rows_go_as_they_are(step: Reviewed, tmp_path: Path) -> None:
    review = payments()
    step.review = replace(review, rows=review.rows[1:])
    assert passed(tmp_path).result == {"workbook": True, "files": [], "passed": True}
    assert [row[2] for row in step.seen[0].rows] == ["Travel", "Travel"]
    assert (tmp_path / "report.xlsx").is_file()


def test_but_not_with_a_cell_that_must_not_be_empty(step: Reviewed, tmp_path: Path) -> None:
    said = "Row 1 needs its Category. Review the rows on the page."
    assert passed(tmp_path).state.error == said
    assert step.seen == []


def test_a_report_without_a_review_passes_none(step: Reviewed, tmp_path: Path) -> None:
    step.review = Report("Plain")
    assert passed(tmp_path).result["passed"] is False
