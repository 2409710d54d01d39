"""Records and files that move from one back end to another, whole, or not at all."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backends import KEY, RECORDS

from {{ cookiecutter.package_name }}.silo import moving
from {{ cookiecutter.package_name }}.silo.files.place import Place, PlainPlace
from {{ cookiecutter.package_name }}.silo.files.places import encrypted, plain_place
from {{ cookiecutter.package_name }}.silo.kinds import MOVING, STAYING
from {{ cookiecutter.package_name }}.silo.moving import (
    NotMoved,
    check_records,
    move_files,
    move_records,
    others,
)
from {{ cookiecutter.package_name }}.silo.records import BATCH, Delete, Put, Records, open_records

MANY = 3 * BATCH + 7
FOLDER, OTHER = "a" * 64, "b" * 64


def ignore(_: int) -> None:
    """Nobody looks at how far it is."""


@pytest.fixture(params=[name for name in RECORDS if name != "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    records = RECORDS[request.param](tmp_path / "source")
    yield records
    records.close()


@pytest.fixture(params=list(RECORDS))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    if request.param == "memory":
        records = open_records("memory://")
    else:
        records = RECORDS[request.param](tmp_path / "target")
    yield records
    records.close()


def fill(records: Records, kind: str, number: int = MANY) -> None:
    for n in range(0, number, BATCH):
        keys = range(n, min(n + BATCH, number))
        dues = [math.inf if key == 3 else 1_700_000_000.123456 + key for key in keys]
        records.apply(
            *(
                Put(kind, f"{key or ''}", b"\0\xff%d" % key, due)
                for key, due in zip(keys, dues, strict=True)
            )
        )


def all_of(records: Records, kind: str) -> dict[str, tuple[bytes, Any]]:
    return {key: (it.value, pytest.approx(it.due, abs=1e-3)) for key, it in records.each(kind)}


def test_each_record_is_given_once_however_many_there_are(source: Records) -> None:
    fill(source, "session")
    fill(source, "job", 2)
    keys = [key for key, _ in source.each("session")]
    assert sorted(keys) == sorted({"", *map(str, range(1, MANY))})
    assert list(source.each("nothing")) == []


def test_records_arrive_with_value_and_due_time_and_a_version_of_their_own(
    source: Records, target: Records
) -> None:
    fill(source, "session")
    heard: list[int] = []
    moved = move_records(source, target, "session", heard.append)
    check_records(source, target, "session", moved, ignore)
    assert (moved.count, moved.fresh, sum(heard)) == (MANY, MANY, MANY)
    assert all_of(target, "session") == all_of(source, "session")
    assert target.read("session", "3").due == math.inf  # type: ignore[union-attr]
    version = target.read("session", "1").version  # type: ignore[union-attr]
    assert target.apply(Delete("session", "1", version))


def test_a_second_time_writes_nothing(source: Records, target: Records) -> None:
    fill(source, "session")
    move_records(source, target, "session", ignore)
    versions = target.versions("session", [str(n) for n in range(1, MANY)])
    assert move_records(source, target, "session", ignore).fresh == 0
    assert target.versions("session", list(versions)) == versions


def test_what_broke_off_is_begun_again(source: Records, target: Records) -> None:
    fill(source, "session")

    def breaks(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_records(source, target, "session", breaks)
    assert target.count("session") == BATCH
    assert others(source, target, "session") == 0, "it is ours"
    moved = move_records(source, target, "session", ignore)
    assert (moved.count, moved.fresh) == (MANY, MANY - BATCH)


def test_what_is_in_the_target_alone_is_told_and_goes(source: Records, target: Records) -> None:
    fill(source, "session", 5)
    fill(target, "session", MANY)
    target.apply(Put("session", "4", b"changed since", 1.0))
    assert others(source, target, "session") == MANY - 5 + 1
    check_records(
        source, target, "session", move_records(source, target, "session", ignore), ignore
    )
    assert all_of(target, "session") == all_of(source, "session")


@pytest.mark.parametrize(
    "change",
    [
        Put("session", "new", b"", 1.0),
        Put("session", "1", b"changed", 1_700_000_001.123456),
        Put("session", "1", b"\0\xff1", 1_700_000_009.0),
        Delete("session", "1"),
    ],
    ids=["new", "value", "due", "gone"],
)
def test_what_somebody_changes_meanwhile_is_found(
    source: Records, target: Records, change: Put | Delete
) -> None:
    fill(source, "session", 5)
    moved = move_records(source, target, "session", ignore)
    source.apply(change)
    with pytest.raises(NotMoved, match=r"Stop every server and worker"):
        check_records(source, target, "session", moved, ignore)


def test_no_kind_both_moves_and_stays() -> None:
    assert set(MOVING) & set(STAYING) == set()
    assert len(set(MOVING)) == len(MOVING)
    assert MOVING[-1] == "session"


# Files


@pytest.fixture
def places(tmp_path: Path) -> tuple[PlainPlace, PlainPlace]:
    return plain_place(str(tmp_path / "one")), plain_place(str(tmp_path / "two"))


def keep(place: PlainPlace) -> None:
    """A file with an odd label, an empty one, one that is encrypted, and parts of both sorts."""
    place.put(FOLDER, "file", io.BytesIO(b"x" * 3_000_000), "Ü \udc80.xlsx")
    place.put(FOLDER, "empty", io.BytesIO(), "empty")
    place.begin(FOLDER, "part")
    place.append(FOLDER, "part", 0, io.BytesIO(b"half"))
    place.begin(FOLDER, "nothing")
    sealed = encrypted(place, KEY)
    sealed.put(FOLDER, "secret", io.BytesIO(b"secret" * 99_999), "secret.csv")
    sealed.begin(FOLDER, "sealed")
    sealed.append(FOLDER, "sealed", 0, io.BytesIO(b"half a secret"))
    place.put("cache", "kept", io.BytesIO(b"kept"), "")
    place.put(OTHER, "left", io.BytesIO(b"of no session"), "left")


def read(place: Place, folder: str, name: str) -> bytes:
    with place.open(folder, name) as stream:
        return stream.read()


def test_files_and_parts_go_on_where_they_have_moved(
    places: tuple[PlainPlace, PlainPlace],
) -> None:
    source, target = places
    keep(source)
    moved = move_files(source, target, [FOLDER, "cache", "c" * 64], ignore)
    assert (moved.count, moved.fresh) == (7, 7)
    assert sorted(map(str, target.entries(FOLDER))) == sorted(map(str, source.entries(FOLDER)))
    assert list(target.folders()) == [FOLDER]
    assert sorted(target.labels(FOLDER)) == sorted(source.labels(FOLDER))
    assert read(target, "cache", "kept") == b"kept"
    assert target.append(FOLDER, "part", 4, io.BytesIO(b" and half")) == 13
    target.finish(FOLDER, "part", "whole")
    assert read(target, FOLDER, "part") == b"half and half"
    assert target.part_size(FOLDER, "nothing") == 0
    sealed = encrypted(target, KEY)
    assert read(sealed, FOLDER, "secret") == b"secret" * 99_999
    assert sealed.append(FOLDER, "sealed", 13, io.BytesIO(b" and the rest")) == 26
    sealed.finish(FOLDER, "sealed", "sealed")
    assert read(sealed, FOLDER, "sealed") == b"half a secret and the rest"


def test_only_what_is_missing_or_not_the_same_goes_again(
    places: tuple[PlainPlace, PlainPlace],
) -> None:
    source, target = places
    keep(source)
    move_files(source, target, [FOLDER], ignore)
    assert move_files(source, target, [FOLDER], ignore).fresh == 0
    target.put(FOLDER, "file", io.BytesIO(b"y" * 3_000_000), "Ü \udc80.xlsx")
    target.remove(FOLDER, "empty")
    assert move_files(source, target, [FOLDER], ignore).fresh == 2
    assert read(target, FOLDER, "file") == b"x" * 3_000_000


def test_a_file_that_does_not_arrive_as_it_was_stops_the_move(
    places: tuple[PlainPlace, PlainPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    keep(source)
    really = target.put

    def spoil(folder: str, name: str, data: io.BytesIO, label: str) -> str:
        return really(folder, name, io.BytesIO(data.read()[:-1]), label)

    monkeypatch.setattr(target, "put", spoil)
    with pytest.raises(NotMoved, match="did not arrive"):
        move_files(source, target, [FOLDER], ignore)


def test_large_records_go_in_small_batches() -> None:
    records = open_records("memory://")
    for n in range(5):
        records.apply(Put("session", str(n), b"x" * (moving.BATCH_BYTES - 1), 1.0))
    assert [len(batch) for batch in moving.batches(records.each("session"))] == [2, 2, 1]
