"""The command `serve --reload`: the server starts anew at each change, and loses nothing by it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from copied import FAILING, STEP, Copy
from support import eventually
from test_serve import Server, lives

from {{ cookiecutter.package_name }} import address, cli

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it speaks to gunicorn")


def get(server: Server, path: str, sid: str = "") -> Any:
    """What a path answers as JSON; None while nobody is there."""
    try:
        answer = server.ask("GET", path, X_Session_ID=sid)
    except OSError:
        return None
    return json.loads(answer.body) if answer.status == 200 else None


def job_is(server: Server, sid: str, status: str) -> Callable[[], Any]:
    def ask() -> Any:
        job = (get(server, "/api/status", sid) or {}).get("job") or {}
        return job if job.get("status") == status else None

    return ask


def begun(server: Server) -> str:
    """The id of a session whose job has been started."""
    eventually(server.is_ready)
    sid = server.upload().headers["X-Session-ID"]
    assert server.ask("POST", "/api/process", X_Session_ID=sid).status == 202
    return sid


def test_a_change_is_served_and_a_running_job_begins_again_with_it(copy: Copy) -> None:
    (copy.folder / "wait").touch()
    server = copy.serve("--reload")
    sid = begun(server)
    eventually(job_is(server, sid, "running"))
    copy.change("pipeline.py", STEP.replace("first", "one that came after"))
    copy.change("pipeline.py", STEP.replace("first", "second"))
    eventually(lambda: "second" in (get(server, "/api/options") or {}).get("properties", ""))
    (copy.folder / "wait").unlink()
    assert eventually(job_is(server, sid, "complete"))["attempt"] == 2
    assert get(server, "/api/report", sid)["title"] == "The second"
    assert "Changed: pipeline.py." in server.log


def test_every_file_of_the_app_counts(copy: Copy) -> None:
    server = copy.serve("--reload")
    for name in ("templates/index.html", "static/api.js", "views.py"):
        eventually(server.is_ready)
        with (copy.package / name).open("a") as file:
            file.write("\n")
        eventually(lambda name=name: f"Changed: {name}." in server.log)  # type: ignore[misc]


def test_what_cannot_be_loaded_is_told_and_the_next_save_mends_it(copy: Copy) -> None:
    server = copy.serve("--reload")
    eventually(server.is_ready)
    copy.change("pipeline.py", "x = 1\ny = '<b>' +* 2\n")
    eventually(lambda: "starts again when a file is saved" in server.log)
    said = "pipeline.py, line 2: It cannot be loaded: SyntaxError: invalid syntax"
    assert said in server.log
    assert "Traceback" not in server.log
    page = eventually(lambda: answered(server, "/"))
    assert (page.status, said in page.body.decode()) == (503, True)
    api = server.ask("POST", "/api/process", b"{}")
    assert (api.status, api.headers["Retry-After"]) == (503, "1")
    assert said in json.loads(api.body)["detail"]
    copy.change("pipeline.py", STEP)
    eventually(server.is_ready)


def answered(server: Server, path: str) -> Any:
    try:
        return server.ask("GET", path)
    except OSError:
        return None


def test_what_the_code_says_is_text_on_the_page(copy: Copy) -> None:
    copy.change("pipeline.py", "raise ValueError('<script>alert()')\n")
    server = copy.serve("--reload")
    page = eventually(lambda: answered(server, "/"))
    assert b"&lt;script&gt;alert()" in page.body
    assert page.body.count(b"<script") == 1, "the page's own"


def test_the_log_of_a_failed_job_ends_with_its_traceback_in_development(copy: Copy) -> None:
    copy.change("pipeline.py", FAILING)
    server = copy.serve("--reload")
    job = eventually(job_is(server, begun(server), "failed"))
    line = FAILING.splitlines().index('    raise ValueError("<b>in a step</b>")') + 1
    assert f'pipeline.py", line {line}, in process' in "\n".join(job["logs"])
    assert job["logs"][-1] == "ValueError: <b>in a step</b>"
    assert "log has the details under error" in job["error"]
    assert b"development.js" in server.ask("GET", "/").body


def test_s11_a_failed_step_tells_no_traceback_by_default(copy: Copy) -> None:
    copy.change("pipeline.py", FAILING)
    server = copy.serve()
    sid = begun(server)
    job = eventually(job_is(server, sid, "failed"))
    assert job["logs"] == []
    for path in ("/api/status", "/api/progress", "/api/events"):
        assert b"in a step" not in server.ask("GET", path, X_Session_ID=sid).body
    assert b"development" not in server.ask("GET", "/").body
    assert "in a step" in server.log


@pytest.mark.parametrize("arguments", [["--reload"], []])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_s11_tracebacks_are_for_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, arguments: list[str]
) -> None:
    monkeypatch.setenv("SILO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SILO_DEVELOPMENT", "" if arguments else "1")
    result = CliRunner().invoke(cli.main, ["serve", "--host", host, *arguments])
    assert result.exit_code == 1
    assert f"for this machine alone: {host} can be called from others." in result.output


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_what_only_this_machine_reaches(host: str) -> None:
    assert address.is_loopback(host)


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGINT, STEP), (signal.SIGTERM, "x ="), (signal.SIGHUP, STEP)]
)
def test_it_ends_with_everything_below_it(copy: Copy, number: int, step: str) -> None:
    copy.change("pipeline.py", step)
    server = copy.serve("--reload")
    eventually(lambda: answered(server, "/"))
    below = server.descendants()
    assert bool(below) is (step == STEP)
    assert server.end(number)[0] == 0
    eventually(lambda: not any(map(lives, below)))


def test_a_setting_that_no_change_can_mend_ends_it(copy: Copy) -> None:
    code, said = copy.serve("--reload", SILO_TTL="never").failed()
    assert code == 1
    assert "SILO_TTL is 'never'" in said
