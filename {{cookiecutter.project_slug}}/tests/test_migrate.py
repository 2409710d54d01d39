"""The command `migrate`: what it refuses and says. A whole app it moves in `faults`."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from servers import valkey

from {{ cookiecutter.package_name }} import cli, migrate, total
from {{ cookiecutter.package_name }}.keys import Keys
from {{ cookiecutter.package_name }}.silo import moving
from {{ cookiecutter.package_name }}.silo.kinds import STAYING
from {{ cookiecutter.package_name }}.silo.moving import Moved, Told
from {{ cookiecutter.package_name }}.silo.records import NEW, Put, Records, open_records

SECRET = "b1946ac92492d2347c6235b4d2611184"
PASSWORD = "geheim-und-lang"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("--to-store", url, NAME=value)` is the command with these settings, in a folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *options, **settings: CliRunner(env=settings).invoke(
        cli.main, ["migrate", *options]
    )


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Records]:
    """What the app keeps: two sessions, one of them with a file, and a key."""
    folder = tmp_path / "instance"
    records = open_records(f"sqlite:///{folder}/silo.db")
    for name in ("a", "b"):
        records.apply(Put("session", name * 64, b"[]\n{}", time.time() + 60, NEW))
    Keys(records).create("nightly", ["read"])
    (folder / "files" / ("a" * 64)).mkdir(parents=True)
    (folder / "files" / ("a" * 64) / "f.label").write_text("f")
    (folder / "files" / ("a" * 64) / "f").write_bytes(b"x" * 2**20)
    (folder / "files" / ("c" * 64)).mkdir()
    (folder / "files" / ("c" * 64) / "of-no-session.part").write_text("x")
    (folder / "secret_key").write_text(SECRET)
    yield records
    records.close()


def there(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/there/silo.db"


def test_the_summary_says_what_was_moved_and_what_is_left_to_do(
    run: Run, here: Records, tmp_path: Path
) -> None:
    result = run("--to-store", there(tmp_path), "--to-files", str(tmp_path / "there" / "files"))
    assert result.exit_code == 0, result.output
    words = [line.split() for line in result.output.splitlines()]
    assert ["files", "1", "1.0", "MB", "1", "new"] in words
    assert ["session", "2", "0.0", "MB", "2", "new"] in words
    assert ["key", "1", "0.0", "MB", "1", "new"] in words
    assert f"SILO_STORE_URL={there(tmp_path)}" in result.output
    assert f"SILO_FILES_URL={tmp_path}/there/files" in result.output
    assert f"SECRET_KEY=what {tmp_path}/instance/secret_key holds" in result.output
    assert SECRET not in result.output
    assert [each.name for each in (tmp_path / "there" / "files").iterdir()] == ["a" * 64]
    assert here.count("session") == 2, "and nothing was taken away"


def test_files_alone_and_records_alone(run: Run, here: Records, tmp_path: Path) -> None:
    result = run("--to-files", str(tmp_path / "there" / "files"), SECRET_KEY=SECRET)
    assert result.exit_code == 0, result.output
    assert "session" not in result.output
    assert "SECRET_KEY" not in result.output
    result = run("--to-store", there(tmp_path))
    assert result.exit_code == 0, result.output
    assert not any(line.startswith("files") for line in result.output.splitlines())


def test_a_store_that_is_in_use_is_left_alone_unless_told(
    run: Run, here: Records, tmp_path: Path
) -> None:
    other = open_records(there(tmp_path))
    revoked = Keys(other).create("revoked since", ["admin"])
    other.apply(Put("session", "z" * 64, b"[]\n{}", time.time() + 60, NEW))
    result = run("--to-store", there(tmp_path))
    assert result.exit_code == 1
    assert "is in use" in result.output
    assert "1 of the kind 'session' and 1 of the kind 'key'" in result.output
    assert "--replace" in result.output
    assert other.count("session") == 1
    assert run("--to-store", there(tmp_path), "--replace").exit_code == 0
    assert Keys(other).find(revoked) is None, "what was revoked here does not come back"
    assert sorted(key for key, _ in other.each("session")) == ["a" * 64, "b" * 64]
    other.close()


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ([], {}, "Everything is there already"),
        (["--to-store", "memory://"], {}, "which ends with its process"),
        (["--to-files", "elsewhere"], {"SILO_STORE_URL": "memory://"}, "which ends with its"),
        (["--to-store", "mysql://me:geheim-und-lang@host/0"], {}, "'mysql://***@host/0'"),
        (["--to-store", "redis://:geheim-und-lang@127.0.0.1:1/0"], {}, "'redis://***@127.0.0.1:1"),
        (["--to-files", "ftp://host"], {}, "SILO_FILES_URL is 'ftp://host'"),
        (["--to-endpoint", "http://host"], {}, "name that, too, with --to-files"),
    ],
)
def test_what_cannot_be_is_said_and_shows_no_password(
    run: Run, here: Records, options: list[str], settings: dict[str, str], said: str
) -> None:
    result = run(*options, **settings)
    assert result.exit_code == 1
    assert said in result.output
    assert PASSWORD not in result.output
    assert "Traceback" not in result.output


def test_a_url_with_a_password_may_come_from_the_environment(
    run: Run, here: Records, tmp_path: Path
) -> None:
    server = valkey.Valkey(tmp_path / "valkey", requirepass=PASSWORD)
    try:
        result = run(SILO_TO_STORE_URL=server.url)
        assert result.exit_code == 0, result.output
        assert PASSWORD not in result.output
        other = open_records(server.url)
        assert other.count("session") == 2
        other.close()
    finally:
        server.stop()


def test_an_app_that_goes_on_meanwhile_is_noticed(
    run: Run, here: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = moving.move_records

    def move(source: Records, target: Records, kind: str, told: Told) -> Moved:
        moved = really(source, target, kind, told)
        if kind == "session":
            here.apply(Put("session", "a" * 64, b"[]\n{1}", time.time() + 90))
        return moved

    monkeypatch.setattr(migrate, "move_records", move)
    result = run("--to-store", there(tmp_path))
    assert result.exit_code == 1
    assert "Stop every server and worker of the app, then migrate again." in result.output


def test_every_kind_of_record_that_the_app_keeps_moves_or_stays_on_purpose() -> None:
    folder = Path(cli.__file__).parent
    written = {kind for path in folder.rglob("*.py") for kind in kinds_in(path)}
    known = {*migrate.KINDS, *STAYING, total.KIND}
    assert written == {kind for kind in known if not kind.startswith("queue:")}


def kinds_in(path: Path) -> Iterator[str]:
    """The kinds that a module names: in steps, as a constant, or as what something is of."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case (
                ast.Call(ast.Name("Put" | "Delete" | "Postpone"), [ast.Constant(str(kind)), *_])
                | ast.Call(ast.Name("Leases"), [*_, ast.Constant(str(kind))])
                | ast.Assign([ast.Name("KIND" | "kind")], ast.Constant(str(kind)))
                | ast.Assign(
                    [ast.Tuple([ast.Name("KIND"), *_])], ast.Tuple([ast.Constant(str(kind)), *_])
                )
                | ast.arguments(args=[*_, ast.arg("kind")], defaults=[*_, ast.Constant(str(kind))])
            ):
                yield kind
