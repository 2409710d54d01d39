"""Named streams: what one process publishes, another hears, once, in order, to the end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from backends import STORES
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import SessionStore
from {{ cookiecutter.package_name }}.silo import __name__ as silo
from {{ cookiecutter.package_name }}.silo.errors import (
    EventRefused,
    NotEncodable,
    StoreUnavailable,
    StreamEnded,
    StreamsFull,
    TooManyStreams,
)
from {{ cookiecutter.package_name }}.silo.events import KEPT_BYTES, KEPT_EVENTS, Events
from {{ cookiecutter.package_name }}.silo.records import Record, Records
from {{ cookiecutter.package_name }}.silo.records import open_records as open_url
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.streams import Stream
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.news import JobNews

from .conftest import OpenRecords

OpenEvents = Callable[..., Events]
TICK, HOUR = 0.005, 3600
EVENT = re.compile(r"event: (\S+)\nid: ([0-9]+)\.([0-9]+)\ndata: (.*)")


@dataclass(frozen=True)
class Heard:
    """An event as a client reads it."""

    name: str
    id: tuple[int, int]
    data: Any

    @property
    def last_event_id(self) -> str:
        return f"{self.id[0]}.{self.id[1]}"


def events_in(text: str) -> list[Heard]:
    blocks = [block for block in text.split("\n\n") if block.startswith("event:")]
    found = [EVENT.fullmatch(block) for block in blocks]
    return [
        Heard(each[1], (int(each[2]), int(each[3])), json.loads(each[4])) for each in found if each
    ]


def hear(stream: Iterator[str], count: int) -> list[Heard]:
    """The next events, however many pieces they come in."""
    heard: list[Heard] = []
    while len(heard) < count:
        heard += events_in(next(stream))
    return heard


def rest(stream: Iterator[str]) -> list[Heard]:
    """What comes until the stream ends."""
    return events_in("".join(stream))


def data(heard: list[Heard]) -> list[Any]:
    return [each.data for each in heard]


@pytest.fixture
def open_events(open_records: OpenRecords, clock: Clock) -> Iterator[OpenEvents]:
    """Opens the events of the test's records; called again, as another process has them."""
    opened: list[Events] = []

    def open_them(**options: Any) -> Events:
        opened.append(Events(open_records(), clock, tick=TICK, **options))
        return opened[-1]

    yield open_them
    for each in opened:
        each.stop()


@pytest.fixture
def events(open_events: OpenEvents) -> Events:
    return open_events()


def test_what_is_published_is_heard_in_another_process(
    events: Events, open_events: OpenEvents
) -> None:
    stream = open_events().stream("news")
    assert next(stream) == ": ping\n\n", "a head is sent at once, whenever the first event comes"
    number = events.publish("news", {"text": "Grüße\n\nfrom ☃"}, "greeting")
    [heard] = hear(stream, 1)
    assert heard == Heard("greeting", (number, 0), {"text": "Grüße\n\nfrom ☃"})


def test_whoever_comes_late_hears_what_was_said(events: Events) -> None:
    for number in range(3):
        events.publish("news", number)
    assert data(hear(events.stream("news"), 3)) == [0, 1, 2]


def test_a_listener_goes_on_after_the_last_event_that_it_heard(
    events: Events, open_events: OpenEvents
) -> None:
    for number in range(3):
        events.publish("news", number)
    second = hear(events.stream("news"), 3)[1]
    events.publish("news", 3)
    events.end("news")
    again = rest(open_events().stream("news", second.last_event_id))
    assert data(again) == [2, 3, None]


def test_ids_rise_whoever_publishes(open_events: OpenEvents) -> None:
    processes = [open_events() for _ in range(4)]

    def work(events: Events) -> list[int]:
        return [events.publish("news", None) for _ in range(25)]

    with ThreadPoolExecutor(4) as pool:
        ids = [number for each in pool.map(work, processes) for number in each]
    heard = hear(open_events().stream("news"), 100)
    assert [each.id[0] for each in heard] == sorted(ids)
    assert len(set(ids)) == 100


def test_ids_rise_when_a_stream_begins_anew(events: Events, clock: Clock) -> None:
    before = [events.publish("news", number) for number in range(5)]
    events.forget("news")
    clock.advance(1)
    assert events.publish("news", "anew") > before[-1]
    assert data(hear(events.stream("news", f"{before[-1]}.0"), 1)) == ["anew"]


def test_old_events_leave_and_their_absence_is_told(events: Events) -> None:
    ids = [events.publish("news", number) for number in range(KEPT_EVENTS + 50)]
    missed, *kept = hear(events.stream("news"), KEPT_EVENTS + 1)
    assert (missed.name, missed.data) == ("missed", {"after": 0, "until": ids[49]})
    assert data(kept) == list(range(50, KEPT_EVENTS + 50))
    again = hear(events.stream("news", f"{ids[10]}.0"), KEPT_EVENTS + 1)
    assert (again[0].name, again[0].data) == ("missed", {"after": ids[10], "until": ids[49]})
    assert data(hear(events.stream("news", f"{ids[49]}.0"), KEPT_EVENTS)) == data(kept)


def test_s37_a_stream_holds_so_many_bytes_and_no_more(events: Events, records: Records) -> None:
    large = "x" * (KEPT_BYTES // 4)
    for number in range(10):
        events.publish("news", [number, large])
    stored = records.read("stream", "news")
    assert stored
    assert len(stored.value) < KEPT_BYTES + 100
    missed, *kept = hear(events.stream("news"), 4)
    assert missed.name == "missed"
    assert [number for number, _ in data(kept)] == [7, 8, 9]


@pytest.mark.parametrize(
    ("name", "value", "event", "error"),
    [
        ("", 1, "message", EventRefused),
        ("news", 1, "", EventRefused),
        ("news", 1, "two words", EventRefused),
        ("news", 1, "x\ndata: forged", EventRefused),
        ("news", "x" * KEPT_BYTES, "message", EventRefused),
        ("news", object(), "message", NotEncodable),
        ("news", float("nan"), "message", NotEncodable),
    ],
)
def test_what_cannot_be_sent_is_refused_where_it_is_published(
    events: Events, records: Records, name: str, value: Any, event: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        events.publish(name, value, event)
    assert records.count("stream") == 0


def test_s37_a_stream_has_one_end_whoever_ends_it(open_events: OpenEvents) -> None:
    stream = open_events().stream("news")
    next(stream)
    barrier = threading.Barrier(8)

    def end(number: int) -> int | None:
        events = open_events()
        barrier.wait()
        return events.end("news", number, "done")

    with ThreadPoolExecutor(8) as pool:
        ids = [number for number in pool.map(end, range(8)) if number]
    assert len(ids) == 1
    heard = rest(stream)
    assert [(each.name, each.id[0]) for each in heard] == [("done", ids[0])]
    assert rest(open_events().stream("news")) == heard, "told again to whoever asks later"


def test_nothing_follows_an_end_until_the_stream_is_forgotten(events: Events) -> None:
    events.end("news")
    with pytest.raises(StreamEnded):
        events.publish("news", "late")
    assert [each.name for each in rest(events.stream("news"))] == ["end"]
    events.forget("news")
    events.publish("news", "again")
    assert data(hear(events.stream("news"), 1)) == ["again"]


def test_a_stream_is_forgotten_an_hour_after_its_last_event(
    store: SessionStore, clock: Clock
) -> None:
    events = Events(store.records, clock, retain=3600)
    events.publish("news", 1)
    clock.advance(3000)
    events.publish("news", 2)
    clock.advance(3000)
    store.cleanup()
    assert store.records.count("stream") == 1
    clock.advance(601)
    store.cleanup()
    assert store.records.count("stream") == 0


def test_whoever_comes_back_to_a_forgotten_stream_is_told_so(events: Events, clock: Clock) -> None:
    last = events.publish("news", 1)
    events.forget("news")
    clock.advance(1)
    stream = events.stream("news", f"{last}.0")
    [missed] = hear(stream, 1)
    now = int(clock() * 1000)
    assert (missed.name, missed.data) == ("missed", {"after": last, "until": now})
    assert events.publish("news", 2) > now
    assert data(hear(stream, 1)) == [2]


def test_there_is_nothing_to_say_to_whoever_has_heard_the_end(events: Events) -> None:
    last = events.end("news")
    stream = events.stream("news", f"{last}.0")
    assert stream.is_over
    assert list(stream) == []


def test_who_listens_goes_on_when_the_stream_is_forgotten(events: Events, clock: Clock) -> None:
    stream = events.stream("news")
    events.publish("news", 1)
    hear(stream, 1)
    events.forget("news")
    clock.advance(1)
    events.publish("news", 2)
    assert data(hear(stream, 1)) == [2]


def test_a_broadcast_reaches_every_stream_of_every_process(
    open_events: OpenEvents, records: Records, clock: Clock
) -> None:
    jobs = Jobs(records, clock)
    records.apply(*jobs.creation(Job(id="1", name="task", target="x:y")))
    streams = [open_events().stream("one"), open_events().stream("two")]
    streams.append(open_events().listen(JobNews("1")))
    for stream in streams:
        next(stream)
    open_events().broadcast("To all", "notice")
    for stream in streams:
        [heard] = hear(stream, 1)
        assert (heard.name, heard.data) == ("notice", "To all")


def test_a_broadcast_is_replayed_to_whoever_comes_back_and_to_nobody_new(events: Events) -> None:
    first = events.broadcast(1)
    events.publish("news", "own")
    stream = events.stream("news")
    [own] = hear(stream, 1)
    assert own.id[1] == first
    stream.close()
    events.broadcast(2)
    events.end("news", "over")
    again = rest(events.stream("news", own.last_event_id))
    assert data(again) == [2, "over"]
    assert all(one.id < other.id for one, other in pairwise([own, *again]))


def test_a_full_process_or_a_greedy_owner_is_refused(open_events: OpenEvents) -> None:
    events = open_events(per_process=3, per_owner=2)
    mine = [events.stream("news", owner="me") for _ in range(2)]
    with pytest.raises(TooManyStreams):
        events.stream("news", owner="me")
    other = events.stream("news", owner="you")
    with pytest.raises(StreamsFull):
        events.stream("news")
    mine[0].close()
    mine[0].close()
    again = events.stream("news", owner="me")
    with pytest.raises(StreamsFull):
        events.stream("news", owner="me")
    del again, other
    events.stream("news", owner="me").close()


def test_s37_a_silent_stream_is_kept_alive(open_events: OpenEvents) -> None:
    steady = Clock()
    events = open_events(monotonic=steady)
    stream = events.stream("news", keep_alive=15)
    other = events.stream("news", keep_alive=60)
    next(stream), next(other)
    steady.advance(14.9)
    events.watcher.look()
    assert not stream.listener.is_due(steady())
    steady.advance(0.1)
    assert next(stream) == ": ping\n\n"
    assert not other.listener.is_due(steady())
    steady.advance(14.9)
    assert not stream.listener.is_due(steady())


def test_streams_that_are_stopped_say_when_to_come_back(events: Events) -> None:
    events.publish("news", 1)
    stream = events.stream("news")
    hear(stream, 1)
    events.stop()
    assert re.fullmatch(r"retry: [0-9]{3,4}\n\n", "".join(stream))
    stream.close()
    assert "retry: " in "".join(events.stream("news")), "who comes too late is sent away at once"


class Counting(MemoryRecords):
    """Records that count what is asked of them, and fail while `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.read_count = self.asked = self.failures = 0
        self.broken = False

    def read(self, kind: str, key: str) -> Record | None:
        self.read_count += 1
        if self.broken:
            raise StoreUnavailable
        return super().read(kind, key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        self.asked += 1
        if self.broken:
            self.failures += 1
            raise StoreUnavailable
        return super().versions(kind, keys)


def test_a_thousand_streams_ask_one_question_at_each_look() -> None:
    records, before = Counting(), set(threading.enumerate())
    events = Events(records, tick=HOUR)
    streams = [events.stream(f"stream {number}") for number in range(1000)]
    for stream in streams:
        next(stream)
    events.publish("stream 7", "news")
    records.read_count = records.asked = 0
    events.watcher.look()
    events.watcher.look()
    assert (records.asked, records.read_count) == (2, 0)
    assert data(hear(streams[7], 1)) == ["news"]
    assert records.read_count == 1
    woken = [each for each in streams if each.listener.is_due(0)]
    assert woken == []
    assert [each.name for each in set(threading.enumerate()) - before] == ["silo-watch"]


def test_the_thread_ends_when_nobody_listens_and_begins_again(events: Events) -> None:
    for _ in range(2):
        stream = events.stream("news")
        assert events.watcher.running
        stream.close()
        eventually(lambda: not events.watcher.running)


def test_whoever_listens_waits_for_a_store_that_does_not_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = Counting()
    events = Events(records, tick=TICK)
    stream = events.stream("news")
    next(stream)
    records.broken = True
    eventually(lambda: records.failures > 2)
    assert caplog.text.count("the streams wait for the store") == 1
    records.broken = False
    events.publish("news", 1)
    assert data(hear(stream, 1)) == [1]


def test_a_stream_that_cannot_be_read_ends_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    records = Counting()
    events = Events(records, tick=TICK)
    stream = events.stream("news")
    next(stream)
    events.publish("news", 1)
    monkeypatch.setattr(records, "read", Mock(side_effect=StoreUnavailable))
    assert re.fullmatch(r"retry: [0-9]{3,4}\n\n", "".join(stream))


PUBLISHER = """
import sys
from {silo}.events import Events
from {silo}.records import open_records
events = Events(open_records(sys.argv[1]))
for number in range(int(sys.argv[2])):
    events.publish("news", number)
events.end("news")
"""


@pytest.mark.parametrize("name", STORES)
def test_a_publisher_in_a_process_of_its_own_is_heard_live(tmp_path: Path, name: str) -> None:
    url = STORES[name](tmp_path)
    events = Events(open_url(url), tick=TICK)
    stream = events.stream("news")
    next(stream)
    script = PUBLISHER.format(silo=silo)
    with subprocess.Popen([sys.executable, "-c", script, url, "100"]) as publisher:
        heard = rest(stream)
    assert publisher.returncode == 0
    assert data(heard) == [*range(100), None]


def test_listeners_of_a_busy_stream_hear_everything_once(open_events: OpenEvents) -> None:
    """While several publish, some listen to the end, and one comes back again and again."""
    publishers = [open_events() for _ in range(3)]
    steady_streams = [open_events().stream("news") for _ in range(3)]

    def publish(events: Events) -> None:
        for number in range(50):
            events.publish("news", number)

    def come_back() -> list[Heard]:
        events, heard = open_events(), list[Heard]()
        while not heard or heard[-1].name != "end":
            last = heard[-1].last_event_id if heard else ""
            stream: Stream = events.stream("news", last)
            heard += hear(stream, 1)
            stream.close()
        return heard

    with ThreadPoolExecutor(8) as pool:
        listening = [pool.submit(rest, stream) for stream in steady_streams]
        listening.append(pool.submit(come_back))
        list(pool.map(publish, publishers))
        publishers[0].end("news")
        told = [each.result() for each in listening]
    assert all(each == told[0] for each in told)
    assert len(told[0]) == 151
