"""What a person does on the page, and what they see there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict

from playwright.sync_api import ConsoleMessage, Download, Locator, Page, Request, Route, expect

REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
UNREACHED = re.compile(r"Failed to load resource: (net::ERR_|.* status of 503)")
PATIENCE_SECONDS = 60
HIDDEN = """() => {
    const one = document.activeElement;
    const { x, y, width, height } = one.getBoundingClientRect();
    const spot = (i, j) => [x + i * width, y + j * height];
    const spots = [0.1, 0.5, 0.9].flatMap((i) => [spot(i, 0.1), spot(i, 0.9)]);
    return spots.some((spot) => document.elementFromPoint(...spot) !== one) ? [one.id] : [];
}"""
"""The id of the focused element, if something lies over a part of it."""
DROP = """(names) => {
    const dataTransfer = new DataTransfer();
    for (const name of names) dataTransfer.items.add(new File(["A,B\\n1,2"], name));
    const init = { dataTransfer, bubbles: true, cancelable: true };
    const event = new DragEvent("drop", init);
    document.querySelector("main").dispatchEvent(event);
    return event.defaultPrevented;
}"""
"""Drops files; true if the browser itself, which would go to them, is kept from it."""
STYLED = "[...document.querySelectorAll('link[rel=stylesheet]')].every(link => link.sheet)"


class Upload(TypedDict):
    """A file that exists in the test alone, as Playwright takes it."""

    name: str
    mimeType: str
    buffer: bytes


def csv(name: str = "sales.csv", rows: int = 3) -> Upload:
    lines = ["Region,Amount", *(f"North,{n}" for n in range(rows))]
    return {"name": name, "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}


class Visitor:
    """One tab. Whatever the browser complains about, and whoever else is called, is kept."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.loses_server = False
        self.elsewhere: tuple[str, ...] = ()
        """What addresses begin with that the browser may call besides the app's."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def check(self) -> None:
        """Nothing was wrong but refused calls, and lost ones if the test takes the server away."""
        expected = [REFUSED, UNREACHED] if self.loses_server else [REFUSED]
        wrong = [line for line in self.complaints if not any(e.match(line) for e in expected)]
        assert not wrong, wrong
        own = (self.url, "data:", "blob:", *self.elsewhere)
        foreign = [r.url for r in self.requests if not r.url.startswith(own)]
        assert not foreign, foreign

    # What they do

    def open(self) -> Visitor:
        self.page.goto(self.url)
        return self

    def choose(self, *files: Upload | Path) -> None:
        chosen = list(files)
        self.page.get_by_label(re.compile("Drop files here")).set_input_files(chosen)  # type: ignore[arg-type]  # a mixed list is fine

    def drop(self, *names: str) -> None:
        assert self.page.evaluate(DROP, names)

    def upload(self, *files: Upload) -> None:
        self.choose(*files or [csv()])
        self.sees("ready")

    def press(self, name: str) -> None:
        self.button(name).click()

    def make(self) -> None:
        """From an opened page to a finished report."""
        self.upload()
        self.press("Make the report")
        self.sees("done")

    def download(self) -> Download:
        with self.page.expect_download() as waiting:
            self.press("Download the workbook")
        return waiting.value

    def holds(self, address: str) -> Callable[[], Route]:
        """Hold the next call of an address. What this returns waits for that call, and gives it."""
        held: list[Route] = []
        self.page.route(address, lambda route: held.append(route), times=1)

        def call() -> Route:
            self.waits(lambda: held)
            return held[0]

        return call

    def hears(self, held: Route, **answer: Any) -> None:
        """Give a call that the test holds its answer, and wait until the page has dealt with it."""
        with self.page.expect_response(held.request.url) as answered:
            held.fulfill(**answer)
        answered.value.finished()
        self.page.evaluate(
            """async () => {
                await (await fetch("healthz")).text();  // what came before has been read by then
                await new Promise(requestAnimationFrame);
            }"""
        )

    # What they see

    def waits(self, condition: Callable[[], object]) -> None:
        """Wait until something is so that this test is told of, such as a call that it holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(20)

    def is_dressed(self) -> None:
        """Wait until all style has come: parts of the page are shown before their own."""
        self.waits(lambda: self.page.evaluate(STYLED))

    def rests(self) -> None:
        """Wait until the page asks nothing more by itself: last, for the columns of a `csv()`."""
        expect(self.page.locator("datalist option")).to_have_count(2)

    def sees(self, state: str) -> None:
        expect(self.page.locator("html")).to_have_attribute("data-state", state)

    def reads(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def heading(self) -> Locator:
        return self.page.locator("h2:visible").first

    def option(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True)

    def table(self, name: str) -> list[list[str]]:
        """The cells of a table as they are shown, its header first."""
        rows = self.page.get_by_role("table", name=name).get_by_role("row")
        cells: list[list[str]] = rows.evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        )
        return cells

    @property
    def session(self) -> str:
        kept = self.page.evaluate("JSON.parse(localStorage.getItem('silo:/api')).session")
        assert isinstance(kept, str)
        return kept

    def calls(self, paths: Iterable[str]) -> list[Request]:
        return [r for r in self.requests if r.url.removeprefix(self.url) in set(paths)]
