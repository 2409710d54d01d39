"""Silo, the Flask extension: sessions in a header, state that is kept with the response, and 410.

This module, `refusals` and `idempotency` are the only ones of silo that know Flask.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from flask import Flask, Request, Response, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from .answers import Answers
from .cleanup import CleanupDaemon
from .errors import SessionExpired, SiloError
from .events import KEEP_ALIVE_SECONDS, Events
from .files.base import FileStore
from .files.place import Place
from .records import Records, Step
from .refusals import problem_of
from .repeats import Repeats
from .sessions.base import SessionStore
from .sessions.ids import SessionIds, SessionKey, session_key
from .sessions.session import Factory, Session
from .streams import Stream
from .tasks.base import Runner
from .tasks.news import JobNews
from .tasks.task import BackgroundTask
from .visit import Visit

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Neither a cache nor a proxy may hold a stream back."""

Status = Literal["none", "live", "expired"]


class Guest(Protocol):
    """What a request has under way besides its state, and must settle with its response."""

    def steps(self, response: Response) -> list[Step]:
        """Steps to be taken together with those that keep the state."""

    def settle(self, response: Response | None) -> None:
        """The response is decided, and the state kept if there is any. None: none came about."""


class Silo:
    """Gives each client of a Flask app its own state and files.

    The client sends its session id in `header` and finds it there in every answer; `query_param` is
    a second place to look, for links (empty: none). Paths under `api_prefix` have sessions; those
    named by `add_data_endpoints` answer 410 Gone once the session has expired. Times are in
    seconds.

    A session is made when a view first asks for `sid`, or for `state` in a request that may change
    it. Such a request (POST, PUT, PATCH, DELETE) holds the session's lock from then until its
    response, with which the state is kept; if that is an error (400 or above), nothing is kept.
    Other requests see a snapshot.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        ttl: float = 3600,
        cleanup_interval: float = 60,
        expired_retain: float = 7200,
        header: str = "X-Session-ID",
        query_param: str = "_sid",
        min_sid_length: int = 16,
        data_endpoints: Iterable[str] = (),
        auto_cleanup: bool = True,
        api_prefix: str = "/api/",
        sid_generator: Callable[[], str] | None = None,
        records: Records | None = None,
        runner: Runner | None = None,
        clock: Callable[[], float] | None = None,
        lease: float = 15,
    ) -> None:
        self.store = SessionStore(
            ttl=ttl,
            cleanup_interval=cleanup_interval,
            expired_retain=expired_retain,
            sid_generator=sid_generator,
            records=records,
            runner=runner,
            clock=clock,
            lease=lease,
        )
        self.store.on_remove(self._remove_files)
        self.answers = Answers(self.store)
        self.repeats = Repeats(self.store)
        self.events = Events(self.store.records, self.store.clock)
        self._header = header
        self._query_param = query_param
        self._min_sid_length = min_sid_length
        self.data_endpoints = set(data_endpoints)
        self._auto_cleanup = auto_cleanup
        self._api_prefix = api_prefix
        self._files: dict[str, FileStore] = {}
        self._daemon = CleanupDaemon(self.store, cleanup_interval, first=self.sweep)
        if app is not None:
            self.init_app(app)

    # Setting up

    def init_app(self, app: Flask) -> None:
        """Serve an app. Its SECRET_KEY signs the ids; without one, they end with this process."""
        secret = app.config["SECRET_KEY"]
        if not secret:
            log.warning("no SECRET_KEY is set: sessions will not outlive this process")
        self.store.ids = SessionIds(secret or secrets.token_bytes(32), self.store.generate_sid)
        if type(app.session_interface) is SecureCookieSessionInterface:
            app.session_interface = CookieSessions()
        app.extensions["silo"] = self
        app.before_request(self._before_request)
        app.after_request(self._after_request)
        app.teardown_request(self._teardown_request)
        app.register_error_handler(SiloError, problem_of)
        if self._auto_cleanup:
            self._daemon.start()

    def register(self, name: str, factory: Factory) -> None:
        """Give every session a namespace; `factory` makes its first state, a JSON-like dict."""
        self.store.register_namespace(name, factory)

    def add_file_store(
        self, name: str, location: str | Path | Place, min_free: int = 0
    ) -> FileStore:
        """Give every session files; they go when it expires or is reset."""
        self._files[name] = FileStore(location, min_free)
        return self._files[name]

    def file_store(self, name: str) -> FileStore:
        """The file store of that name. Raises KeyError."""
        return self._files[name]

    def add_data_endpoints(self, *paths: str) -> None:
        """Have these paths (as requested, or as routes are written) answer 410 after expiry."""
        self.data_endpoints.update(paths)

    def stop(self) -> None:
        """Stop the cleanup daemon, the streams and the tasks of this process."""
        self.events.stop()
        self._daemon.stop()
        self.store.runner.stop()

    # In a request

    @property
    def sid(self) -> str:
        """The session's id; a session is made if there is none.

        Raises SessionExpired if the session was live in this request and is no more.
        """
        return self._visit.open()

    def state(self, namespace: str | None = None) -> Any:
        """A namespace's state, or all of them by name.

        Raises NamespaceError if nobody registered it, SessionBusy if the session's lock cannot be
        had, and SessionExpired if the session was live in this request and is no more. In a safe
        request without a session, what a new session would begin with.
        """
        if namespace is not None:
            self.store.check_namespace(namespace)
        safe = request.method in SAFE_METHODS
        visit = self._visit
        state = visit.snapshot() if safe else visit.begin().state
        return state if namespace is None else state[namespace]

    def snapshot(self, namespace: str) -> dict[str, Any]:
        """A namespace's state, only to be read, in any request.

        Takes no lock, makes no session and keeps none alive; without one, what a session begins
        with. Raises NamespaceError if nobody registered it, and SessionExpired as `state` does.
        """
        self.store.check_namespace(namespace)
        session = self._visit.same(self.session) or Session("", 0.0)
        state: dict[str, Any] = self.store.state_of(session)[namespace]
        return state

    @property
    def status(self) -> Status:
        """How the client's session stands; asking changes nothing."""
        visit = self._visit
        if visit.sid is None:
            return "none"
        return "live" if visit.live else "expired"

    @property
    def session(self) -> Session | None:
        """The client's session if it is live; asking changes nothing."""
        sid = self._visit.sid
        return self.store.peek(sid) if sid else None

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something done once this request's state is kept."""
        self._visit.begin().after_commit(action)

    @property
    def owner(self) -> str:
        """The key of the session that the client sent, live or not, or was given since; or empty.

        It is for what is stored: an id must not be found there. Asking changes nothing.
        """
        sid = self._visit.sid
        return session_key(sid) if sid else ""

    def adopt(self, session: Session) -> None:
        """Give a client that sent no session this one."""
        self._visit.sid = self.store.sid_of(session)

    def attach(self, guest: Guest) -> None:
        """Have something settled with this request's response."""
        g.setdefault("silo_guests", []).append(guest)

    def answered_by(self, response: Response) -> Callable[[], list[Step]]:
        """For `store.transaction(sid, ...)` in a view whose effect it is: keep both as one.

        The response must be the view's last word, unless the transaction fails.
        """
        guests: list[Guest] = g.get("silo_guests", [])
        return lambda: [step for guest in guests for step in guest.steps(response)]

    def reset_current(self) -> None:
        """Begin the session anew: tasks cancelled, files gone, state as the factories make it.

        Files go when the request has succeeded, those that it saved itself among them. Raises
        SessionBusy if the application's busy check says so.
        """
        self._visit.begin().reset(self.sid)

    def stream(
        self,
        name: str,
        headers: Mapping[str, str] | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> Response:
        """An answer that goes on: the events of a named stream, after the client's Last-Event-ID.

        `events.publish` tells it something, from any process. After `keep_alive` seconds of silence
        a comment is sent. Raises StreamsFull, and TooManyStreams if the session has too many.
        """
        text = self.events.stream(name, *self._listener(), keep_alive)
        return streamed(text, headers or {})

    def follow(
        self,
        task: BackgroundTask,
        headers: Mapping[str, str] | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> Response:
        """The same for a task: its log lines, how far it is, and one end. See `JobNews`."""
        source = JobNews(task.state.id or "")
        text = self.events.listen(source, *self._listener(), keep_alive)
        return streamed(text, headers or {})

    def sweep(self) -> None:
        """Remove files of no session, which a crash or a store in memory left behind."""
        records = self.store.records
        for files in self._files.values():
            files.sweep(lambda key: records.read("session", key) is not None)

    # Around a request

    def _before_request(self) -> None:
        path = request.path
        g.silo = visit = Visit(self.store, self._presented(path))
        if visit.sid is None:
            return
        rule = request.url_rule
        is_data = path in self.data_endpoints or (rule and rule.rule in self.data_endpoints)
        if is_data and not visit.live:
            raise SessionExpired

    def _after_request(self, response: Response) -> Response:
        visit: Visit | None = g.get("silo")
        if visit is None:  # refused before it came to us
            return response
        try:
            if response.status_code < 400:
                visit.keep(self.answered_by(response))
            else:
                visit.drop()
        except SiloError as error:
            response = problem_of(error)
        self._settle(response)
        with contextlib.suppress(SiloError):  # then the client goes on with the id that it has
            if visit.sid and visit.live:
                response.headers[self._header] = visit.sid
        return response

    def _teardown_request(self, error: BaseException | None) -> None:
        """Let go of the lock if no response came about."""
        visit: Visit | None = g.get("silo")
        if visit:
            visit.drop()
        self._settle(None)

    def _settle(self, response: Response | None) -> None:
        """What cannot be settled now, because the store is away, its lease will heal."""
        for guest in g.pop("silo_guests", []):
            try:
                guest.settle(response)
            except SiloError:
                log.exception("a request could not be settled")

    def _listener(self) -> tuple[str, str | None]:
        """What the client heard last, and whose stream it will be."""
        return request.headers.get("Last-Event-ID", ""), self.owner or None

    def _presented(self, path: str) -> str | None:
        """The id that the client sent, if this server has signed it."""
        if not path.startswith(self._api_prefix):
            return None
        sid = self._recognised(request.headers.get(self._header, ""))
        if sid is None and self._query_param:
            sid = self._recognised(request.args.get(self._query_param, ""))
        return sid

    def _recognised(self, text: str) -> str | None:
        sid = text.strip()
        return sid if len(sid) >= self._min_sid_length and self._ids.bare(sid) else None

    @property
    def _ids(self) -> SessionIds:
        if self.store.ids is None:
            raise RuntimeError("Silo has no app yet. Call init_app() first.")
        return self.store.ids

    @property
    def _visit(self) -> Visit:
        visit: Visit = g.silo
        return visit

    def _remove_files(self, key: SessionKey) -> None:
        for files in self._files.values():
            files.cleanup(key)


class CookieSessions(SecureCookieSessionInterface):
    """Flask's own sessions, for an app that has a use for them, too.

    Flask makes what verifies a cookie at every call, which takes as long as Silo needs to load a
    session. Here who sends no cookie has none verified.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if app.secret_key and "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)


def streamed(text: Stream, headers: Mapping[str, str]) -> Response:
    """A stream as an answer; 204 if the client has heard its end, so that it stays away."""
    if text.is_over:
        return Response(status=204)
    answer = Response(text, mimetype="text/event-stream", headers=STREAM_HEADERS)
    answer.headers.update(headers)
    return answer
