"""The broker: what Celery is told about it, and what is asked of it.

A message says that there is work, and the records say what. So of all that Celery can do, little is
needed, and what is not needed is off: results, beat, events, remote control, gossip.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from ..errors import SiloError
from ..urls import masked

TASK = "silo.work"
SOCKET_SECONDS = 2.0
"""How long the broker may take to answer; a request may wait for it."""
REDELIVER_SECONDS = 600.0
"""By how much a message may outlast its job: hosts' clocks may differ, and Redis goes by theirs."""


class BrokerAway(SiloError):
    """The broker cannot be reached, or takes nothing."""


class Broker:
    """A queue of messages, `name`'s own, so that several apps may share the broker.

    `url` is a Redis server's; its `?prefix=` is the beginning of its keys, in place of the name.
    `seconds` is the longest that a job may take.
    """

    def __init__(self, url: str, name: str, seconds: float) -> None:
        address, prefix = _parted(url)
        self._url = url
        self.queue = f"{name}.jobs"
        self.celery = Celery(name, broker=address, set_as_current=False)
        self.celery.conf.update(settings(self.queue, f"{prefix or name}:broker:", seconds))

    @property
    def address(self) -> str:
        """The broker's URL without its password."""
        return masked(self._url)

    def send(self, job_id: str) -> None:
        """Say that a job waits. Raises BrokerAway."""
        with self.celery.producer_or_acquire() as producer, away(producer.connection):
            self.celery.send_task(TASK, [job_id], task_id=job_id, producer=producer)

    def waiting(self) -> int:
        """How many messages nobody has fetched yet. Raises BrokerAway."""
        with self.celery.producer_or_acquire() as producer, away(producer.connection):
            channel: Any = producer.channel
            return int(channel.queue_declare(self.queue).message_count)


def _parted(url: str) -> tuple[str, str]:
    """The server's address as Celery takes it, and the prefix of the keys, if the URL names one.

    With TLS the server has to show a certificate that is good, unless the URL says otherwise:
    Celery would take any.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    options = {name: value for name, value in given.items() if name.startswith("ssl_")}
    if parts.scheme == "rediss":
        options.setdefault("ssl_cert_reqs", "required")
    return parts._replace(query=urlencode(options)).geturl(), given.get("prefix", "")


@contextlib.contextmanager
def away(connection: Connection) -> Iterator[None]:
    """Raises BrokerAway for whatever a connection to the broker may raise."""
    errors: Any = (OperationalError, *connection.connection_errors, *connection.channel_errors)
    try:
        yield
    except errors as error:
        raise BrokerAway(str(error)) from error


def settings(queue: str, prefix: str, seconds: float) -> dict[str, Any]:
    """What Celery is told, with the reasons."""
    return {
        # JSON in both directions: a message can name a job and do nothing else.
        "task_serializer": "json",
        "accept_content": ["json"],
        # The record has the result and every step towards it.
        "result_backend": None,
        "task_ignore_result": True,
        "task_default_queue": queue,
        # A message is done when its job is. So a worker fetches no more than it can work on, and
        # what a dead one had fetched comes back.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # Threads, because a job's child has the limits, and is killed at them: see `CeleryWorker`.
        "worker_pool": "threads",
        "worker_concurrency": 1,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": SOCKET_SECONDS,
        # Jobs under way have their records, and go on without the broker.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # What cannot be sent now a later look sends, and meanwhile nobody has to wait for it.
        "task_publish_retry": False,
        # Whoever reaches the broker could stop workers by it.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        # The log is the command's to form.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "broker_transport_options": {
            "global_keyprefix": prefix,
            # Messages that were fetched and never done come back after this. Sooner, and those of
            # jobs that still run would come twice, which is harmless and of no use.
            "visibility_timeout": seconds + REDELIVER_SECONDS,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # One list for all priorities: which job is next the queue in the records says.
            "priority_steps": [0],
            # To connect anew is tried once, at once: who sends does not wait for the broker.
            "max_retries": 1,
            "interval_start": 0,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    }
