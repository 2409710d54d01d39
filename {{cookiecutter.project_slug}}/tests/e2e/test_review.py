"""A review on the page: correct, reload, two tabs, by keyboard, and on to the report."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import APIResponse, Locator, Response, Route, expect

from .conftest import Arrives
from .desk import HOUR, Desk, payments
from .test_once import lose_the_answer
from .visitor import HIDDEN, Visitor, csv

CATEGORY, REMARK = "Category, row 1", "Remark, row 1"


def reaches_review(visitor: Visitor, desk: Desk) -> Visitor:
    desk.step.review = payments()
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("review")
    return visitor


@pytest.fixture
def reviewer(visitor: Visitor, desk: Desk) -> Visitor:
    """Somebody whose rows wait."""
    return reaches_review(visitor, desk)


def enter(field: Locator, value: str) -> None:
    field.fill(value)
    field.press("Tab")


def complaint(field: Locator) -> Locator:
    """What is said of a cell, where a screen reader looks for it first."""
    described = field.get_attribute("aria-describedby") or ""
    return field.page.locator(f"#{described.split()[0]}")


def test_values_are_corrected_and_make_the_report(reviewer: Visitor) -> None:
    expect(reviewer.heading()).to_have_text("Are these in the right category?")
    reviewer.option(CATEGORY).select_option("Food")
    enter(reviewer.option("Amount, row 2"), "7.25")
    enter(reviewer.option("Due, row 2"), "2025-06-30")
    reviewer.option("Private, row 3").check()
    enter(reviewer.option(REMARK), "<i>lunch</i>")
    reviewer.reads("Saved: 5 values corrected.")
    reviewer.press("Make the report")
    reviewer.sees("done")
    reviewer.reads("5 corrected.")
    rows = reviewer.table("Rows")
    assert rows[1][2:] == ["Food", "12.5", "0", "2025-04-01", "No", "<i>lunch</i>"]
    assert rows[2][3:6] == ["7.25", "1", "2025-06-30"]
    assert rows[3][6] == "Yes"


def test_a_reload_returns_to_the_review_and_its_edits(reviewer: Visitor) -> None:
    enter(reviewer.option(REMARK), "kept")
    reviewer.reads("Saved: 1 value corrected.")
    reviewer.page.reload()
    reviewer.sees("review")
    expect(reviewer.option(REMARK)).to_have_value("kept")
    expect(reviewer.page.locator("[data-edited]")).to_have_count(1)


def test_after_the_report_one_can_go_back_to_it(reviewer: Visitor) -> None:
    reviewer.option(CATEGORY).select_option("Food")
    reviewer.press("Make the report")
    reviewer.sees("done")
    reviewer.page.reload()
    reviewer.sees("done")
    reviewer.press("Back to the review")
    reviewer.sees("review")
    expect(reviewer.option(CATEGORY)).to_have_value("Food")
    reviewer.option(CATEGORY).select_option("Rent")
    reviewer.press("Make the report")
    reviewer.sees("done")
    assert reviewer.table("Rows")[1][2] == "Rent"


def test_before_the_options_drop_what_was_corrected_they_say_so(reviewer: Visitor) -> None:
    reviewer.option(CATEGORY).select_option("Food")
    enter(reviewer.option(REMARK), "kept")
    reviewer.press("Make the report")
    reviewer.sees("done")
    reviewer.page.reload()
    reviewer.sees("done")
    reviewer.press("Change options")
    again = (
        "Making the report again from your files drops the 2 values that you corrected "
        "in the review."
    )
    reviewer.reads(again)
    expect(reviewer.button("Make the report")).to_have_accessible_description(again)
    reviewer.press("Back to the report")
    reviewer.sees("done")
    reviewer.press("Change options")
    reviewer.press("Back to the review")
    reviewer.sees("review")
    expect(reviewer.option(REMARK)).to_have_value("kept")
    enter(reviewer.option(REMARK), "")
    reviewer.press("Make the report")
    reviewer.sees("done")
    reviewer.press("Change options")
    reviewer.reads("drops the value that you corrected in the review.")
    reviewer.press("Make the report")
    reviewer.sees("review")
    expect(reviewer.page.locator("[data-edited]")).to_have_count(0)


def test_nothing_is_said_to_be_dropped_where_nothing_was_corrected(
    reviewer: Visitor, desk: Desk
) -> None:
    enter(reviewer.option("Amount, row 2"), "1")
    enter(reviewer.option("Amount, row 2"), "12.5")
    reviewer.reads("0 values corrected.")
    desk.step.review = None
    reviewer.press("Start over")
    reviewer.sees("empty")
    reviewer.make()
    reviewer.press("Change options")
    expect(reviewer.page.locator("#price")).to_be_empty()
    expect(reviewer.button("Back to the review")).to_have_count(0)


def test_so_one_can_after_a_failure(reviewer: Visitor, desk: Desk) -> None:
    reviewer.option(CATEGORY).select_option("Food")
    desk.step.error = "Food is not paid for."
    reviewer.press("Make the report")
    reviewer.sees("failed")
    desk.step.error = ""
    reviewer.press("Back to the review")
    reviewer.sees("review")
    reviewer.press("Make the report")
    reviewer.sees("done")


def test_what_is_refused_is_said_at_its_cell_and_holds_the_report_up(reviewer: Visitor) -> None:
    amount = reviewer.option("Amount, row 2")
    enter(amount, "-1")
    expect(complaint(amount)).to_have_text("It must be 0 at least.")
    expect(amount).to_have_attribute("aria-invalid", "true")
    reviewer.reads("Not everything is saved: see the marked cells.")
    reviewer.press("Make the report")
    expect(amount).to_be_focused()
    enter(amount, "1")
    expect(complaint(amount)).to_be_empty()
    reviewer.press("Make the report")
    category = reviewer.option(CATEGORY)
    expect(category).to_be_focused()
    expect(complaint(category)).to_have_text("This must not be empty.")
    category.select_option("Food")
    reviewer.press("Make the report")
    reviewer.sees("done")


def test_cells_that_are_still_empty_hold_up_nothing_but_the_report(
    visitor: Visitor, arrives: Arrives, desk: Desk
) -> None:
    desk.step.review = payments(150)
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("review")
    visitor.press("Make the report")
    category = visitor.option(CATEGORY)
    expect(category).to_be_focused()
    expect(complaint(category)).to_have_text("This must not be empty.")
    enter(visitor.option("Amount, row 2"), "7.25")
    visitor.reads("Saved: 1 value corrected.")
    visitor.press("Next rows")
    visitor.reads("101 to 150 of 150 rows")
    visitor.press("Make the report")
    expect(category).to_be_focused()
    visitor.option("Amount, row 2").focus()
    other = arrives(desk.url, visitor.page.context)
    other.option(CATEGORY).select_option("Food")
    other.reads("Saved: 2 values corrected.")
    expect(category).to_have_value("Food")
    expect(complaint(category)).to_be_empty()
    visitor.press("Make the report")
    visitor.sees("done")


def test_two_tabs_lose_none_of_their_edits(reviewer: Visitor, arrives: Arrives, desk: Desk) -> None:
    other = arrives(desk.url, reviewer.page.context)
    other.sees("review")
    enter(other.option("People, row 2"), "9")
    other.reads("Saved: 1 value corrected.")
    expect(reviewer.option("People, row 2")).to_have_value("9")
    enter(reviewer.option(REMARK), "mine")
    expect(other.option(REMARK)).to_have_value("mine")
    expect(other.page.locator("[data-edited]")).to_have_count(2)
    other.option(CATEGORY).select_option("Food")
    other.press("Make the report")
    other.sees("done")
    reviewer.sees("done")


@pytest.mark.parametrize(("answer", "left"), [("Keep mine", "mine"), ("Take that", "theirs")])
def test_who_comes_second_to_a_cell_decides(
    reviewer: Visitor, arrives: Arrives, desk: Desk, answer: str, left: str
) -> None:
    other = arrives(desk.url, reviewer.page.context)
    other.sees("review")
    reviewer.option(REMARK).fill("mine")  # and stays in the field
    enter(other.option(REMARK), "theirs")
    other.reads("Saved: 1 value corrected.")
    reviewer.option(REMARK).press("Tab")
    expect(complaint(reviewer.option(REMARK))).to_contain_text("made this “theirs”")
    expect(reviewer.option(REMARK)).to_have_value("mine")
    expect(other.option(REMARK)).to_have_value("theirs")
    reviewer.press(answer)
    reviewer.reads("Saved: 1 value corrected.")
    expect(reviewer.option(REMARK)).to_have_value(left)
    expect(other.option(REMARK)).to_have_value(left)


def test_an_edit_whose_answer_is_lost_is_kept_once(reviewer: Visitor) -> None:
    reviewer.loses_server = True
    reviewer.page.route("**/api/review", lose_the_answer, times=1)
    enter(reviewer.option(REMARK), "once")
    reviewer.reads("Saved: 1 value corrected.")
    expect(complaint(reviewer.option(REMARK))).to_be_empty()


def test_the_report_waits_for_edits_on_their_way(reviewer: Visitor) -> None:
    reviewer.option(CATEGORY).select_option("Food")
    reviewer.reads("Saved: 1 value corrected.")
    late = reviewer.holds("**/api/review")
    enter(reviewer.option(REMARK), "last")
    reviewer.press("Make the report")
    reviewer.reads("Saving…")
    held = late()
    assert not reviewer.calls(["api/finish"])
    held.continue_()
    reviewer.sees("done")
    assert reviewer.table("Rows")[1][7] == "last"


def test_many_rows_come_a_page_at_a_time(reviewer: Visitor, desk: Desk) -> None:
    desk.step.review = payments(250)
    reviewer.press("Start over")
    reviewer.sees("empty")
    reviewer.upload()
    reviewer.press("Make the report")
    reviewer.sees("review")
    reviewer.reads("1 to 100 of 250 rows")
    reviewer.press("Next rows")
    reviewer.reads("101 to 200 of 250 rows")
    reviewer.press("Next rows")
    enter(reviewer.option("Remark, row 250"), "last")
    reviewer.reads("Saved: 1 value corrected.")
    reviewer.press("Make the report")
    expect(reviewer.option(CATEGORY)).to_be_focused()
    reviewer.option(CATEGORY).select_option("Food")
    reviewer.press("Make the report")
    reviewer.sees("done")
    reviewer.reads("2 corrected.")


def test_the_keyboard_is_enough_for_a_review(reviewer: Visitor) -> None:
    keyboard = reviewer.page.keyboard

    def tab_to(wanted: Locator) -> None:
        for _ in range(40):
            keyboard.press("Tab")
            if wanted.evaluate("one => one === document.activeElement"):
                return
        pytest.fail("it cannot be reached")

    tab_to(reviewer.option(CATEGORY))
    keyboard.type("Fo")
    tab_to(reviewer.option("Private, row 1"))
    keyboard.press("Space")
    tab_to(reviewer.button("Make the report"))
    keyboard.press("Enter")
    reviewer.sees("done")
    assert reviewer.table("Rows")[1][2:7:4] == ["Food", "Yes"]


def test_a_screen_reader_is_told_the_row_and_the_column(reviewer: Visitor) -> None:
    table = reviewer.page.get_by_role("region", name="Are these in the right category?")
    for phone in (False, True):
        if phone:
            reviewer.page.set_viewport_size({"width": 360, "height": 740})
        expect(table.get_by_role("row")).to_have_count(4)
        expect(table.get_by_role("rowheader", name=re.compile("2$"))).to_have_count(1)
        expect(table.get_by_role("columnheader", name="Payee")).to_have_count(1)
        expect(table.get_by_role("combobox", name=CATEGORY)).to_have_count(1)


def test_a_corrected_cell_is_marked_for_all(arrives: Arrives, desk: Desk) -> None:
    """For a screen reader in words, and by its border where the app's own colours are not shown."""
    reviewer = reaches_review(arrives(desk.url, forced_colors="active"), desk)
    reviewer.is_dressed()
    remark, other = reviewer.option(REMARK), reviewer.option("Remark, row 2")
    enter(remark, "lunch")
    reviewer.reads("Saved: 1 value corrected.")
    for _ in range(2):
        expect(remark).to_have_accessible_description("Corrected.")
        expect(other).to_have_accessible_description("")
        expect(remark).to_have_css("border-style", "dashed")
        expect(other).to_have_css("border-style", "solid")
        reviewer.page.reload()
        reviewer.sees("review")
        reviewer.is_dressed()


def test_the_focused_cell_lies_under_nothing(visitor: Visitor, desk: Desk) -> None:
    """The headings stay in sight while the rows scroll; a long one takes several lines."""
    made = payments(30)
    long = replace(made.columns[7], name="What else is there to be said of this? " * 4)
    desk.step.review = replace(made, columns=[*made.columns[:7], long])
    visitor.page.set_viewport_size({"width": 768, "height": 700})
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("review")
    visitor.is_dressed()
    visitor.page.locator("#cell-29-2").focus()
    hidden = visitor.page.evaluate(HIDDEN)
    for _ in range(29 * 6):
        visitor.page.keyboard.press("Shift+Tab")
        hidden += visitor.page.evaluate(HIDDEN)
    assert hidden == []


def test_what_is_refused_is_said_in_sight(visitor: Visitor, desk: Desk) -> None:
    """Its field is at the end of a wide column, whose beginning may be out of sight."""
    made = payments()
    wide = replace(made.columns[3], name="How much was it, all taxes included?")
    desk.step.review = replace(made, columns=[*made.columns[:3], wide, *made.columns[4:]])
    visitor.page.set_viewport_size({"width": 768, "height": 700})
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("review")
    visitor.is_dressed()
    field = visitor.option(f"{wide.name}, row 1")
    enter(field, "-1")
    expect(complaint(field)).to_have_text("It must be 0 at least.")
    visitor.option(REMARK).focus()
    field.focus()
    box, said = (
        one.bounding_box() for one in (visitor.page.locator("#review-rows"), complaint(field))
    )
    assert box
    assert said
    assert box["x"] <= said["x"]
    assert said["x"] + said["width"] <= box["x"] + box["width"]


def test_a_review_whose_style_is_late_is_there_and_has_the_focus(
    visitor: Visitor, desk: Desk
) -> None:
    visitor.page.route("**/review.css", lambda route: None)  # never answered
    reaches_review(visitor, desk)
    expect(visitor.heading()).to_have_id("review-title")
    expect(visitor.heading()).to_be_focused()
    expect(visitor.option(CATEGORY)).to_be_visible()


def test_a_review_that_comes_after_starting_over_is_not_shown(visitor: Visitor, desk: Desk) -> None:
    desk.step.review = payments()
    late = visitor.holds("**/api/review?*")
    visitor.upload()
    visitor.press("Make the report")
    held = late()
    made = held.fetch()
    visitor.press("Start over")
    visitor.sees("empty")
    visitor.hears(held, response=made)
    visitor.sees("empty")


def look_that_is_late(reviewer: Visitor) -> tuple[Route, APIResponse]:
    """A look at what other tabs have changed, whose answer is on its way for long."""
    late = reviewer.holds("**/api/review?*")
    reviewer.page.evaluate("dispatchEvent(new Event('focus'))")
    held = late()
    return held, held.fetch()


def test_a_late_look_does_not_undo_what_was_entered_since(reviewer: Visitor) -> None:
    held, told = look_that_is_late(reviewer)
    enter(reviewer.option(REMARK), "mine")
    reviewer.reads("Saved: 1 value corrected.")
    reviewer.hears(held, response=told)
    expect(reviewer.option(REMARK)).to_have_value("mine")


def test_a_late_look_at_rows_that_are_no_longer_shown_changes_nothing(
    visitor: Visitor, desk: Desk
) -> None:
    desk.step.review = payments(250)
    visitor.upload()
    visitor.press("Make the report")
    enter(visitor.option(REMARK), "mine")
    visitor.reads("Saved: 1 value corrected.")
    held, told = look_that_is_late(visitor)
    visitor.press("Next rows")
    visitor.reads("101 to 200 of 250 rows")
    visitor.hears(held, response=told)
    enter(visitor.option("Remark, row 101"), "more")
    visitor.reads("Saved: 2 values corrected.")


def test_an_edit_that_is_refused_when_its_row_has_gone_holds_up_no_other(
    reviewer: Visitor, arrives: Arrives, desk: Desk
) -> None:
    late = reviewer.holds("**/api/review")
    enter(reviewer.option("Remark, row 3"), "late")
    held = late()
    other = arrives(desk.url, reviewer.page.context)
    other.press("Start over")
    other.sees("empty")
    desk.step.review = payments(1)
    other.upload()
    other.press("Make the report")
    other.sees("review")
    expect(reviewer.option("Remark, row 3")).to_have_count(0)
    expect(reviewer.option(REMARK)).to_be_visible()
    problem = {"status": 409, "error": "not_ready", "detail": "There is no such review."}
    reviewer.hears(held, status=409, json=problem)
    enter(reviewer.option(REMARK), "mine")
    reviewer.reads("Saved: 1 value corrected.")


def test_an_edit_that_waits_for_its_turn_is_none_of_the_next_review(
    reviewer: Visitor, arrives: Arrives, desk: Desk
) -> None:
    late = reviewer.holds("**/api/review")
    enter(reviewer.option("Remark, row 3"), "late")
    enter(reviewer.option(REMARK), "later")
    held = late()
    other = arrives(desk.url, reviewer.page.context)
    other.press("Start over")
    other.sees("empty")
    other.upload()
    other.press("Make the report")
    other.sees("review")
    expect(reviewer.option(REMARK)).to_have_value("")
    told: list[Response] = []
    reviewer.page.on("response", lambda each: told.append(each))
    held.continue_()
    reviewer.waits(lambda: [each.status for each in told].count(409) == 2)
    enter(reviewer.option(REMARK), "mine")
    reviewer.reads("Saved: 1 value corrected.")
    expect(other.option(REMARK)).to_have_value("mine")
    expect(other.option("Remark, row 3")).to_have_value("")


def test_a_review_that_expired_asks_for_its_files(reviewer: Visitor, desk: Desk) -> None:
    expect(reviewer.page.locator("datalist option")).to_have_count(2)  # nothing is asked any more
    desk.turn(HOUR + 1)
    enter(reviewer.option(REMARK), "too late")
    reviewer.sees("expired")
    reviewer.press("Send these files again")
    reviewer.sees("review")


@pytest.mark.parametrize("reloaded", [False, True])
def test_corrections_that_expired_are_said_to_be_gone(
    reviewer: Visitor, desk: Desk, reloaded: bool
) -> None:
    gone = reviewer.page.get_by_text("What you corrected in the review is gone.")
    enter(reviewer.option(REMARK), "lost")
    reviewer.reads("Saved: 1 value corrected.")
    desk.turn(HOUR + 1)
    reviewer.page.evaluate("dispatchEvent(new Event('focus'))")
    reviewer.sees("expired")
    if reloaded:
        reviewer.page.reload()
    expect(gone).to_be_visible()
    reviewer.choose(csv())
    reviewer.sees("review")
    expect(reviewer.option(REMARK)).to_have_value("")
    desk.turn(HOUR + 1)
    reviewer.page.evaluate("dispatchEvent(new Event('focus'))")
    reviewer.sees("expired")
    expect(gone).to_be_hidden()


def test_a_file_dropped_on_a_review_does_not_end_it(reviewer: Visitor) -> None:
    enter(reviewer.option(REMARK), "kept")
    reviewer.reads("Saved: 1 value corrected.")
    reviewer.drop("dropped.csv")
    reviewer.reads("To use other files, press “Start over” first.")
    reviewer.sees("review")
    expect(reviewer.option(REMARK)).to_have_value("kept")


def test_a_step_without_a_review_loads_nothing_of_it(visitor: Visitor) -> None:
    visitor.make()
    assert not visitor.calls(["static/review.js", "static/review.css", "api/review"])
    expect(visitor.button("Back to the review")).to_have_count(0)
