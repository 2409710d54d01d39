"""Settings: their defaults, their sources, and the sentence for each wrong value."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backends import KEY, OTHER_KEY

from {{ cookiecutter.package_name }} import config, create_app
from {{ cookiecutter.package_name }}.config import ConfigError, Settings, load_settings
from {{ cookiecutter.package_name }}.ratelimits import windows
from {{ cookiecutter.package_name }}.silo.files.keyring import Keyring

SECRET = "kS8vPq2wXz7mLr4t"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("SILO_") or name == "SECRET_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_defaults() -> None:
    settings = load_settings()
    assert settings.silo_data_dir == Path("instance")
    assert (settings.silo_ttl, settings.silo_cleanup_interval) == (3600, 60)
    assert (settings.silo_expired_retain, settings.silo_lease) == (7200, 15)
    assert (settings.silo_task_timeout, settings.silo_task_memory_mb) == (900, 1024)
    assert (settings.silo_max_upload_mb, settings.silo_session_quota_mb) == (200, 500)
    assert (settings.silo_cors_origins, settings.silo_trusted_proxies) == ((), 0)
    assert (settings.silo_cache_ttl, settings.silo_cache_prefix) == (0, "cache")
    assert settings.silo_cache_purge
    assert (settings.silo_limit_sessions, settings.silo_limit_uploads) == ("1000/hour",) * 2
    assert settings.silo_limit_address_uploads == "5000/hour"
    assert (settings.silo_limit_jobs, settings.silo_limit_downloads) == ("60/minute", "120/minute")
    assert settings.silo_runner == "process"
    assert settings.silo_workers == os.cpu_count()


def test_nothing_is_made_by_reading_them(tmp_path: Path) -> None:
    load_settings()
    assert list(tmp_path.iterdir()) == []


def test_the_example_shows_every_setting_and_its_default() -> None:
    text = (Path(__file__).parent.parent / ".env.example").read_text()
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    assert load_settings({name: value for name, value in shown.items() if value}) == load_settings()


def test_a_given_value_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILO_TTL", "120")
    monkeypatch.setenv("SILO_LEASE", "30")
    settings = load_settings({"SILO_TTL": 60})
    assert (settings.silo_ttl, settings.silo_lease) == (60, 30)


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch, empty: Any) -> None:
    for field in Settings.model_fields:
        monkeypatch.setenv(field.upper(), "")
    assert load_settings({"SILO_TTL": empty, "SILO_WORKERS": empty}) == load_settings()
    assert load_settings().silo_ttl == 3600


def test_origins_are_separated_by_commas() -> None:
    given = load_settings({"SILO_CORS_ORIGINS": "https://A.example.com , http://localhost:5173"})
    assert given.silo_cors_origins == ("https://a.example.com", "http://localhost:5173")


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^There is no setting SILO_TLT, silo_ttl\.$"):
        load_settings({"SILO_TLT": 60, "silo_ttl": 60})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SILO_STORE_URL", "postgres://localhost/app"),
        ("SILO_STORE_URL", "instance/silo.db"),
        ("SILO_STORE_URL", "http://[broken"),
        ("SILO_FILES_URL", "ftp://example.com/files"),
        ("SILO_ENCRYPTION_KEY", "swordfish"),
        ("SILO_ENCRYPTION_KEY", f"{KEY[:-4]}===="),
        ("SILO_ENCRYPTION_KEY", f"{KEY},"),
        ("SILO_ENCRYPTION_KEY", f"{KEY} {KEY}"),
        ("SILO_ENCRYPTION_KEY", f"{KEY}é"),
        ("SILO_RUNNER", "threads"),
        ("SILO_CACHE_TTL", "-1"),
        ("SILO_TASK_TIMEOUT", "5000000000"),
        ("SILO_CACHE_PREFIX", "../files"),
        ("SILO_CACHE_PREFIX", "Cache"),
        ("SILO_CACHE_PREFIX", "0" * 64),
        ("SILO_CACHE_PURGE", "perhaps"),
        ("SILO_TTL", "0"),
        ("SILO_TTL", "-1"),
        ("SILO_TTL", "an hour"),
        ("SILO_TTL", "inf"),
        ("SILO_TTL", "nan"),
        ("SILO_CLEANUP_INTERVAL", "0"),
        ("SILO_EXPIRED_RETAIN", "-1"),
        ("SILO_WORKERS", "0"),
        ("SILO_WORKERS", "two"),
        ("SILO_WORKERS", "1.5"),
        ("SILO_LEASE", "0"),
        ("SILO_TASK_TIMEOUT", "0"),
        ("SILO_TASK_MEMORY_MB", "100"),
        ("SILO_MAX_UPLOAD_MB", "0"),
        ("SILO_SESSION_QUOTA_MB", "-5"),
        ("SILO_CORS_ORIGINS", "*"),
        ("SILO_CORS_ORIGINS", "https://*.example.com"),
        ("SILO_CORS_ORIGINS", "https://a.example.com,*"),
        ("SILO_CORS_ORIGINS", "https://a.example.com/"),
        ("SILO_CORS_ORIGINS", "https://a.example.com/app"),
        ("SILO_CORS_ORIGINS", "a.example.com"),
        ("SILO_CORS_ORIGINS", "https://a.example.com,"),
        ("SILO_CORS_ORIGINS", "null"),
        ("SILO_CORS_ORIGINS", "https://.*"),
        ("SILO_LIMIT_SESSIONS", "100"),
        ("SILO_LIMIT_SESSIONS", "0/hour"),
        ("SILO_LIMIT_UPLOADS", "-1/hour"),
        ("SILO_LIMIT_UPLOADS", "1.5/hour"),
        ("SILO_LIMIT_ADDRESS_UPLOADS", "ten/hour"),
        ("SILO_LIMIT_JOBS", "10/fortnight"),
        ("SILO_LIMIT_JOBS", "10/minute;"),
        ("SILO_LIMIT_JOBS", "10/minute; off"),
        ("SILO_LIMIT_DOWNLOADS", "10/0 minutes"),
        ("SILO_LIMIT_DOWNLOADS", "10"),
        ("SILO_TRUSTED_PROXIES", "-1"),
        ("SILO_TRUSTED_PROXIES", "yes"),
    ],
)
def test_a_wrong_value_is_named_in_a_sentence(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_app({name: value})
    said = str(caught.value)
    secret = name in ("SECRET_KEY", "SILO_ENCRYPTION_KEY")
    assert said.startswith(f"{name}: " if secret else f"{name} is {value!r}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert "Value error" not in said
    assert not secret or value not in said


def test_what_encryption_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the extra `encryption`: pip install .*\.$"):
        load_settings({"SILO_ENCRYPTION_KEY": KEY})


def test_a_wrong_encryption_key_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match=r"32 bytes .*`encryption-key` makes one\.$"):
        load_settings({"SILO_ENCRYPTION_KEY": "swordfish"})


def test_encryption_keys_are_shown_to_nobody() -> None:
    settings = load_settings({"SILO_ENCRYPTION_KEY": f"{OTHER_KEY}, {KEY}"})
    assert settings.encryption_key == f"{OTHER_KEY}, {KEY}"
    for shown in (repr(settings), str(settings), repr(Keyring(KEY).first), repr(Keyring(KEY))):
        assert KEY not in shown
        assert "\\x00\\x01\\x02" not in shown


SAMPLES = [
    "secret",
    "fifteen letters",
    "change-me-change-me-change-me",
    "your-secret-key-here",
    "please change this secret key",
    "CHANGE_THIS_DEFAULT_SECRET_KEY",
    "test-test-test-test-test",
    "example-insecure-password",
]


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("where", ["given", "environment", "file"])
def test_s06_a_sample_is_refused_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: str, where: str
) -> None:
    if where == "environment":
        monkeypatch.setenv("SECRET_KEY", sample)
    if where == "file":
        (tmp_path / "instance").mkdir()
        (tmp_path / "instance" / "secret_key").write_text(sample)
    with pytest.raises(ConfigError) as caught:
        create_app({"SECRET_KEY": sample} if where == "given" else {})
    said = str(caught.value)
    assert "SECRET_KEY: it is" in said or "holds no secret: it is" in said
    assert said.endswith("made.")
    assert sample == "secret" or sample not in said, "which is a word of the sentence"


def test_s06_the_secret_is_kept_out_of_the_repository() -> None:
    ignored = (Path(__file__).parent.parent / ".gitignore").read_text().split()
    assert {"instance/", ".env"} <= set(ignored)


@pytest.mark.parametrize(
    ("given", "limit", "meant"),
    [
        ("", "1000/hour", [(3600, 1000)]),
        ("100/hour", "100/hour", [(3600, 100)]),
        ("100/hour; 10/minute", "100/hour;10/minute", [(60, 10), (3600, 100)]),
        (
            "1/Second ; 20/5 minutes;100/days",
            "1/second;20/5 minutes;100/days",
            [(1, 1), (300, 20), (86400, 100)],
        ),
        ("OFF", "off", []),
    ],
)
def test_s38_limits_are_written_like_this(
    given: str, limit: str, meant: list[tuple[int, int]]
) -> None:
    settings = load_settings({"SILO_LIMIT_SESSIONS": given})
    assert settings.limit("sessions") == limit
    assert windows(limit) == meant, "seconds, and how often"


def test_every_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"SILO_TTL": "x", "SILO_WORKERS": "y"})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "SILO_TTL",
        "SILO_WORKERS",
    ]


@pytest.mark.parametrize(
    "secret", [SECRET, "0123456789abcdef0123456789abcdef", "correct horse battery staple"]
)
def test_s06_a_secret_of_ones_own_is_used_and_not_written(tmp_path: Path, secret: str) -> None:
    app = create_app({"SECRET_KEY": secret})
    app.extensions["silo"].stop()
    assert app.config["SECRET_KEY"] == secret
    assert not (tmp_path / "instance" / "secret_key").exists()
    assert mode(tmp_path / "instance") == 0o700


def test_s06_a_secret_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    first, second = load_settings().settled(), load_settings().settled()
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 43
    assert mode(tmp_path / "instance") == 0o700
    assert mode(tmp_path / "instance" / "secret_key") == 0o600
    other = load_settings({"SILO_DATA_DIR": "other"}).settled()
    assert other.secret_key != first.secret_key


def test_s06_of_two_that_make_a_secret_the_first_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_later_than_another() -> str:
        (tmp_path / "instance" / "secret_key").write_text(SECRET)
        return SECRET[::-1]

    monkeypatch.setattr(config, "_new_secret", make_later_than_another)
    assert load_settings().settled().secret_key == SECRET
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["secret_key"]


def test_s06_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    code = f"""
import sys
from {config.__name__} import load_settings
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
print(load_settings().settled().secret_key)
"""
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(3)
    ]
    for each in starters:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    for each in starters:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    secrets = {each.communicate(timeout=300)[0].strip() for each in starters}
    assert len(secrets) == 1
    assert secrets == {(tmp_path / "instance" / "secret_key").read_text()}
    assert [path.name for path in (tmp_path / "instance").iterdir()] == ["secret_key"]


def unusable(tmp_path: Path) -> Iterator[tuple[str, str]]:
    (tmp_path / "file").touch()
    (tmp_path / "text").write_text("no database, and long enough to be looked at" * 100)
    yield "SILO_DATA_DIR", "file"
    yield "SILO_DATA_DIR", "file/below"
    yield "SILO_FILES_URL", "file/below"
    yield "SILO_STORE_URL", "sqlite:///text"
    yield "SILO_STORE_URL", "sqlite://data/silo.db"
    yield "SILO_STORE_URL", "sqlite:///"


def test_what_cannot_be_opened_is_named_in_a_sentence(tmp_path: Path) -> None:
    for name, value in unusable(tmp_path):
        with pytest.raises(ConfigError, match=f"^{name} is '{value}': .*\\.$"):
            create_app({name: value})


def test_files_may_lie_on_a_drive_of_windows() -> None:
    assert load_settings({"SILO_FILES_URL": r"C:\data"}).files_url == r"C:\data"


def test_a_data_directory_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "dätä 100%20 #1?"
    app = create_app({"SILO_DATA_DIR": str(folder)})
    app.extensions["silo"].stop()
    assert {"silo.db", "files", "secret_key"} <= {path.name for path in folder.iterdir()}


def test_s06_an_app_never_runs_without_a_secret() -> None:
    for empty in ("", None):
        app = create_app({"SECRET_KEY": empty})
        app.extensions["silo"].stop()
        assert len(app.config["SECRET_KEY"]) >= 43


def test_s06_an_empty_secret_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "secret_key").touch()
    with pytest.raises(ConfigError, match="secret_key holds no secret"):
        load_settings().settled()
