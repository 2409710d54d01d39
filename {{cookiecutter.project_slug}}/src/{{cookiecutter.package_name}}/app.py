"""The factory: the app as its settings want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from . import (
    arrival,
    choices,
    contract,
    development,
    downloads,
    edits,
    headings,
    keys,
    logs,
    metrics,
    patience,
    pending,
    pipeline,
    problems,
    ratelimits,
    resumable,
    reviewing,
    secretmark,
    security,
    views,
)
from .cache import ResultCache
from .calls import SCOPE_OF
from .config import Settings, load_settings
from .jobs import ENCRYPTION_KEY, FILES
from .opening import files_of, records_of
from .silo import Silo
from .silo.clock import steady_clock
from .silo.records import Records
from .silo.tasks.base import Runner
from .silo.tasks.child import Limits
from .silo.tasks.crew import Crew
from .silo.tasks.jobs import Jobs
from .silo.tasks.process import ProcessRunner
from .silo.tasks.scratch import sweep
from .silo.tasks.slots import Slots
from .silo.tasks.thread import ThreadRunner


def create_app(
    given: Mapping[str, Any] | None = None, *, clock: Callable[[], float] | None = None
) -> Flask:
    """The app with its settings from the environment, overruled by `given` (`{"SILO_TTL": 60}`).

    `clock` gives unix seconds; tests pass one of their own. Raises ConfigError, and StepError for a
    `pipeline.py` that the app cannot be made of.
    """
    contract.demand(pipeline)
    settings = load_settings(given).settled()
    app = Flask(__name__)
    # An address with two slashes is none. Flask would send whoever asks for it to the right one, at
    # whatever host the request's head names.
    app.url_map.merge_slashes = False
    app.config.from_mapping(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.silo_max_upload_mb * 2**20,
        SETTINGS=settings,
    )
    if hops := settings.silo_trusted_proxies:
        # Flask's own documentation wraps an app like this, whatever its types say.
        app.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops, hops)  # type: ignore[method-assign]
    silo = make_silo(settings, clock)
    secretmark.keep(silo.store.records, settings.secret_key)
    stored_keys = keys.Keys(silo.store.records, silo.store.clock)
    patience.init_app(app, settings.silo_upload_idle)
    logs.init_app(app)
    metrics.init_app(app, metrics.Metrics(silo, stored_keys))
    security.init_app(app)
    allow_origins(app, settings)
    problems.init_app(app)
    if settings.silo_require_key:
        keys.init_app(app, stored_keys, SCOPE_OF)
    silo.init_app(app)
    if settings.silo_development:
        development.init_silo(silo)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(arrival.blueprint)
    app.register_blueprint(resumable.blueprint)
    app.register_blueprint(headings.blueprint)
    app.register_blueprint(reviewing.blueprint)
    app.register_blueprint(downloads.blueprint)
    ratelimits.init_app(app, silo)
    return app


def allow_origins(app: Flask, settings: Settings) -> None:
    """Let pages of the configured origins, and no others, call the API and see session ids."""
    if settings.silo_cors_origins:
        CORS(
            app,
            resources=r"/api/*",
            origins=list(settings.silo_cors_origins),
            methods=["DELETE", "GET", "HEAD", "PATCH", "POST"],
            allow_headers=[
                *(["Authorization"] if settings.silo_require_key else []),
                "Content-Disposition",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
                "Upload-Complete",
                "Upload-Length",
                "Upload-Offset",
                "X-Requested-With",
                "X-Session-ID",
            ],
            expose_headers=[
                "Idempotency-Replayed",
                "Location",
                "Retry-After",
                "Upload-Complete",
                "Upload-Length",
                "Upload-Limit",
                "Upload-Offset",
                "X-Session-ID",
            ],
            max_age=600,
        )


def make_silo(settings: Settings, clock: Callable[[], float] | None = None) -> Silo:
    """Silo as the settings want it, with the namespaces, files and data endpoints of this app.

    The time is that of `clock`, else of the store if it has one, else of this machine. Nothing runs
    yet. Raises ConfigError if the store or the files cannot be opened.
    """
    records = records_of(settings)
    clock = clock or records.clock or steady_clock(settings.silo_data_dir)
    silo = Silo(
        ttl=settings.silo_ttl,
        cleanup_interval=settings.silo_cleanup_interval,
        expired_retain=settings.silo_expired_retain,
        lease=settings.silo_lease,
        query_param="",
        records=records,
        runner=make_runner(settings, records, clock),
        clock=clock,
    )
    silo.register(views.NAMESPACE, views.first_state)
    silo.register(pending.NAMESPACE, dict)
    silo.register(headings.NAMESPACE, headings.first_state)
    silo.register(edits.NAMESPACE, edits.first_state)
    place = files_of(settings)
    silo.add_file_store(views.FILES, place, settings.min_free)
    silo.store.on_cleanup(ResultCache(place, **settings.cache, clock=clock).sweep)
    silo.store.on_cleanup(lambda: sweep(settings.scratch))
    silo.add_data_endpoints(
        *views.DATA_ENDPOINTS,
        *downloads.ENDPOINTS,
        *headings.ENDPOINTS,
        *reviewing.ENDPOINTS,
        *resumable.DATA_ENDPOINTS,
    )
    return silo


def make_runner(settings: Settings, records: Records, clock: Callable[[], float]) -> Runner:
    """Who runs the jobs. Raises ConfigError if that needs a broker and none is named."""
    jobs = Jobs(records, clock, settings.silo_lease)
    secrets = {FILES: settings.files_url, ENCRYPTION_KEY: settings.encryption_key}
    limits = Limits(settings.silo_task_memory_mb, settings.silo_task_timeout)
    if settings.silo_runner == "thread":
        return ThreadRunner(jobs, secrets, limits, settings.scratch)
    preload = [f"{__package__}.jobs", f"{__package__}.workbook"]
    if settings.encryption_key:
        preload.append(f"{__package__}.silo.files.encrypted")
    if choices.in_a_bucket(settings):
        preload.append(f"{__package__}.silo.files.objects")
    crew = Crew(limits, preload, secrets, settings.scratch)
    if settings.silo_runner == "celery":
        from .silo.tasks.celery import CeleryRunner  # here, since it needs an extra

        return CeleryRunner(jobs, settings.broker_url, __package__, crew)
    slots = Slots(settings.silo_workers, settings.silo_data_dir / "slots")
    return ProcessRunner(jobs, slots, crew)
