"""ResultCache: what was kept is found as it was, and whatever is wrong with it is a miss."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import FOLDERS, PLACES
from support import Clock

from {{ cookiecutter.package_name }} import cache
from {{ cookiecutter.package_name }}.cache import SWEEP_SECONDS, ResultCache, key_of, version_of
from {{ cookiecutter.package_name }}.silo import FileStore
from {{ cookiecutter.package_name }}.silo.files.place import Place

TTL = 100.0
KEY, OTHER = "a" * 64, "b" * 64
REPORT, WORKBOOK = b'{"title":"Sales"}', bytes(range(256)) * 10_000

Kept = Callable[..., ResultCache]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def make(place: Place, clock: Clock) -> Kept:
    """Makes a cache; called again, that of another process."""
    return lambda **given: ResultCache(place, **{"ttl": TTL, "clock": clock, **given})


@pytest.fixture
def make_plain(tmp_path: Path, clock: Clock) -> Kept:
    """The same where nothing but the cache itself would notice any damage."""
    place = PLACES["local"](tmp_path)
    return lambda **given: ResultCache(place, **{"ttl": TTL, "clock": clock, **given})


def keep(kept: ResultCache, key: str = KEY, workbook: bytes = WORKBOOK) -> None:
    kept.keep(key, REPORT, io.BytesIO(workbook))


def found(kept: ResultCache, key: str = KEY) -> tuple[bytes, bytes] | None:
    hit = kept.find(key)
    if hit is None:
        return None
    with hit.files as workbook:
        return hit.report, workbook.read()


def stored(tmp_path: Path, key: str = KEY, prefix: str = "cache") -> Path:
    """Where an object lies, or would lie."""
    path = tmp_path / "files" / prefix / key
    sealed = path.with_name(f"{key}.sealed")
    return sealed if sealed.exists() else path


def test_what_is_kept_is_found_by_another_process(make: Kept) -> None:
    assert found(make()) is None
    keep(make())
    assert found(make()) == (REPORT, WORKBOOK)
    assert found(make(), OTHER) is None


def test_it_is_replaced_as_a_whole(make: Kept) -> None:
    keep(make())
    keep(make(), workbook=b"newer")
    assert found(make()) == (REPORT, b"newer")


def test_prefixes_keep_apart(make: Kept, place: Place) -> None:
    keep(make(prefix="blue"))
    assert found(make(prefix="green")) is None
    assert found(make(prefix="blue")) == (REPORT, WORKBOOK)
    assert [place.names(each) for each in ("blue", "green")] == [[KEY], []]


def test_the_expiry_is_kept_with_the_object(make: Kept, clock: Clock) -> None:
    keep(make(ttl=50))
    clock.advance(49.9)
    assert found(make(ttl=1)) == (REPORT, WORKBOOK)
    clock.advance(0.2)
    assert found(make(ttl=1000)) is None


@pytest.mark.parametrize("purge", [True, False])
def test_an_expired_one_is_logged_and_removed_at_once_or_later(
    make: Kept, clock: Clock, place: Place, purge: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept = make(purge=purge)
    keep(kept)
    clock.advance(TTL)
    assert found(kept) is None
    assert caplog.messages == [f"cached report {KEY} is expired"]
    assert place.names("cache") == ([] if purge else [KEY])
    kept.sweep()
    assert place.names("cache") == place.names("cache-due") == []


def head(data: bytes) -> tuple[bytes, bytes]:
    line, _, rest = data.partition(b"\n")
    return line, rest


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no head": lambda data: head(data)[1],
    "cut in its head": lambda data: data[:20],
    "cut after its head": lambda data: head(data)[0] + b"\n",
    "cut in its workbook": lambda data: data[:-1],
    "one more byte": lambda data: data + b"x",
    "one bit": lambda data: data[:-1000] + bytes([data[-1000] ^ 1]) + data[-999:],
    "a bit of the json": lambda data: data.replace(b"Sales", b"Salms"),
    "another length": lambda data: data.replace(b", 17,", b", 18,", 1),
    "a negative length": lambda data: data.replace(b", 17,", b", -1,", 1),
    "a later expiry": lambda data: b"[9" + data[1:],
    "no expiry": lambda data: b"[NaN" + data[data.index(b",") :],
    "not a list": lambda data: b'{"a": 1}\n' + head(data)[1],
    "too few": lambda data: b"[1e12, 17]\n" + head(data)[1],
    "not numbers": lambda data: b'["x", [], {}]\n' + head(data)[1],
    "no text": lambda data: b"\xff\xfe\n" + data,
    "an endless line": lambda data: b"[" * 10**6,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_a_miss_logged_and_removed(
    make_plain: Kept, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(make_plain())
    path = stored(tmp_path)
    before = path.read_bytes()
    path.write_bytes(DAMAGES[damage](before))
    assert path.read_bytes() != before
    assert found(make_plain()) is None
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"cached report {KEY} is ")
    assert not path.exists()
    keep(make_plain())
    assert found(make_plain()) == (REPORT, WORKBOOK)


def test_what_cannot_be_kept_is_logged_and_nothing_else(
    make_plain: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = make_plain()
    stored(tmp_path).parent.write_text("a file where the folder should be")
    keep(kept)
    assert caplog.messages == [f"report {KEY} cannot be cached"]


def test_what_cannot_be_read_is_logged_and_a_miss(
    make_plain: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored(tmp_path).mkdir(parents=True)
    assert found(make_plain()) is None
    assert caplog.messages == [f"cached report {KEY} cannot be read"]


def test_several_may_keep_the_same_at_once(make: Kept) -> None:
    seen, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(found(make()))

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(look)
        for each in [pool.submit(keep, make()) for _ in range(8)]:
            each.result()
        done.set()
        reader.result()
    assert set(seen) <= {None, (REPORT, WORKBOOK)}
    assert found(make()) == (REPORT, WORKBOOK)


def test_a_sweep_removes_what_has_expired_and_nothing_else(
    make: Kept, clock: Clock, place: Place
) -> None:
    keep(make(ttl=10), KEY)
    keep(make(ttl=1000), OTHER)
    clock.advance(10)
    make().sweep()
    assert place.names("cache") == [OTHER]
    assert len(place.names("cache-due")) == place.shared


def test_a_sweep_in_the_second_in_which_it_expires_forgets_nothing(
    make: Kept, clock: Clock, place: Place
) -> None:
    clock.advance(0.9)
    keep(make(ttl=10))
    clock.advance(9.5)
    make().sweep()
    assert place.names("cache") == [KEY]
    clock.advance(SWEEP_SECONDS)
    make().sweep()
    assert place.names("cache") == place.names("cache-due") == []


def test_a_sweep_spares_what_was_kept_anew(make: Kept, clock: Clock, place: Place) -> None:
    keep(make(ttl=10))
    keep(make(ttl=1000))
    clock.advance(10)
    make().sweep()
    assert found(make()) == (REPORT, WORKBOOK)
    clock.advance(1000)
    make().sweep()
    assert place.names("cache") == place.names("cache-due") == []


@pytest.mark.parametrize("place", FOLDERS, indirect=True)
def test_a_sweep_removes_what_a_killed_writer_left(make: Kept, tmp_path: Path) -> None:
    keep(make(), OTHER)
    stored(tmp_path, "part-of-a-killed-writer").write_bytes(b"")
    make().sweep()
    left = stored(tmp_path, OTHER)
    assert set(left.parent.iterdir()) == {left, left.with_name(f"{left.name}.label")}


def test_a_sweep_looks_only_now_and_then(make: Kept, clock: Clock, place: Place) -> None:
    kept = make(ttl=10)
    kept.sweep()
    keep(kept)
    clock.advance(SWEEP_SECONDS - 1)
    kept.sweep()
    assert place.names("cache") == [KEY]
    clock.advance(1)
    kept.sweep()
    assert place.names("cache") == []


def test_the_files_of_sessions_and_the_cache_leave_each_other_alone(
    make: Kept, place: Place
) -> None:
    files = FileStore(place)
    files.save("a session", "input", b"1")
    keep(make())
    make().sweep()
    assert files.list_files("a session") == ["input"]
    files.sweep(lambda _: False)
    files.cleanup_all()
    assert files.list_files("a session") == []
    assert found(make()) == (REPORT, WORKBOOK)


# The key


FILES = [{"id": "1", "name": "a.csv", "size": 1, "sha256": "0" * 64}]


def test_a_key_tells_apart_what_makes_another_report(monkeypatch: pytest.MonkeyPatch) -> None:
    one = key_of(FILES, {"largest": 10})
    assert one == key_of([{**FILES[0], "id": "2"}], {"largest": 10})
    others = [
        key_of(FILES, {"largest": 11}),
        key_of(FILES, {}),
        key_of([{**FILES[0], "name": "b.csv"}], {"largest": 10}),
        key_of([{**FILES[0], "sha256": "1" * 64}], {"largest": 10}),
        key_of(FILES * 2, {"largest": 10}),
    ]
    monkeypatch.setattr(cache, "STEP_VERSION", "another")
    others.append(key_of(FILES, {"largest": 10}))
    assert len({one, *others}) == 7


def test_the_order_of_files_matters_and_that_of_options_does_not() -> None:
    two = [*FILES, {**FILES[0], "name": "b.csv"}]
    assert key_of(two, {}) != key_of(two[::-1], {})
    assert key_of(FILES, {"a": 1, "b": 2}) == key_of(FILES, {"b": 2, "a": 1})


def test_the_step_s_version_changes_with_any_of_its_code(tmp_path: Path) -> None:
    versions = [version_of(tmp_path)]
    for name, code in (
        ("pipeline.py", ""),
        ("pipeline.py", "# changed"),
        ("tables/xlsx.py", ""),
        ("tables/xls.py", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
        versions.append(version_of(tmp_path))
    (tmp_path / "notes.txt").write_text("no code")
    assert version_of(tmp_path) == versions[-1]
    assert len(set(versions)) == len(versions)
