"""Files in a bucket of a real server: what only a bucket can do wrong.

That they keep every promise of files is in `test_files.py`, where they are two more places.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock, patch

import obstore
import pytest
from backends import KEY, PLACES
from obstore.exceptions import BaseError
from servers.swift import PASSWORD, Swift
from support import Clock, eventually
from werkzeug.http import parse_options_header

from {{ cookiecutter.package_name }}.silo import FileStore, SessionStore, SiloError
from {{ cookiecutter.package_name }}.silo.errors import FilesUnavailable, PartMoved
from {{ cookiecutter.package_name }}.silo.files import buckets, objects, places
from {{ cookiecutter.package_name }}.silo.files.buckets import WHOLE_BYTES
from {{ cookiecutter.package_name }}.silo.files.objects import PIECE_BYTES, ObjectPlace
from {{ cookiecutter.package_name }}.silo.files.place import Served
from {{ cookiecutter.package_name }}.silo.files.places import open_place

SID = "a-session-of-a-client"
FOLDER = "f" * 64
CSV = Served("a.csv", "text/csv")
MB = 2**20


@pytest.fixture
def place(tmp_path: Path) -> ObjectPlace:
    place = PLACES["objects"](tmp_path)
    assert isinstance(place, ObjectPlace)
    return place


def location(swift: Swift, prefix: str, endpoint: str = "") -> str:
    return f"s3://{swift.bucket}/{prefix}?endpoint={endpoint or swift.endpoint}"


def keys(place: ObjectPlace) -> list[str]:
    return [key for key, _ in place.bucket.list()]


def read(place: ObjectPlace, name: str = "a") -> bytes:
    with place.open(FOLDER, name) as stream:
        return stream.read()


# Large files


FLAT = """
import hashlib, io, resource, sys
from {package}.silo import FileStore
from {package}.silo.files.places import open_place

class Zeros(io.RawIOBase):
    def __init__(self, left): self.left = left
    def readable(self): return True
    def read(self, size=-1):
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

files, size = FileStore(open_place(sys.argv[1], sys.argv[2])), int(sys.argv[3]) * 2**20
files.save("s", "warm", Zeros(12 * 2**20))
with files.open("s", "warm") as stream:
    stream.read(2**23)
files.remove("s", "warm")
before = peak()
files.save("s", "a", Zeros(size))
with files.open("s", "a") as stream:
    assert sum(map(len, iter(lambda: stream.read(2**16), b""))) == size
files.remove("s", "a")
size //= 3
files.begin("s", "part")
assert files.append("s", "part", 0, Zeros(size)) == size
files.finish("s", "part")
with files.open("s", "part") as stream:
    assert sum(map(len, iter(lambda: stream.read(2**16), b""))) == size
files.cleanup("s")
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
@pytest.mark.parametrize(("keys", "size"), [("", 300), (KEY, 60)], ids=["plain", "encrypted"])
def test_s18_memory_stays_flat(swift: Swift, keys: str, size: int) -> None:
    """A put, a part of a third of that, and both read again."""
    package = places.__name__.partition(".")[0]
    arguments = (location(swift, "flat"), keys, str(size))
    asked = subprocess.run(
        [sys.executable, "-c", FLAT.format(package=package), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert int(asked.stdout) < 30, f"{asked.stdout} MB for {size}"


@pytest.mark.parametrize(
    "size", [0, 1, WHOLE_BYTES - 1, WHOLE_BYTES, WHOLE_BYTES + 1, 3 * WHOLE_BYTES + 7]
)
def test_a_file_of_any_size_comes_back_from_anywhere_in_it(place: ObjectPlace, size: int) -> None:
    data = os.urandom(size)
    place.put(FOLDER, "a", io.BytesIO(data), "")
    place.begin(FOLDER, "b")
    assert place.append(FOLDER, "b", 0, io.BytesIO(data)) == size
    place.finish(FOLDER, "b", "")
    for name in ("a", "b"):
        assert read(place, name) == data
        with place.open(FOLDER, name) as stream:
            for at in (size // 2, 0, max(0, size - 3), size // 3, size + 5):
                stream.seek(at)
                assert stream.read(70_000) == data[at : at + 70_000]
    assert place.size() == 2 * size


def test_a_large_file_that_breaks_off_is_not_there(place: ObjectPlace) -> None:
    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2 * WHOLE_BYTES:
                raise ConnectionResetError
            return super().read(size)

    place.put(FOLDER, "a", io.BytesIO(b"before"), "")
    with pytest.raises(ConnectionResetError):
        place.put(FOLDER, "a", Breaks(bytes(4 * WHOLE_BYTES)), "")
    assert read(place) == b"before"


def test_what_was_replaced_while_it_is_read_is_an_error_and_no_mixture(place: ObjectPlace) -> None:
    place.put(FOLDER, "a", io.BytesIO(b"1" * WHOLE_BYTES), "")
    with place.open(FOLDER, "a") as stream:
        assert stream.read(10) == b"1" * 10
        place.put(FOLDER, "a", io.BytesIO(b"2" * WHOLE_BYTES), "")
        with pytest.raises(OSError, match="replaced while it was read"):
            stream.read()


# Parts


def test_of_two_who_add_at_one_place_one_comes_too_late(place: ObjectPlace, tmp_path: Path) -> None:
    """Each piece is wholly one's or the other's, and who was told that it is his, it is."""
    both = (place, PLACES["objects"](tmp_path))
    together = threading.Barrier(2)

    class Together(io.BytesIO):
        """Both have found the end of the part before either adds to it."""

        def read(self, size: int | None = -1) -> bytes:
            if not self.tell():
                together.wait(60)
            return super().read(size)

    def add(number: int) -> int:
        try:
            data = Together(b"%d" % number * 1000)
            return both[number].append(FOLDER, "a", 1000 * round_, data)
        except PartMoved as moved:
            return -moved.size

    place.begin(FOLDER, "a")
    with ThreadPoolExecutor(2) as pool:
        for round_ in range(10):
            ends = sorted(pool.map(add, range(2)))
            assert ends == [-1000 * (round_ + 1), 1000 * (round_ + 1)]
    place.finish(FOLDER, "a", "")
    data = read(place)
    pieces = {data[at : at + 1000] for at in range(0, len(data), 1000)}
    assert len(data) == 10_000
    assert pieces <= {b"0" * 1000, b"1" * 1000}


def test_a_piece_whose_answer_was_lost_is_ones_own(place: ObjectPlace) -> None:
    """The client tries again by itself, and then finds what it has put there."""
    put = place.bucket.put

    def put_twice(key: str, *given: object) -> None:
        put(key, *given)  # type: ignore[arg-type]
        put(key, *given)  # type: ignore[arg-type]

    place.begin(FOLDER, "a")
    with patch.object(place.bucket, "put", put_twice):
        assert place.append(FOLDER, "a", 0, io.BytesIO(b"abc")) == 3
    with pytest.raises(PartMoved):
        place.append(FOLDER, "a", 0, io.BytesIO(b"abc"))


KILLED = """
import os, signal, sys
from {package}.silo import FileStore
from {package}.silo.files.places import open_place

class Endless:
    read_so_far = 0
    def read(self, size):
        if self.read_so_far > 10 * 2**20:
            os.kill(os.getpid(), signal.SIGKILL)
        self.read_so_far += size
        return b"x" * size

FileStore(open_place(sys.argv[1], sys.argv[2])).append("s", "a", 0, Endless())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is for other systems")
@pytest.mark.parametrize("keys", ["", KEY], ids=["plain", "encrypted"])
def test_s31_an_upload_goes_on_after_its_process_was_killed(
    swift: Swift, keys: str, tmp_path: Path
) -> None:
    where = location(swift, tmp_path.name)
    files = FileStore(open_place(where, keys))
    files.begin("s", "a")
    package = places.__name__.partition(".")[0]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(package=package), where, keys],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    size = files.part_size("s", "a")
    assert size
    assert size > 10 * MB - PIECE_BYTES - MB
    assert files.append("s", "a", size, io.BytesIO(b"yz")) == size + 2
    files.finish("s", "a")
    with files.open("s", "a") as stream:
        assert stream.read() == b"x" * size + b"yz"
    files.cleanup("s")
    assert files.total_size_bytes == 0


def test_a_finish_that_was_broken_off_is_done_again(place: ObjectPlace) -> None:
    place.begin(FOLDER, "a")
    place.append(FOLDER, "a", 0, io.BytesIO(b"abc"))
    with (
        patch.object(place.bucket, "delete", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        place.finish(FOLDER, "a", "label")
    assert read(place) == b"abc"
    place.finish(FOLDER, "a", "label")
    assert place.labels(FOLDER) == ["label"]
    assert not [key for key in keys(place) if key.endswith(objects.PART)]
    place.remove(FOLDER, "a")
    assert keys(place) == []


def test_a_part_that_is_begun_anew_leaves_nothing_of_the_one_before(place: ObjectPlace) -> None:
    for data in (b"one", b"another"):
        place.begin(FOLDER, "a")
        assert place.part_size(FOLDER, "a") == 0
        place.append(FOLDER, "a", 0, io.BytesIO(data))
        place.finish(FOLDER, "a", "")
        assert read(place) == data
    assert len(keys(place)) == 2
    place.put(FOLDER, "a", io.BytesIO(b"put"), "")
    assert read(place) == b"put"
    place.remove_folder(FOLDER)
    assert keys(place) == []


@pytest.mark.parametrize("to", [0, 3, 4, 5, 6, 9])
def test_a_part_is_cut_anywhere_and_goes_on_from_there(place: ObjectPlace, to: int) -> None:
    place.begin(FOLDER, "a")
    for at in (0, 3, 6):
        place.append(FOLDER, "a", at, io.BytesIO(b"%d" % at * 3))
    with pytest.raises(PartMoved):
        place.cut(FOLDER, "a", 8, to)
    place.cut(FOLDER, "a", 9, to)
    assert place.part_size(FOLDER, "a") == to
    assert place.append(FOLDER, "a", to, io.BytesIO(b"end")) == to + 3
    place.finish(FOLDER, "a", "")
    assert read(place) == b"000333666"[:to] + b"end"


def test_a_file_that_lost_a_piece_is_not_there(place: ObjectPlace) -> None:
    place.begin(FOLDER, "a")
    for at in (0, 3, 6):
        place.append(FOLDER, "a", at, io.BytesIO(b"abc"))
    place.finish(FOLDER, "a", "")
    [key] = [key for key in keys(place) if key.endswith("3")]
    place.bucket.delete([key])
    with pytest.raises(FileNotFoundError):
        place.open(FOLDER, "a")


# The bucket


def test_s34_a_bucket_that_is_away_is_said_and_comes_back(place: ObjectPlace, swift: Swift) -> None:
    place.put(FOLDER, "a", io.BytesIO(b"kept"), "")
    place.begin(FOLDER, "part")
    calls: list[Callable[[], object]] = [
        lambda: place.put(FOLDER, "b", io.BytesIO(b"1"), ""),
        lambda: place.put(FOLDER, "b", io.BytesIO(bytes(2 * WHOLE_BYTES)), ""),
        lambda: place.open(FOLDER, "a"),
        lambda: place.append(FOLDER, "part", 0, io.BytesIO(b"1")),
        lambda: place.labels(FOLDER),
        lambda: place.remove(FOLDER, "a"),
        lambda: list(place.folders()),
        place.size,
    ]
    with swift.away():
        for call in calls:
            with pytest.raises(FilesUnavailable):
                call()
        with pytest.raises(SiloError, match="the bucket does not answer"):
            place.check()
    assert read(place) == b"kept"
    assert place.append(FOLDER, "part", 0, io.BytesIO(b"1")) == 1
    assert place.names(FOLDER) == ["a", "part"]


def test_s34_a_bucket_that_says_nothing_is_not_waited_for(
    swift: Swift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(buckets.CLIENT, "timeout", timedelta(seconds=1))
    place = ObjectPlace(location(swift, tmp_path.name))
    place.put(FOLDER, "a", io.BytesIO(b"kept"), "")
    with swift.asleep(), pytest.raises(FilesUnavailable):
        place.open(FOLDER, "a")
    assert read(place) == b"kept"


class Accepts(BaseHTTPRequestHandler):
    """Answers as Swift does, now and then, of several who put one object at once."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_what_another_s_has_replaced_by_then_was_put(swift: Swift) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Accepts) as server:
        threading.Thread(target=server.serve_forever).start()
        place = ObjectPlace(location(swift, "x", f"http://127.0.0.1:{server.server_port}"))
        place.put(FOLDER, "a", io.BytesIO(b"1"), "")
        with pytest.raises(FilesUnavailable):
            place.bucket.put("a", b"1", mode="create")
        server.shutdown()


def test_s36_a_session_expires_once_its_files_can_be_removed(
    place: ObjectPlace, swift: Swift, clock: Clock
) -> None:
    files, store = FileStore(place), SessionStore(ttl=100, clock=clock)
    store.on_remove(files.cleanup)
    sid = store.issue()
    store.open(sid)
    files.save(sid, "a", b"1")
    clock.advance(101)
    with swift.away():
        assert store.cleanup() == []
    assert files.list_files(sid) == ["a"]
    assert store.cleanup() == [sid]
    assert keys(place) == []
    store.runner.stop()


def test_a_wrong_secret_is_refused_and_not_shown(
    swift: Swift, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    place = open_place(location(swift, "x"))
    with pytest.raises(SiloError, match="the bucket refuses these credentials"):
        place.check()
    with pytest.raises(FilesUnavailable):
        place.open(FOLDER, "a")
    with pytest.raises(FilesUnavailable):
        place.put(FOLDER, "a", io.BytesIO(b"1"), "")
    assert "the bucket refuses these credentials" in caplog.text
    for secret in ("a-wrong-secret", PASSWORD, "Signature"):
        assert secret not in caplog.text.replace("SignatureDoesNotMatch", "")


def test_a_bucket_that_is_not_there_is_said(swift: Swift) -> None:
    place = open_place(f"s3://another/x?endpoint={swift.endpoint}")
    with pytest.raises(SiloError, match="there is no such bucket"):
        place.check()
    with pytest.raises(FilesUnavailable):
        place.open(FOLDER, "a")


def test_a_place_that_is_well_is_checked_without_a_trace(place: ObjectPlace) -> None:
    place.check()
    assert keys(place) == []


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_missing_extra_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "find_spec", lambda _: None)
    with pytest.raises(SiloError, match=f"^{scheme}:// needs .*: pip install obstore$"):
        open_place(f"{scheme}://bucket/prefix")


def test_google_and_azure_are_opened_by_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    kinds = [type(ObjectPlace(url).bucket.store).__name__ for url in ("gs://b/x", "az://c/x")]
    assert kinds == ["GCSStore", "AzureStore"]


def test_apps_with_prefixes_of_their_own_leave_each_other_alone(
    swift: Swift, tmp_path: Path
) -> None:
    one, two = (
        FileStore(open_place(location(swift, f"{tmp_path.name}/{app}"))) for app in ("a", "ab")
    )
    one.save(SID, "x", b"one")
    two.save(SID, "x", b"two!")
    assert (one.total_size_bytes, two.total_size_bytes) == (3, 4)
    one.cleanup_all()
    assert one.list_files(SID) == []
    with two.open(SID, "x") as stream:
        assert stream.read() == b"two!"
    two.cleanup_all()


@pytest.mark.parametrize("prefix", ["", "plain/", "a b", "präfix", "a%20b", "100%", "x+y=z&"])
def test_a_prefix_may_have_an_odd_name(swift: Swift, tmp_path: Path, prefix: str) -> None:
    one, other = (
        ObjectPlace(f"s3://{swift.bucket}/{app}/{prefix}?endpoint={swift.endpoint}")
        for app in (tmp_path.name, f"{tmp_path.name}-other")
    )
    one.put(FOLDER, "a", io.BytesIO(b"1"), "label", CSV)
    assert status(one.link(FOLDER, "a", 60) or "") == 200
    assert (one.labels(FOLDER), list(one.folders())) == (["label"], [FOLDER])
    assert other.size() == 0
    one.remove_folder(FOLDER)
    assert keys(one) == []


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://b/..", "s3://b/a/../b", "s3://b/a//b"])
def test_a_prefix_that_leads_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(SiloError, match="name a bucket and a prefix"):
        open_place(url)


@pytest.mark.parametrize("endpoint", ["x", "ftp://a", "http://", "http://a:b", "http://a/b"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(SiloError, match="the endpoint must be like"):
        open_place(f"s3://bucket/prefix?endpoint={endpoint}")


# Links


@pytest.mark.parametrize(
    "name",
    ["a.csv", 'säles "1".xlsx', "\U0001f600 表.bin", "back\\slash; x=y.csv", "ü" * 120 + ".zip"],
)
def test_a_link_gives_the_same_bytes_under_the_right_name(place: ObjectPlace, name: str) -> None:
    data = os.urandom(WHOLE_BYTES + 1)
    place.put(FOLDER, "a", io.BytesIO(data), "label", Served(name, "application/zip"))
    url = place.link(FOLDER, "a", 60)
    assert url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == data
        kind, told = parse_options_header(answer.headers["Content-Disposition"])
        assert answer.headers["Content-Type"] == "application/zip"
    assert (kind, told["filename"]) == ("attachment", name)
    assert place.labels(FOLDER) == ["label"]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_s04_the_server_refuses_a_link_that_is_expired_or_for_another_file(
    place: ObjectPlace,
) -> None:
    for name in ("a", "b"):
        place.put(FOLDER, name, io.BytesIO(b"1"), "", CSV)
    short, url = (place.link(FOLDER, "a", seconds) or "" for seconds in (1, 60))
    eventually(lambda: status(short) == 403)
    assert status(url) == 200
    assert status(url.replace("/a?", "/b?")) == 403
    assert status(url.partition("?")[0]) in (400, 403)


def test_there_is_no_link_where_the_credentials_do_not_sign(
    place: ObjectPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(FOLDER, "a", io.BytesIO(b"1"), "", CSV)
    monkeypatch.setattr(obstore, "sign", Mock(side_effect=BaseError("no key to sign with")))
    assert place.link(FOLDER, "a", 60) is None


def test_there_is_a_link_only_for_what_was_put_to_be_served(
    place: ObjectPlace, tmp_path: Path
) -> None:
    assert place.link(FOLDER, "a", 60) is None
    place.put(FOLDER, "a", io.BytesIO(b"1"), "")
    assert place.link(FOLDER, "a", 60) is None
    place.begin(FOLDER, "b")
    place.append(FOLDER, "b", 0, io.BytesIO(b"1"))
    place.finish(FOLDER, "b", "")
    assert place.link(FOLDER, "b", 60) is None
    for name in ("encrypted objects", "local"):
        other = PLACES[name](tmp_path)
        other.put(FOLDER, "a", io.BytesIO(b"1"), "", CSV)
        assert other.link(FOLDER, "a", 60) is None
