"""FileStore: each session's own files, whole or not at all, and never outside its folder."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from backends import FOLDERS, PLACES

from {{ cookiecutter.package_name }}.silo import FileStore, SiloError
from {{ cookiecutter.package_name }}.silo.errors import PartMoved
from {{ cookiecutter.package_name }}.silo.files.forced import BATCH_BYTES
from {{ cookiecutter.package_name }}.silo.files.place import Place
from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key

SID = "a-session-of-a-client"
HOSTILE = [
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a\x00b",
    "n" * 300,
    "\U0001f600 表",
    "\ud800",
    "C:\\windows\\system.ini",
    "CON",
    "a/b",
    "/",
    "-rf",
    ".label",
    "x.label",
    "part-x",
    "line\nbreak",
]


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    return any(each.exists() and each.samefile(path) for each in Path("/proc/self/fd").iterdir())


class Torn(io.RawIOBase):
    """A stream that breaks off after some bytes."""

    def __init__(self) -> None:
        self._left = 3

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        assert isinstance(buffer, (bytearray, memoryview))
        if not self._left:
            raise ConnectionResetError("the client went away")
        self._left -= 1
        buffer[:1000] = b"x" * 1000
        return 1000


def torn() -> io.BufferedReader:
    return io.BufferedReader(Torn())


def everything_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def kept_bytes(files: FileStore, size: int) -> int:
    """What a file of so many bytes takes."""
    before = files.total_size_bytes
    files.save("a scale", "a", bytes(size))
    found = files.total_size_bytes - before
    files.cleanup("a scale")
    return found


def test_a_file_is_saved_from_bytes_and_from_a_stream(files: FileStore) -> None:
    one = files.save(SID, "one.bin", b"\x00one")
    two = files.save(SID, "two.bin", io.BytesIO(b"two" * 10**6))
    assert [files.get_path(SID, name) for name in ("one.bin", "two.bin")] == [one, two]
    with files.open(SID, "two.bin") as stream, files.local(SID, "one.bin") as path:
        assert stream.read() == b"two" * 10**6
        assert path.read_bytes() == b"\x00one"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", ["replace", "unlink"])
def test_nothing_is_renamed_or_removed_while_it_is_open_which_windows_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files, changed, change = FileStore(tmp_path), list[Path](), getattr(Path, name)

    def changing(path: Path, *given: Any, **named: Any) -> Any:
        assert not is_open(path)
        changed.append(path)
        return change(path, *given, **named)

    monkeypatch.setattr(Path, name, changing)
    files.save(SID, "a", b"one")
    with pytest.raises(ConnectionResetError):
        files.save(SID, "a", torn())
    assert len(changed) == 1


def test_a_part_becomes_a_file_when_it_is_finished(files: FileStore) -> None:
    files.begin(SID, "a.csv")
    assert files.part_size(SID, "a.csv") == 0
    assert files.append(SID, "a.csv", 0, io.BytesIO(b"one")) == 3
    assert files.append(SID, "a.csv", 3, io.BytesIO(b"two" * 10**5)) == 3 + 3 * 10**5
    assert files.list_files(SID) == []
    assert files.get_path(SID, "a.csv") is None
    files.finish(SID, "a.csv")
    assert files.list_files(SID) == ["a.csv"]
    with files.open(SID, "a.csv") as stream:
        assert stream.read() == b"one" + b"two" * 10**5
    files.finish(SID, "a.csv")
    assert files.part_size(SID, "a.csv") == 3 + 3 * 10**5
    with files.open_part(SID, "a.csv") as stream:
        assert stream.read(6) == b"onetwo"


def test_a_part_keeps_what_came_before_its_stream_broke(files: FileStore) -> None:
    files.begin(SID, "a")
    with pytest.raises(ConnectionResetError):
        files.append(SID, "a", 0, torn())
    size = files.part_size(SID, "a")
    assert size is not None
    with files.open_part(SID, "a") as stream:
        assert stream.read() == b"x" * size
    assert files.append(SID, "a", size, io.BytesIO(b"y")) == size + 1


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_a_part_grows_at_its_end_alone(files: FileStore, offset: int) -> None:
    files.begin(SID, "a")
    files.append(SID, "a", 0, io.BytesIO(b"abc"))
    with pytest.raises(PartMoved) as refused:
        files.append(SID, "a", offset, io.BytesIO(b"x"))
    assert refused.value.size == 3
    assert files.part_size(SID, "a") == 3


def test_of_many_who_add_at_one_place_the_bytes_of_each_stay_in_order(files: FileStore) -> None:
    """Whoever adds a piece does so where the part ends; everybody else is told where that is."""
    data = bytes(range(256)) * 4000
    files.begin(SID, "a")

    def add(_: int) -> None:
        offset = 0
        while offset < len(data):
            try:
                offset = files.append(SID, "a", offset, io.BytesIO(data[offset:]))
            except PartMoved as moved:
                offset = moved.size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    with files.open_part(SID, "a") as stream:
        assert stream.read() == data


def test_a_large_part_is_forced_to_disk_while_it_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its end little is left to wait for, but that, too."""
    sizes, fsync, meanwhile = [], os.fsync, threading.Event()

    def seen(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)
        meanwhile.set()

    class Waits(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert self.tell() < BATCH_BYTES or meanwhile.wait(20)
            return super().read(size)

    files = FileStore(tmp_path)
    files.begin(SID, "a")
    monkeypatch.setattr("os.fsync", seen)
    size = files.append(SID, "a", 0, Waits(bytes(BATCH_BYTES + 1)))
    assert sizes == [BATCH_BYTES, size]


def test_what_the_disk_did_not_take_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it once only, so the last look would find nothing."""

    def fails(_: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.EIO, "the disk")

    files = FileStore(tmp_path)
    files.begin(SID, "a")
    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="the disk"):
        files.append(SID, "a", 0, io.BytesIO(bytes(BATCH_BYTES)))


@pytest.mark.parametrize("gone", ["removed", "cleaned up", "swept", "never begun"])
def test_nothing_is_added_to_a_part_that_is_gone(files: FileStore, gone: str) -> None:
    class Goes(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            {
                "removed": lambda: files.remove(SID, "a"),
                "cleaned up": lambda: files.cleanup(SID),
                "swept": lambda: files.sweep(lambda _: False),
                "never begun": lambda: None,
            }[gone]()
            return super().read(size)

    if gone != "never begun":
        files.begin(SID, "a")
    with pytest.raises(FileNotFoundError):
        files.append(SID, "a", 0, Goes(b"abc"))
    assert files.part_size(SID, "a") is None
    assert files.total_size_bytes == 0
    for call in (files.finish, files.open_part):
        with pytest.raises(FileNotFoundError):
            call(SID, "a")
    assert files.list_files(SID) == []


def test_a_file_that_is_not_there_is_none(files: FileStore) -> None:
    files.save(SID, "here", b"")
    assert files.get_path(SID, "there") is None
    assert files.get_path("another", "here") is None
    with pytest.raises(FileNotFoundError):
        files.open(SID, "there")
    with pytest.raises(FileNotFoundError), files.local(SID, "there"):
        pass


def test_files_are_listed_by_the_names_that_the_client_gave(files: FileStore) -> None:
    for name in ("b.csv", "a.csv", "b.csv"):
        files.save(SID, name, b"")
    files.save("another", "c.csv", b"")
    assert files.list_files(SID) == ["a.csv", "b.csv"]
    assert files.list_files("nobody") == []


def test_asking_makes_nothing(files: FileStore, tmp_path: Path) -> None:
    before = everything_under(tmp_path)
    files.list_files(SID)
    files.get_path(SID, "x")
    files.remove(SID, "x")
    files.cleanup(SID)
    assert everything_under(tmp_path) == before


def test_a_session_has_a_directory_of_its_own(files: FileStore) -> None:
    directory = Path(files.session_dir(SID))
    assert directory.is_dir() or "://" in files.session_dir(SID)
    assert directory == Path(files.session_dir(SID))
    assert directory != Path(files.session_dir("another"))
    assert Path(files.save(SID, "a", b"")).parent == directory


def test_a_key_will_do_for_an_id(files: FileStore) -> None:
    files.save(SID, "a", b"1")
    assert files.list_files(session_key(SID)) == ["a"]
    assert files.get_path(session_key(SID), "a") == files.get_path(SID, "a")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_s15_no_name_leads_out_of_the_folder(files: FileStore, tmp_path: Path, name: str) -> None:
    folder = Path(files.session_dir(SID))
    outside = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    assert Path(files.save(SID, name, b"data")).parent == folder
    assert {path for path in tmp_path.rglob("*") if folder not in path.parents} == outside
    assert files.list_files(SID) == [name]
    with files.open(SID, name) as stream:
        assert stream.read() == b"data"
    files.remove(SID, name)
    assert everything_under(folder) == set()


@pytest.mark.parametrize("sid", HOSTILE, ids=ascii)
def test_s15_no_id_leads_out_of_the_root(files: FileStore, tmp_path: Path, sid: str) -> None:
    root = Path(files.session_dir(SID)).parent
    victim = tmp_path / "x"
    victim.write_text("mine")
    path = Path(files.save(sid, "name", b"data"))
    files.save("another", "name", b"data")
    assert path.parent.parent == root
    assert files.list_files(sid) == ["name"]
    files.cleanup(sid)
    assert not path.parent.exists()
    assert files.list_files(sid) == []
    assert files.list_files("another") == ["name"]
    assert victim.read_text() == "mine"


def test_all_hostile_names_are_different_files(files: FileStore) -> None:
    for name in HOSTILE:
        files.save(SID, name, name.encode("utf-8", "surrogatepass"))
    assert files.list_files(SID) == sorted(HOSTILE)
    for name in HOSTILE:
        with files.open(SID, name) as stream:
            assert stream.read() == name.encode("utf-8", "surrogatepass")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("open_place", FOLDERS, indirect=True)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_s41_nobody_else_may_read(open_place: Callable[[], Place], umask: int) -> None:
    before = os.umask(umask)
    try:
        files = FileStore(open_place())
        path = Path(files.save(SID, "a", b"1"))
        files.begin(SID, "b")
    finally:
        os.umask(before)
    for found in (path.parent.parent, *path.parent.parent.rglob("*")):
        assert stat.S_IMODE(found.stat().st_mode) == (0o700 if found.is_dir() else 0o600)


def test_a_stream_that_breaks_off_leaves_nothing(files: FileStore) -> None:
    folder = Path(files.session_dir(SID))
    with pytest.raises(ConnectionResetError):
        files.save(SID, "torn", torn())
    assert everything_under(folder) == set()
    assert files.list_files(SID) == []
    assert files.total_size_bytes == 0


def test_a_stream_that_breaks_off_spares_the_file_before(files: FileStore) -> None:
    files.save(SID, "a", b"before")
    with pytest.raises(ConnectionResetError):
        files.save(SID, "a", torn())
    with files.open(SID, "a") as stream:
        assert stream.read() == b"before"
    assert files.total_size_bytes == kept_bytes(files, 6)


def test_readers_see_the_old_file_or_the_new_one(files: FileStore) -> None:
    size = 200_000
    files.save(SID, "a", b"0" * size)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with files.open(SID, "a") as stream:
                data = stream.read()
            assert len(data) == size
            assert len(set(data)) == 1

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        for n in range(30):
            files.save(SID, "a", b"%d" % (n % 10) * size)
        done.set()
        for each in reading:
            each.result()


def test_saving_at_once_under_one_name_leaves_one_whole_file(files: FileStore) -> None:
    def save(n: int) -> None:
        files.save(SID, "a", b"%d" % n * 50_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(8)))
    with files.open(SID, "a") as stream:
        assert len(set(stream.read())) == 1
    assert files.list_files(SID) == ["a"]
    assert files.total_size_bytes == kept_bytes(files, 50_000)


def test_removing_takes_what_is_named_and_no_more(files: FileStore) -> None:
    for name in ("a", "b", "c"):
        files.save(SID, name, b"1")
    files.remove(SID, "a", "c", "never was")
    assert files.list_files(SID) == ["b"]
    assert files.get_path(SID, "a") is None


def test_cleanup_takes_one_session_and_cleanup_all_takes_all(files: FileStore) -> None:
    for sid in ("one", "two", "three"):
        files.save(sid, "a", b"1")
    files.cleanup("one")
    assert [files.list_files(sid) for sid in ("one", "two")] == [[], ["a"]]
    files.cleanup_all()
    assert [files.list_files(sid) for sid in ("two", "three")] == [[], []]
    assert files.total_size_bytes == 0
    files.save("one", "a", b"1")
    assert files.list_files("one") == ["a"]


def test_sweep_takes_the_sessions_that_nobody_wants(files: FileStore) -> None:
    for sid in ("one", "two", "three"):
        files.save(sid, "a", b"1")
    files.sweep(lambda key: key == session_key("two"))
    assert [files.list_files(sid) for sid in ("one", "two", "three")] == [[], ["a"], []]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
@pytest.mark.parametrize("files", FOLDERS, indirect=True)
def test_sweep_leaves_alone_what_is_not_a_sessions(files: FileStore, tmp_path: Path) -> None:
    root = Path(files.session_dir(SID)).parent
    (root / "lost+found").mkdir()
    (root / "notes.txt").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("mine")
    (root / ("a" * 64)).symlink_to(elsewhere)
    files.cleanup_all()
    assert {path.name for path in root.iterdir()} == {"lost+found", "notes.txt", "a" * 64}
    assert (elsewhere / "file").exists()


def test_the_size_is_that_of_all_files(files: FileStore) -> None:
    assert files.total_size_bytes == 0
    one = kept_bytes(files, 5)
    files.save("one", "a", b"12345")
    files.save("two", "a", b"123")
    assert files.total_size_bytes == 2 * one - 2
    files.save("two", "a", b"1")
    assert files.total_size_bytes == 2 * one - 4
    files.cleanup("one")
    assert files.total_size_bytes == one - 4


def test_s21_a_folder_that_is_removed_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, looks = FileStore(tmp_path / "files"), iter([False])
    there = Path.is_dir
    files.save(SID, "a", b"1")

    def gone_once(path: Path) -> bool:
        if path.name == session_key(SID) and not next(looks, True):
            files.cleanup(SID)
            return False
        return there(path)

    monkeypatch.setattr(Path, "is_dir", gone_once)
    files.save(SID, "b", b"2")
    assert files.list_files(SID) == ["b"]
    files.cleanup(SID)
    (tmp_path / "files" / session_key(SID)).write_text("in the way")
    with pytest.raises(FileExistsError):
        files.save(SID, "c", b"3")


def test_a_second_process_sees_the_same_files(open_place: Callable[[], Place]) -> None:
    FileStore(open_place()).save(SID, "a", b"1")
    assert FileStore(open_place()).list_files(SID) == ["a"]


@pytest.fixture(params=PLACES)
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Opens the place of a file store, which nobody has opened yet."""
    return lambda: PLACES[request.param](tmp_path)


def test_a_borrowed_path_may_be_read_by_this_user_alone_and_ends_with_the_loan(
    files: FileStore,
) -> None:
    path = Path(files.save(SID, "a", b"1"))
    with files.local(SID, "a") as lent:
        assert stat.S_IMODE(lent.stat().st_mode) == 0o600
    assert lent.exists() is (lent == path)


def test_a_location_is_a_path_or_a_url(tmp_path: Path) -> None:
    odd = tmp_path / "a folder#1"
    FileStore(odd).save(SID, "a", b"1")
    assert FileStore(odd.as_uri()).list_files(SID) == ["a"]
    with pytest.raises(SiloError, match="'gopher://hole' is no place for files"):
        FileStore("gopher://hole")


def test_a_drive_letter_is_no_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FileStore("c:data").save(SID, "a", b"1")
    assert FileStore("c:data").list_files(SID) == ["a"]
