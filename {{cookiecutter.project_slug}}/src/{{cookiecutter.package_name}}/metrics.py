"""Figures for a monitoring system: `GET /metrics`, in the text format of Prometheus.

What happens is counted where it happens, for all processes together (`silo/counts.py`); what there
is at this moment is asked of the store. Labels are of few kinds: no session, no file, no path.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import cast

from flask import Blueprint, Flask, Response, current_app, request

from .keys import Keys, require
from .logs import elapsed, method
from .silo import Silo, SiloError
from .silo.counts import Count, Counts
from .silo.tasks.job import ENDS, Job
from .total import Total
from .views import FILES

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0)
"""Of the histogram's buckets, in seconds."""
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Any of these headers says that a call came through a proxy."""

blueprint = Blueprint("metrics", __name__)


@dataclass(frozen=True)
class Metric:
    """What is told under a name; a count's parts after its name are the labels' values."""

    name: str
    kind: str
    about: str
    labels: tuple[str, ...] = ()


REQUESTS = "silo_requests_total"
SECONDS = "silo_request_seconds"
JOBS = "silo_jobs_total"
EXPIRED = "silo_sessions_expired_total"
METRICS = (
    Metric(REQUESTS, "counter", "Calls answered.", ("endpoint", "method", "status")),
    Metric(SECONDS, "histogram", "Time until an answer began.", ("endpoint", "le")),
    Metric(JOBS, "counter", "Jobs that have ended.", ("end",)),
    Metric("silo_jobs_queued", "gauge", "Jobs that wait."),
    Metric("silo_jobs_running", "gauge", "Jobs that a worker holds."),
    Metric("silo_sessions", "gauge", "Sessions that are stored."),
    Metric(EXPIRED, "counter", "Sessions that have expired."),
    Metric("silo_stored_bytes", "gauge", "Bytes of uploads and reports, about."),
)


class Metrics:
    """The figures of one app: counts what its silo does and what it answers."""

    def __init__(self, silo: Silo, keys: Keys) -> None:
        self.keys = keys
        self.counts = Counts(silo.store.records)
        self._silo = silo
        self._records = silo.store.records
        self._total = Total(self._records, silo.file_store(FILES), silo.store.clock)
        self._jobs = silo.store.runner.jobs
        self._jobs.watch(self.count_job)
        silo.store.on_expire(lambda _: self.counts.add({(EXPIRED,): 1}))
        silo.store.on_cleanup(self._total.stored)  # a walk over all files is not for a request

    def count_request(self, response: Response) -> Response:
        endpoint = request.endpoint or "none"  # one label for all addresses that do not exist
        seconds = elapsed()
        counted: dict[Count, float] = {
            (f"{SECONDS}_bucket", endpoint, str(bound)): seconds <= bound for bound in BOUNDS
        }
        counted[f"{SECONDS}_bucket", endpoint, "+Inf"] = 1
        counted[f"{SECONDS}_sum", endpoint] = seconds
        counted[f"{SECONDS}_count", endpoint] = 1
        counted[REQUESTS, endpoint, method(), f"{response.status_code // 100}xx"] = 1
        self.counts.add(counted)
        return response

    def count_job(self, job: Job) -> None:
        if job.ended:
            self.counts.add({(JOBS, job.status): 1})

    def values(self) -> dict[Count, float]:
        """What there is to tell; what this process has counted is put on record first."""
        with contextlib.suppress(SiloError):  # what is on record may be read all the same
            self.counts.flush()
        stored = self._total.known()
        return {
            (EXPIRED,): 0,
            **{(JOBS, end): 0 for end in ENDS},
            **self.counts.read(),
            ("silo_jobs_queued",): self._jobs.queue.count(),
            ("silo_jobs_running",): self._records.count("lease"),
            ("silo_sessions",): self._silo.store.active_count,
            **({("silo_stored_bytes",): stored} if stored is not None else {}),
        }


def init_app(app: Flask, metrics: Metrics) -> None:
    """Count every answer; before silo, so that it is the final one that is counted."""
    app.extensions["metrics"] = metrics
    app.after_request(metrics.count_request)
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def figures() -> Response:
    """What has happened and what there is, for Prometheus.

    For callers on this machine, and for keys with the scope `admin`.
    """
    metrics = cast(Metrics, current_app.extensions["metrics"])
    if not is_from_here():
        require(metrics.keys, "admin")
    return Response(exposition(metrics.values()), content_type=MEDIA)


def is_from_here() -> bool:
    """Whether the caller is a program of this machine, and none that speaks for another."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def exposition(values: Mapping[Count, float]) -> str:
    """The text format, version 0.0.4: the values of each metric below its kind and its meaning."""
    lines = []
    for metric in METRICS:
        lines += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}"]
        names = {f"{metric.name}{part}" for part in ("", "_bucket", "_sum", "_count")}
        lines += [
            sample(metric, count, value) for count, value in values.items() if count[0] in names
        ]
    return "\n".join([*lines, ""])


def sample(metric: Metric, count: Count, value: float) -> str:
    name, *labels = count
    told = ",".join(
        f"{label}={json.dumps(each)}" for label, each in zip(metric.labels, labels, strict=False)
    )
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"
