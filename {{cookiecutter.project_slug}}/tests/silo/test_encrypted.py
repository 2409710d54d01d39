"""Encrypted files: nobody reads them on disk, and what was tampered with is never taken for whole.

That they keep every promise of files is in `test_files.py`, where they are one more place.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from backends import KEY, OTHER_KEY
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import eventually

from {{ cookiecutter.package_name }}.cache import ResultCache
from {{ cookiecutter.package_name }}.silo import FileStore, SiloError
from {{ cookiecutter.package_name }}.silo.errors import PartMoved, UnreadableFile
from {{ cookiecutter.package_name }}.silo.files import base
from {{ cookiecutter.package_name }}.silo.files.local import LocalPlace
from {{ cookiecutter.package_name }}.silo.files.places import open_place
from {{ cookiecutter.package_name }}.silo.files.sealing import HEAD_BYTES, OVERHEAD, TEXT_BYTES

SID, OTHER = "a-session-of-a-client", "another-session-of-one"
MARKER = b"what a person wrote "
LONG = bytes(range(256)) * 512 + b"the end"
RECORD = TEXT_BYTES + OVERHEAD

examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return opened(tmp_path)


def opened(tmp_path: Path, keys: str = KEY) -> FileStore:
    """The store as another process has it, perhaps with other keys."""
    return FileStore(open_place(str(tmp_path / "files"), keys))


def read(files: FileStore, name: str = "a", sid: str = SID) -> bytes:
    """The file, read a little at a time."""
    with files.open(sid, name) as stream:
        return b"".join(iter(lambda: stream.read(5000), b""))


def on_disk(files: FileStore, name: str = "a", sid: str = SID) -> Path:
    return Path(str(files.get_path(sid, name)))


def part_on_disk(files: FileStore) -> Path:
    [path] = Path(files.session_dir(SID)).glob("*.part")
    return path


def append(files: FileStore, data: bytes, offset: int | None = None) -> int:
    at = files.part_size(SID, "a") if offset is None else offset
    assert at is not None
    return files.append(SID, "a", at, io.BytesIO(data))


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Nothing is to be read


def test_no_plain_byte_is_on_disk_while_a_part_comes_nor_as_a_file_nor_in_a_cache(
    files: FileStore, tmp_path: Path
) -> None:
    class Looks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert MARKER not in all_bytes(tmp_path)
            return super().read(size)

    files.save(SID, "file", Looks(MARKER * 9999))
    files.begin(SID, "a")
    files.append(SID, "a", 0, Looks(MARKER * 9999))
    assert MARKER not in all_bytes(tmp_path)
    files.finish(SID, "a")
    cache = ResultCache(open_place(str(tmp_path / "files"), KEY), ttl=60)
    cache.keep("c" * 64, MARKER, io.BytesIO(MARKER))
    found = cache.find("c" * 64)
    assert found
    found.files.close()
    assert len(all_bytes(tmp_path)) > 2 * 9999 * len(MARKER)
    assert MARKER not in all_bytes(tmp_path)
    assert read(files) == MARKER * 9999


def test_the_same_file_is_another_one_each_time(files: FileStore) -> None:
    seen = set()
    for _ in range(3):
        files.save(SID, "a", b"")
        seen.add(on_disk(files).read_bytes())
    assert len({data[HEAD_BYTES:] for data in seen}) == 3


# Whatever was done to a file


def refused(files: FileStore, name: str = "a", sid: str = SID) -> None:
    """Never all of it, nor what another file holds, and always an error at the end."""
    with pytest.raises(UnreadableFile):
        read(files, name, sid)
    with pytest.raises(UnreadableFile), files.local(sid, name):
        pass


def test_every_bit_of_a_file_counts(files: FileStore) -> None:
    files.begin(SID, "a")
    append(files, b"one")
    append(files, b"two")
    files.finish(SID, "a")
    whole, path = on_disk(files).read_bytes(), on_disk(files)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        refused(files)
    path.write_bytes(whole)
    assert read(files) == b"onetwo"


def test_a_file_that_was_cut_is_refused_before_a_byte_of_it_is_read(files: FileStore) -> None:
    files.save(SID, "a", LONG)
    whole, path = on_disk(files).read_bytes(), on_disk(files)
    borders = [HEAD_BYTES + n * RECORD for n in range(3)] + [len(whole) - OVERHEAD, len(whole)]
    for border in borders:
        for size in {border - 1, border, border + 1} - {len(whole), len(whole) + 1}:
            path.write_bytes(whole[:size])
            with pytest.raises(UnreadableFile):
                files.open(SID, "a")
    path.write_bytes(b"")
    refused(files)


REARRANGED: dict[str, Callable[[bytes, list[bytes], bytes], bytes]] = {
    "the first two swapped": lambda head, r, last: head + r[1] + r[0] + r[2] + last,
    "one left out": lambda head, r, last: head + r[0] + r[2] + last,
    "the first left out": lambda head, r, last: head + r[1] + r[2] + last,
    "one twice": lambda head, r, last: head + r[0] + r[1] + r[1] + r[2] + last,
    "one in the place of another": lambda head, r, last: head + r[0] + r[0] + r[2] + last,
    "the end early": lambda head, r, last: head + r[0] + r[1] + last,
    "the end alone": lambda head, r, last: head + last,
    "two ends": lambda head, r, last: head + r[0] + r[1] + r[2] + last + last,
    "more after the end": lambda head, r, last: head + r[0] + r[1] + r[2] + last + r[0],
    "no end": lambda head, r, last: head + r[0] + r[1] + r[2],
    "nothing": lambda head, r, last: head,
}


@pytest.mark.parametrize("change", REARRANGED)
def test_records_cannot_be_rearranged(files: FileStore, change: str) -> None:
    files.save(SID, "a", LONG[: 2 * TEXT_BYTES] + LONG[:TEXT_BYTES])
    whole, path = on_disk(files).read_bytes(), on_disk(files)
    records = [whole[HEAD_BYTES + n * RECORD :][:RECORD] for n in range(3)]
    changed = REARRANGED[change](whole[:HEAD_BYTES], records, whole[-OVERHEAD:])
    assert len(whole) == HEAD_BYTES + 3 * RECORD + OVERHEAD
    assert changed != whole
    path.write_bytes(changed)
    refused(files)


def test_a_record_of_a_file_of_the_same_name_before_is_refused(files: FileStore) -> None:
    files.save(SID, "a", b"to pay: 1")
    before, path = on_disk(files).read_bytes(), on_disk(files)
    files.save(SID, "a", b"to pay: 9")
    now = path.read_bytes()
    path.write_bytes(now[:HEAD_BYTES] + before[HEAD_BYTES:-OVERHEAD] + now[-OVERHEAD:])
    refused(files)


@pytest.mark.parametrize(("sid", "name"), [(SID, "b"), (OTHER, "a")])
def test_a_file_is_nowhere_but_where_it_was_put(files: FileStore, sid: str, name: str) -> None:
    files.save(SID, "a", b"mine")
    files.save(sid, name, b"another")
    on_disk(files, name, sid).write_bytes(on_disk(files).read_bytes())
    refused(files, name, sid)


def test_what_is_damaged_while_it_is_read_breaks_off(files: FileStore) -> None:
    files.save(SID, "a", LONG)
    with files.open(SID, "a") as stream:
        assert stream.read(10) == LONG[:10]
        os.truncate(on_disk(files), HEAD_BYTES + RECORD)
        with pytest.raises(UnreadableFile):
            stream.read()


def test_a_damaged_cached_report_is_a_miss_and_removed(
    files: FileStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, key = ResultCache(open_place(str(tmp_path / "files"), KEY), ttl=60), "c" * 64
    cache.keep(key, b"{}", io.BytesIO(b"workbook"))
    [path] = (tmp_path / "files" / "cache").glob("*.sealed")
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.find(key) is None
    assert not path.exists()
    assert f"cached report {key} is unreadable" in caplog.messages


# Every part of it can be read


@examples
@example(size=0)
@example(size=TEXT_BYTES)
@given(
    size=st.builds(
        lambda records, around: max(0, records * TEXT_BYTES + around),
        st.integers(0, 3),
        st.integers(-2, 2),
    )
)
def test_whatever_is_saved_is_read_again(files: FileStore, size: int) -> None:
    data = os.urandom(size)
    files.save(SID, "a", io.BytesIO(data))
    assert read(files) == data
    with files.local(SID, "a") as path:
        assert path.read_bytes() == data


@examples
@given(
    cuts=st.lists(st.integers(0, len(LONG)), max_size=6),
    looks=st.lists(st.tuples(st.integers(0, len(LONG) + 9), st.integers(0, 2**17)), max_size=8),
)
def test_a_file_in_pieces_is_read_from_anywhere(
    files: FileStore, cuts: list[int], looks: list[tuple[int, int]]
) -> None:
    files.begin(SID, "a")
    places = [0, *sorted(cuts), len(LONG)]
    for begin, end in itertools.pairwise(places):
        assert append(files, LONG[begin:end], begin) == end
        with files.open_part(SID, "a") as stream:
            assert stream.read() == LONG[:end]
    files.finish(SID, "a")
    with files.open(SID, "a") as stream:
        assert stream.seek(0, io.SEEK_END) == len(LONG)
        for place, size in looks:
            assert stream.seek(place) == place
            assert stream.read(size) == LONG[place : place + size]
            assert stream.tell() == max(place, min(place + size, len(LONG)))
        assert stream.seek(-3, io.SEEK_END) == len(LONG) - 3
        assert stream.read() == b"end"
        with pytest.raises(OSError, match="Before the beginning"):
            stream.seek(-1)


def test_memory_stays_flat(files: FileStore, tmp_path: Path) -> None:
    """100 MB in and out, in one go and as a part."""
    source, size = tmp_path / "large", 100 * 2**20
    with source.open("wb") as stream:
        stream.truncate(size)
    tracemalloc.start()
    try:
        with source.open("rb") as stream:
            files.save(SID, "whole", stream)
        files.begin(SID, "a")
        with source.open("rb") as stream:
            assert files.append(SID, "a", 0, stream) == size
        files.finish(SID, "a")
        for name in ("whole", "a"):
            with files.open(SID, name) as stream:
                assert sum(iter(lambda: len(stream.read(2**16)), 0)) == size
            with files.local(SID, name) as path:
                assert path.stat().st_size == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20


# A part whose end a crash has torn


def test_a_part_that_was_torn_anywhere_goes_on_from_what_is_authentic(files: FileStore) -> None:
    """Cut it at every byte, and see it go on to the same file."""
    pieces = [b"one", b"twotwo", b"3"]
    ends = [0, 3, 9, 10]
    files.begin(SID, "a")
    for piece in pieces:
        append(files, piece)
    whole = part_on_disk(files).read_bytes()
    sizes = [HEAD_BYTES + end + n * OVERHEAD for n, end in enumerate(ends)]
    for size in range(len(whole) + 1):
        part_on_disk(files).write_bytes(whole[:size])
        expected = max((end for end, at in zip(ends, sizes, strict=True) if at <= size), default=0)
        assert files.part_size(SID, "a") == expected
        with files.open_part(SID, "a") as stream:
            assert stream.read() == b"onetwotwo3"[:expected]
        for wrong in {0, 1, expected + 1} - {expected}:
            with pytest.raises(PartMoved) as moved:
                append(files, b"x", wrong)
            assert moved.value.size == expected
        assert append(files, b"onetwotwo3"[expected:], expected) == 10
        with files.open_part(SID, "a") as stream:
            assert stream.read() == b"onetwotwo3"


def test_a_part_does_not_go_on_from_what_is_not_authentic(files: FileStore) -> None:
    """A power cut may leave blocks that were never written."""
    files.begin(SID, "a")
    append(files, b"one")
    append(files, b"two")
    data = part_on_disk(files).read_bytes()
    for damaged in (data[:-5] + bytes(5), data + bytes(5000), data[:-3] + b"\xff" * 100):
        part_on_disk(files).write_bytes(damaged)
        expected = 6 if damaged.startswith(data) else 3
        assert append(files, b"2", expected) == expected + 1
        with files.open_part(SID, "a") as stream:
            assert stream.read() == b"onetwo"[:expected] + b"2"


def test_two_that_go_on_from_a_torn_end_do_not_mix(files: FileStore, tmp_path: Path) -> None:
    files.begin(SID, "a")
    append(files, b"one")
    with part_on_disk(files).open("ab") as part:
        part.write(b"torn")

    class Second(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            with pytest.raises(PartMoved):
                opened(tmp_path).append(SID, "a", 4, io.BytesIO(b"late"))
            assert opened(tmp_path).append(SID, "a", 3, io.BytesIO(b"second")) == 9
            return super().read(size)

    with pytest.raises(PartMoved) as moved:
        files.append(SID, "a", 3, Second(b"first"))
    assert moved.value.size == 9
    with files.open_part(SID, "a") as stream:
        assert stream.read() == b"onesecond"


def test_a_crash_within_finish_is_healed_by_the_next_one(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.begin(SID, "a")
    append(files, b"one")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(LocalPlace, "finish", crash)
            with pytest.raises(KeyboardInterrupt):
                files.finish(SID, "a")
        assert files.part_size(SID, "a") == 3
    assert append(files, b"two") == 6
    files.finish(SID, "a")
    files.finish(SID, "a")
    assert read(files) == b"onetwo"
    with pytest.raises(FileNotFoundError):
        append(files, b"more")
    assert read(files) == b"onetwo"


def kill_once_it_grows(part: Path, command: list[str], environment: dict[str, str]) -> None:
    before = part.stat().st_size
    with subprocess.Popen(command, env=environment) as child:
        eventually(lambda: part.stat().st_size > before or child.poll() is not None)
        child.send_signal(signal.SIGKILL)


def test_a_process_that_is_killed_while_it_adds_leaves_a_part_that_goes_on(
    files: FileStore, tmp_path: Path
) -> None:
    """`kill -9` a real process several times, wherever it is, and compare what there is."""
    wanted = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(200_000))
    (tmp_path / "wanted").write_bytes(wanted)
    code = (
        "import io, sys;"
        f"from {FileStore.__module__} import FileStore, open_place;"
        f"files = FileStore(open_place({str(tmp_path / 'files')!r}, {KEY!r}));"
        f"at = files.part_size({SID!r}, 'a');"
        f"stream = open({str(tmp_path / 'wanted')!r}, 'rb'); stream.seek(at);"
        f"files.append({SID!r}, 'a', at, stream)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    files.begin(SID, "a")
    at, part = 0, part_on_disk(files)
    for _ in range(3):
        kill_once_it_grows(part, [sys.executable, "-c", code], environment)
        now = files.part_size(SID, "a")
        assert now is not None
        assert now >= at
        with files.open_part(SID, "a") as stream:
            assert stream.read() == wanted[:now]
        at = now
    assert append(files, wanted[at:], at) == len(wanted)
    files.finish(SID, "a")
    assert read(files) == wanted


# Keys


def test_a_new_key_encrypts_and_old_ones_decrypt(tmp_path: Path) -> None:
    old, both = opened(tmp_path, KEY), opened(tmp_path, f"{OTHER_KEY},{KEY}")
    old.save(SID, "a", b"before")
    old.begin(SID, "part")
    old.append(SID, "part", 0, io.BytesIO(b"be"))
    assert read(both) == b"before"
    assert both.append(SID, "part", 2, io.BytesIO(b"fore")) == 6
    both.finish(SID, "part")
    assert read(old, "part") == read(both, "part") == b"before"
    both.save(SID, "b", b"after")
    assert read(opened(tmp_path, OTHER_KEY), "b") == read(both, "b") == b"after"
    with pytest.raises(UnreadableFile):
        read(old, "b")


def test_without_the_old_key_what_it_encrypted_is_an_error_that_the_log_explains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = opened(tmp_path, KEY), opened(tmp_path, OTHER_KEY)
    old.save(SID, "a", b"before")
    old.begin(SID, "part")
    old.append(SID, "part", 0, io.BytesIO(b"before"))
    with pytest.raises(UnreadableFile, match=r"can no longer be read\. Upload your files again\."):
        read(new)
    assert "it was encrypted with a key that is not known" in caplog.text
    assert new.part_size(SID, "part") is None
    new.remove(SID, "a", "part")
    assert list(Path(old.session_dir(SID)).iterdir()) == []


def test_plain_and_encrypted_files_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Encryption was turned on, or off, with sessions about."""
    plain, sealed = FileStore(tmp_path / "files"), opened(tmp_path)
    for one, another in ((plain, sealed), (sealed, plain)):
        one.save(SID, "a", b"1")
        one.begin(SID, "part")
        assert another.get_path(SID, "a") is None
        assert another.part_size(SID, "part") is None
        with pytest.raises(FileNotFoundError):
            another.open(SID, "a")
        one.remove(SID, "a", "part")
    plain.save(SID, "a", b"1")
    sealed.remove(SID, "a")
    assert plain.get_path(SID, "a") is None


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{base.__package__}.encrypted", None)
    with pytest.raises(SiloError, match="pip install cryptography"):
        opened(tmp_path)


# What encryption needs of a place


@pytest.fixture
def plain(tmp_path: Path) -> LocalPlace:
    place = LocalPlace(str(tmp_path / "files"))
    place.begin("f" * 64, "a")
    place.append("f" * 64, "a", 0, io.BytesIO(b"abc"))
    return place


def test_a_part_is_cut_only_where_it_ends(plain: LocalPlace) -> None:
    with pytest.raises(PartMoved) as moved:
        plain.cut("f" * 64, "a", 2, 1)
    assert moved.value.size == 3
    plain.cut("f" * 64, "a", 3, 1)
    assert plain.part_size("f" * 64, "a") == 1
    plain.finish("f" * 64, "a", "")
    with pytest.raises(FileNotFoundError):
        plain.cut("f" * 64, "a", 1, 0)
