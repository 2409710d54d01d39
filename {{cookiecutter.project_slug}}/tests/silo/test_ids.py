"""Session ids: made and signed by the server alone, and not usable from what is stored."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask, FileStore
from {{ cookiecutter.package_name }}.silo.records import Put, Record, Records, Step
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionIds, SessionKey, session_key

from .conftest import RETAIN, TTL, OpenStore

IDS = SessionIds("a secret")


def test_s01_an_id_holds_256_random_bits_and_a_signature() -> None:
    made = {IDS.issue() for _ in range(100)}
    assert len(made) == 100
    for sid in made:
        random, _, signature = sid.rpartition(".")
        assert re.fullmatch(r"[\w-]{43,}", random)
        assert re.fullmatch(r"[\w-]{43}", signature)


def test_s01_an_issued_id_is_recognised_by_every_process_with_the_secret() -> None:
    sid = IDS.issue()
    bare = SessionIds("a secret").bare(sid)
    assert bare
    assert IDS.sign(bare) == sid
    assert SessionIds("another secret").bare(sid) is None


@given(st.integers(0, 86), st.characters(min_codepoint=33, max_codepoint=126))
def test_s01_a_changed_id_is_refused(place: int, character: str) -> None:
    sid = "x" * 43 + "." + IDS.sign("x" * 43).rpartition(".")[2]
    changed = sid[:place] + character + sid[place + 1 :]
    assert (IDS.bare(changed) is None) == (changed != sid)


@pytest.mark.parametrize("noise", ["!", "\n", " ", "=", "==="])
def test_s01_a_signature_is_written_in_one_way_only(noise: str) -> None:
    sid = IDS.issue()
    assert IDS.bare(sid + noise) is None
    assert IDS.bare(sid[:-5] + noise + sid[-5:]) is None
    ends = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [end for end in ends if IDS.bare(sid[:-1] + end)] == [sid[-1]]


@pytest.mark.parametrize(
    "sid",
    ["", ".", "a" * 50, "a.b", "\x00", "é" * 40, "\ud800" * 40, "../../etc/passwd.x", "a" * 10**6],
)
def test_s01_what_this_server_did_not_sign_is_refused(sid: str) -> None:
    assert IDS.bare(sid) is None


def test_a_generator_of_ones_own_is_asked_and_its_ids_are_signed() -> None:
    ids = SessionIds("a secret", lambda: "user.17")
    assert ids.issue().startswith("user.17.")
    assert ids.bare(ids.issue()) == "user.17"


def test_s02_a_key_tells_nothing_of_the_id_and_is_its_own_key() -> None:
    sid = IDS.issue()
    key = session_key(sid)
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert session_key(key) == key
    assert isinstance(key, SessionKey)
    assert session_key(str(key)) != key


class Recording(Records):
    """Records that remember all that was ever written."""

    def __init__(self, inner: Records) -> None:
        self._inner = inner
        self.written: list[Step] = []

    def read(self, kind: str, key: str) -> Record | None:
        return self._inner.read(kind, key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        return self._inner.versions(kind, keys)

    def apply(self, *steps: Step) -> int:
        self.written += steps
        return self._inner.apply(*steps)

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        return self._inner.due(kind, now, limit)

    def count(self, kind: str) -> int:
        return self._inner.count(kind)


@pytest.fixture
def recording(records: Records) -> Recording:
    """The test's records, with all that is written to them remembered."""
    return Recording(records)


def test_s02_nothing_that_is_stored_can_be_sent_as_an_id(
    open_store: OpenStore, recording: Recording, clock: Clock, files: FileStore
) -> None:
    store = open_store(records=recording)
    store.ids = IDS
    store.on_remove(files.cleanup)
    store.register_namespace("work", lambda: {"task": BackgroundTask("quick")})
    sid = IDS.issue()
    path = files.save(sid, "name", b"")
    with store.transaction(sid) as state:
        state["work"]["task"].start(lambda task: task.log("hello"))
    task = store.get(sid)["work"]["task"]
    eventually(lambda: task.is_complete)
    store.reset(sid)
    clock.advance(TTL)
    assert store.cleanup() == [sid]
    clock.advance(RETAIN)
    store.cleanup()

    assert {step.kind for step in recording.written} >= {"session", "job", "lock", "tombstone"}
    signature = sid.rpartition(".")[2]
    for step in recording.written:
        texts = [step.key, step.value.decode() if isinstance(step, Put) else ""]
        assert not any(signature in text for text in texts)
        assert IDS.bare(step.key) is None
    assert signature not in path
