"""Sessions against a simple model: whatever happens in whatever order, in two processes at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from backends import RECORDS
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support import Clock

from {{ cookiecutter.package_name }}.silo import SessionStore
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionKey, session_key

from .conftest import LEASE, RETAIN, TTL

SIDS = ("one", "two", "three")
sids = st.sampled_from(SIDS)
processes = st.integers(0, 1)


@dataclass
class Life:
    """A session as the model knows it; `due` is the moment at which it ends."""

    value: int
    due: float
    files: set[str] = field(default_factory=set)


def spoil(state: dict[str, Any]) -> None:
    state["counter"]["value"] = 99
    raise ZeroDivisionError


class SessionMachine(RuleBasedStateMachine):
    """Two stores over the same records, and beside them a dict of lives and one of tombstones."""

    backend: str

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock(0.0)
        self.lives: dict[str, Life] = {}
        self.tombstones: dict[str, float] = {}
        self.files: dict[str, set[str]] = {}
        self.events: list[str] = []
        self.expected: list[str] = []
        self.stores = [self.open_store(), self.open_store()]

    def open_store(self) -> SessionStore:
        records = RECORDS[self.backend](Path(self.folder.name))
        store = SessionStore(
            ttl=TTL, expired_retain=RETAIN, lease=LEASE, records=records, clock=self.clock
        )
        store.register_namespace("counter", lambda: {"value": 0})
        store.on_create(lambda sid: self.events.append(f"+{sid}"))
        store.on_expire(lambda sid: self.events.append(f"-{sid}"))
        store.on_remove(self.remove_files)
        return store

    def remove_files(self, key: SessionKey) -> None:
        self.files.pop(key, None)

    def teardown(self) -> None:
        for store in self.stores:
            store.records.close()
        self.folder.cleanup()

    # What the model believes

    def is_live(self, sid: str) -> bool:
        return sid in self.lives and self.lives[sid].due > self.clock()

    def end(self, sid: str) -> None:
        del self.lives[sid]
        self.tombstones[sid] = self.clock() + RETAIN
        self.expected.append(f"-{sid}")

    def use(self, sid: str) -> Life:
        """A session is used: it begins if there is none, and has its whole time before it."""
        if sid in self.lives and not self.is_live(sid):
            self.end(sid)
        if sid not in self.lives:
            self.tombstones.pop(sid, None)
            self.expected.append(f"+{sid}")
            self.lives[sid] = Life(0, 0)
        self.lives[sid].due = self.clock() + TTL
        return self.lives[sid]

    # What happens

    @rule(sid=sids, process=processes)
    def get(self, sid: str, process: int) -> None:
        assert self.stores[process].get(sid)["counter"]["value"] == self.use(sid).value

    @rule(sid=sids, process=processes, value=st.integers(1, 9))
    def write(self, sid: str, process: int, value: int) -> None:
        life = self.use(sid)
        with self.stores[process].transaction(sid) as state:
            assert state["counter"]["value"] == life.value
            state["counter"]["value"] = value
        life.value = value

    @rule(sid=sids, process=processes)
    def write_and_fail(self, sid: str, process: int) -> None:
        fresh = not self.is_live(sid)
        due = self.lives[sid].due if sid in self.lives else 0.0
        with pytest.raises(ZeroDivisionError), self.stores[process].transaction(sid) as state:
            spoil(state)
        life = self.use(sid)
        if not fresh:
            life.due = due

    @rule(sid=sids, process=processes)
    def save_a_file(self, sid: str, process: int) -> None:
        with self.stores[process].transaction(sid):
            self.files.setdefault(session_key(sid), set()).add("file")
            self.use(sid).files.add("file")

    @rule(sid=sids, process=processes)
    def touch(self, sid: str, process: int) -> None:
        self.stores[process].touch(sid)
        if self.is_live(sid):
            self.use(sid)

    @rule(seconds=st.sampled_from([2.0, TTL / 2, TTL - 2, TTL, RETAIN]))
    def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(process=processes)
    def clean(self, process: int) -> None:
        due = [sid for sid in self.lives if not self.is_live(sid)]
        due.sort(key=lambda sid: self.lives[sid].due)
        found = self.stores[process].cleanup()
        assert sorted(found) == sorted(due)
        for sid in found:
            self.end(sid)
        assert set(self.files) <= {session_key(sid) for sid in self.lives}

    @rule(sid=sids, process=processes)
    def reset(self, sid: str, process: int) -> None:
        self.stores[process].reset(sid)
        if self.is_live(sid):
            life = self.use(sid)
            life.value, life.files = 0, set()

    @rule(sid=sids, process=processes)
    def destroy(self, sid: str, process: int) -> None:
        self.stores[process].destroy(sid)
        self.lives.pop(sid, None)
        self.tombstones.pop(sid, None)
        assert session_key(sid) not in self.files

    # What must be so at every moment

    @invariant()
    def both_processes_agree_with_the_model(self) -> None:
        for store in self.stores:
            for sid in SIDS:
                live = self.is_live(sid)
                assert store.exists(sid) == live
                over = sid in self.lives and not live
                assert store.is_expired(sid) == (
                    over or self.tombstones.get(sid, -1.0) > self.clock()
                )
            assert store.active_count == len(self.lives)

    @invariant()
    def each_life_begins_and_ends_once(self) -> None:
        assert self.events == self.expected

    @invariant()
    def live_sessions_have_their_files(self) -> None:
        for sid, life in self.lives.items():
            assert self.files.get(session_key(sid), set()) == life.files


@pytest.mark.parametrize("name", RECORDS)
def test_s36_sessions_live_as_the_model_does(name: str) -> None:
    machine = type("Machine", (SessionMachine,), {"backend": name})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40))
