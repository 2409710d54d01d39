"""SessionStore: a session's state, who may change it, and how long it is there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from support import Clock

from {{ cookiecutter.package_name }}.silo import NamespaceError, SessionExpired, SessionStore
from {{ cookiecutter.package_name }}.silo.errors import NotEncodable
from {{ cookiecutter.package_name }}.silo.records import Record, Records, Step
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords

from .conftest import RETAIN, TTL, OpenStore

SID = "a-session-of-a-client"


def keep(store: SessionStore, value: int, sid: str = SID) -> None:
    with store.transaction(sid) as state:
        state["counter"]["value"] = value


def spoil(state: dict[str, Any]) -> None:
    state["counter"]["value"] = 99
    raise ZeroDivisionError


def value_of(store: SessionStore, sid: str = SID) -> Any:
    return store.get(sid)["counter"]["value"]


# Reading


def test_get_creates_a_session_once(store: SessionStore, clock: Clock) -> None:
    assert not store.exists(SID)
    created = clock()
    assert store.get(SID) == {
        "counter": {"value": 0},
        "_meta": {"created_at": created, "last_active": created, "sid": SID},
    }
    clock.advance(50)
    assert store.get(SID)["_meta"]["created_at"] == created
    assert store.exists(SID)
    assert store.active_count == 1


def test_get_says_when_the_session_was_last_used(store: SessionStore, clock: Clock) -> None:
    store.get(SID)
    clock.advance(50)
    store.get(SID)
    assert store.get(SID)["_meta"]["last_active"] == clock()


def test_s05_sessions_do_not_see_each_other(store: SessionStore) -> None:
    keep(store, 1, "one")
    keep(store, 2, "two")
    assert (value_of(store, "one"), value_of(store, "two")) == (1, 2)
    assert store.active_count == 2


def test_a_second_process_sees_what_the_first_has_kept(open_store: OpenStore) -> None:
    keep(open_store(), 7)
    assert value_of(open_store()) == 7


def test_changes_to_a_snapshot_are_not_kept(store: SessionStore) -> None:
    store.get(SID)["counter"]["value"] = 9
    store.get_namespace(SID, "counter")["value"] = 9
    assert value_of(store) == 0


def test_a_namespace_is_had_by_its_name(store: SessionStore) -> None:
    keep(store, 3)
    assert store.get_namespace(SID, "counter") == {"value": 3}


def test_an_unknown_namespace_is_refused_by_name(store: SessionStore) -> None:
    with pytest.raises(NamespaceError, match="'cuonter'") as caught:
        store.get_namespace(SID, "cuonter")
    assert caught.value.namespace == "cuonter"
    assert not store.exists(SID)


def test_a_namespace_registered_later_is_there_too(store: SessionStore) -> None:
    keep(store, 3)
    store.register_namespace("late", lambda: {"words": []})
    assert store.get_namespace(SID, "late") == {"words": []}
    with store.transaction(SID) as state:
        state["late"]["words"].append("kept")
    assert store.get(SID)["late"] == {"words": ["kept"]}
    assert value_of(store) == 3


# Changing


def test_a_transaction_keeps_what_it_changed(store: SessionStore) -> None:
    with store.transaction(SID) as state:
        state["counter"] = {"value": 5, "words": ["a", None, True, 1.5, {"é\ud800": []}]}
    assert store.get(SID)["counter"] == {
        "value": 5,
        "words": ["a", None, True, 1.5, {"é\ud800": []}],
    }


def test_s38_a_check_may_keep_sessions_from_being_created(
    store: SessionStore, clock: Clock
) -> None:
    keep(store, 1, "before")
    keep(store, 1, "ends")
    clock.advance(TTL / 2)
    store.touch("before")
    clock.advance(TTL / 2)
    full = RuntimeError("full")
    store.before_create(lambda: raise_it(full))
    for sid in ("new", "ends"):
        for create in (store.get, store.open, store.begin):
            with pytest.raises(RuntimeError, match="full"):
                create(sid)
        assert not store.exists(sid)
    assert store.is_expired("ends"), "which nobody has cleaned up yet"
    keep(store, 2, "before")
    assert value_of(store, "before") == 2
    store.cleanup()
    assert store.active_count == 1
    assert store.records.count("lock") == 0


def raise_it(error: Exception) -> None:
    raise error


def test_a_transaction_that_raises_keeps_nothing_and_frees_the_session(store: SessionStore) -> None:
    keep(store, 1)
    with pytest.raises(ZeroDivisionError), store.transaction(SID) as state:
        spoil(state)
    assert value_of(store) == 1
    keep(store, 4)
    assert value_of(store) == 4


def test_a_transaction_creates_none_if_it_is_not_to(store: SessionStore) -> None:
    with pytest.raises(SessionExpired), store.transaction(SID, create=False):
        pass
    assert not store.exists(SID)
    keep(store, 3)
    with store.transaction(SID, create=False) as state:
        state["counter"]["value"] += 1
    assert value_of(store) == 4


def test_a_transaction_creates_the_session(store: SessionStore) -> None:
    keep(store, 1)
    assert store.active_count == 1
    with pytest.raises(KeyError), store.transaction("another") as state:
        raise KeyError(state)
    assert store.get("another")["counter"] == {"value": 0}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "counter.x"),
        ({"deep": [1, {2, 3}]}, "counter.x.deep[1]"),
        (b"bytes", "counter.x"),
        ([float("nan")], "counter.x[0]"),
        (float("inf"), "counter.x"),
        ({1: "one"}, "counter.x.1"),
        ({"__task__": {"name": "forged", "job": "1"}}, "counter.x.'__task__'"),
        (TTL.__add__, "counter.x"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_where_it_stands(
    store: SessionStore, value: object, path: str
) -> None:
    keep(store, 1)
    with pytest.raises(NotEncodable) as caught, store.transaction(SID) as state:
        state["counter"].update(value=2, x=value)
    assert caught.value.path.startswith(path)
    assert path in str(caught.value)
    assert value_of(store) == 1
    keep(store, 3)
    assert value_of(store) == 3


def test_a_first_state_that_cannot_be_stored_is_refused_at_once(store: SessionStore) -> None:
    store.register_namespace("bad", lambda: {"lock": object()})
    with pytest.raises(NotEncodable, match=r"bad\.lock holds a object"):
        store.get(SID)
    assert not store.exists(SID)


def test_state_that_contains_itself_is_refused(store: SessionStore) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError), store.transaction(SID) as state:
        state["counter"]["endless"] = endless
    assert value_of(store) == 0


def test_a_tuple_comes_back_as_a_list(store: SessionStore) -> None:
    with store.transaction(SID) as state:
        state["counter"]["pair"] = (1, 2)
    assert store.get(SID)["counter"]["pair"] == [1, 2]


def test_any_text_is_a_session_id_of_a_store_that_signs_none(store: SessionStore) -> None:
    for n, sid in enumerate(["", "\x00", "../../etc/passwd", "\ud800", "\U0001f600" * 300]):
        keep(store, n, sid)
        assert value_of(store, sid) == n
        assert store.get(sid)["_meta"]["sid"] == sid


# Beginning anew, and ending


def test_reset_begins_anew(store: SessionStore) -> None:
    keep(store, 5)
    removed: list[str] = []
    store.on_remove(removed.append)
    store.reset(SID)
    assert value_of(store) == 0
    assert len(removed) == 1
    assert not store.is_expired(SID)


def test_reset_of_no_session_makes_none(store: SessionStore) -> None:
    store.reset(SID)
    assert not store.exists(SID)
    assert store.active_count == 0


def test_destroy_removes_without_a_trace(store: SessionStore) -> None:
    keep(store, 5)
    removed: list[str] = []
    store.on_remove(removed.append)
    store.destroy(SID)
    assert not store.exists(SID)
    assert not store.is_expired(SID)
    assert (store.active_count, store.expired_count) == (0, 0)
    assert len(removed) == 1
    assert value_of(store) == 0


def test_destroy_forgets_that_the_session_had_expired(store: SessionStore, clock: Clock) -> None:
    keep(store, 5)
    clock.advance(TTL)
    store.cleanup()
    assert store.is_expired(SID)
    store.destroy(SID)
    assert not store.is_expired(SID)
    assert store.expired_count == 0


def test_destroy_of_no_session_does_nothing(store: SessionStore) -> None:
    store.destroy(SID)
    assert store.active_count == 0


# A life's length


def test_touch_begins_the_time_to_live_anew(store: SessionStore, clock: Clock) -> None:
    store.get(SID)
    for _ in range(5):
        clock.advance(TTL - 1)
        store.touch(SID)
    clock.advance(TTL - 1)
    assert store.cleanup() == []
    assert store.exists(SID)


def test_every_use_counts_as_a_touch(store: SessionStore, clock: Clock) -> None:
    uses = (
        lambda: store.get(SID),
        lambda: store.get_namespace(SID, "counter"),
        lambda: keep(store, 1),
        lambda: store.reset(SID),
    )
    store.get(SID)
    for use in uses:
        clock.advance(TTL - 1)
        use()
    clock.advance(TTL - 1)
    assert store.exists(SID)


def test_asking_is_no_touch(store: SessionStore, clock: Clock) -> None:
    store.get(SID)
    clock.advance(TTL - 1)
    assert store.exists(SID)
    assert not store.is_expired(SID)
    assert store.peek(SID)
    clock.advance(1)
    assert not store.exists(SID)


def test_touching_no_session_makes_none(store: SessionStore, clock: Clock) -> None:
    store.touch(SID)
    assert not store.exists(SID)
    store.get(SID)
    clock.advance(TTL)
    store.touch(SID)
    assert not store.exists(SID)


def test_many_touches_a_second_write_once(counted: Counting, clock: Clock) -> None:
    store = SessionStore(ttl=TTL, records=counted, clock=clock)
    store.get(SID)
    clock.advance(2)
    counted.applied = 0
    for _ in range(50):
        store.touch(SID)
        store.get(SID)
        clock.advance(0.01)
    assert counted.applied == 1


def test_a_short_life_is_still_prolonged(open_store: OpenStore, clock: Clock) -> None:
    store = open_store(ttl=0.5)
    store.get(SID)
    for _ in range(10):
        clock.advance(0.4)
        store.touch(SID)
    assert store.exists(SID)


class Counting(Records):
    """Records that count what is asked of them."""

    def __init__(self) -> None:
        self._inner = MemoryRecords()
        self.asked = self.applied = self.returned = 0

    def read(self, kind: str, key: str) -> Record | None:
        self.asked += 1
        return self._inner.read(kind, key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        self.asked += 1
        return self._inner.versions(kind, keys)

    def apply(self, *steps: Step) -> int:
        self.asked += 1
        self.applied += 1
        return self._inner.apply(*steps)

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        self.asked += 1
        found = self._inner.due(kind, now, limit)
        self.returned += len(found)
        return found

    def count(self, kind: str) -> int:
        self.asked += 1
        return self._inner.count(kind)


@pytest.fixture
def counted() -> Counting:
    return Counting()


def test_nothing_costs_more_with_many_sessions(counted: Counting, clock: Clock) -> None:
    store = SessionStore(ttl=TTL, records=counted, clock=clock)

    def cost() -> tuple[int, int]:
        counted.asked = counted.returned = 0
        store.get(SID)
        store.touch(SID)
        store.exists(SID)
        store.is_expired(SID)
        store.is_expired("unknown")
        store.cleanup()
        return counted.asked, counted.returned

    store.get(SID)
    alone = cost()
    for n in range(1000):
        store.get(f"session {n}")
    assert cost() == alone
    assert alone[1] == 0


def test_expiry_is_remembered_for_a_while(store: SessionStore, clock: Clock) -> None:
    store.get(SID)
    clock.advance(TTL)
    assert store.is_expired(SID)
    assert store.cleanup() == [SID]
    assert store.is_expired(SID)
    assert store.expired_count == 1
    clock.advance(RETAIN - 1)
    store.cleanup()
    assert store.is_expired(SID)
    clock.advance(1)
    assert not store.is_expired(SID)
    store.cleanup()
    assert store.expired_count == 0


def test_an_id_nobody_used_has_not_expired(store: SessionStore) -> None:
    assert not store.is_expired(SID)
    store.get(SID)
    assert not store.is_expired(SID)


def test_after_expiry_get_makes_a_fresh_session(store: SessionStore, clock: Clock) -> None:
    keep(store, 5)
    clock.advance(TTL)
    store.cleanup()
    assert value_of(store) == 0
    assert store.get(SID)["_meta"]["created_at"] == clock()
    assert not store.is_expired(SID)
    assert store.expired_count == 0


@pytest.mark.parametrize("change", [True, False])
def test_expiry_needs_no_cleanup_pass(store: SessionStore, clock: Clock, change: bool) -> None:
    keep(store, 5)
    ended: list[str] = []
    removed: list[str] = []
    store.on_expire(ended.append)
    store.on_remove(removed.append)
    clock.advance(TTL)
    assert not store.exists(SID)
    if change:
        with store.transaction(SID) as state:
            assert state["counter"]["value"] == 0
    else:
        assert value_of(store) == 0
    assert ended == [SID]
    assert len(removed) == 1
    assert store.cleanup() == []
    assert ended == [SID]
