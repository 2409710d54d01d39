"""Text that would be a script if the page took it for one, wherever a person's file can put it."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Arrives, Served
from .visitor import Upload

EVIL = "<img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>"
NAME = "<img src=x onerror=document.title='evil'>.csv"


def evil(name: str, *rows: str) -> Upload:
    return {"name": name, "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_no_text_of_a_file_becomes_a_part_of_the_page(arrives: Arrives, served: Served) -> None:
    visitor = arrives(served.url)
    cell = quoted(EVIL)
    visitor.upload(evil(NAME, f"{cell},Amount", f"{cell},1", "b,2", f"{cell},3"))
    visitor.reads(NAME)
    visitor.press("Make the report")
    visitor.sees("done")
    visitor.reads("<img src=x")
    expect(visitor.page).not_to_have_title("evil")
    assert visitor.page.locator("img[src=x], body script:not([src])").count() == 0
    visitor.page.reload()
    visitor.sees("done")
    assert visitor.page.locator("img[src=x]").count() == 0


def test_no_message_becomes_a_part_of_the_page(arrives: Arrives, served: Served) -> None:
    visitor = arrives(served.url)
    visitor.upload(evil(NAME, "a,b", "1,2"))
    visitor.option("Totals by").fill(EVIL)
    visitor.press("Make the report")
    visitor.sees("failed")
    visitor.reads("<img src=x")
    assert visitor.page.locator("img[src=x]").count() == 0


def test_a_script_that_got_in_would_not_run(arrives: Arrives, served: Served) -> None:
    """The policy holds by itself: nothing inline runs, nothing is sent to anywhere else."""
    visitor = arrives(served.url)
    visitor.page.evaluate(
        """async () => {
            const script = document.createElement('script')
            script.textContent = "document.title = 'evil'"
            document.body.append(script)
            const link = document.createElement('div')
            link.innerHTML = '<img src=x onerror="document.title = 1"><form action="//e.example">'
            const broken = new Promise(done => link.firstChild.addEventListener('error', done))
            document.body.append(link)
            await broken
            const sent = fetch('https://evil.example/').then(() => 'sent', () => 'refused')
            if (await sent !== 'refused') throw new Error('sent')
        }"""
    )
    assert "evil" not in visitor.page.title()
    refused = [line for line in visitor.complaints if "Content Security Policy" in line]
    assert any("script" in line for line in refused)
    assert any("evil.example" in line for line in refused)
    visitor.complaints.clear()
    visitor.requests.clear()
