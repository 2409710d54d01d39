"""Requests that may safely be sent again: decorators for Flask views.

    idempotent = Idempotent()

    @app.post("/api/orders")
    @idempotent.keyed           # the client's Idempotency-Key: its first answer, again and again
    @idempotent.cache(15)       # the same request within 15 s: the same answer, if nothing changed
    @idempotent.lock(3)         # the same request at the same time: one after the other
    def order(): ...

Any of them may be left out, and none may stand in another order: a replayed answer waits for no
lock. `keyed` keeps to draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from werkzeug.datastructures import FileStorage

from .answers import Answer
from .errors import KeyInvalid, SessionBusy
from .extension import Silo
from .guests import Caching, Keyed, Turn
from .sessions.ids import SessionKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r'"((?:[!#-\[\]-~]|\\["\\]){1,255})"|([!#-+\--:<-\[\]-~]{1,255})', re.ASCII)
"""A string of RFC 8941 without spaces, or the same bare: no quote, comma, semicolon, backslash."""
UNGUESSABLE_CHARS = 16
"""The shortest key of a request without a session: its replay hands out the session it made."""

BODY_BYTES = 2**20
"""The largest body that is no form; it is held in memory. Files of a form are not."""

KeyFunc = Callable[[], str]
View = TypeVar("View", bound=Callable[..., Any])

ORDER = ("keyed", "cache", "lock")
LAYERS = "_silo_idempotent"


class Idempotent:
    """The decorators. Without a Silo or an app, the one that serves the request is meant.

    `keyfunc` tells requests apart for `cache` and `lock`: it takes nothing and returns a text.
    """

    def __init__(self, silo: Silo | Flask | None = None, keyfunc: KeyFunc | None = None) -> None:
        self._given = silo
        self._keyfunc = keyfunc or gen_keyfunc()

    def keyed(self, view: View) -> View:
        """Give a request that comes again under its `Idempotency-Key` its first answer again.

        A key belongs to its session and its endpoint. Without the header nothing changes. Errors
        are not kept, so that a retry tries. The view's own state is kept in the same step as the
        answer; what it does elsewhere may be done twice, if the process dies in between or the
        view takes longer than a lease. The body is read before the view is called.

        Raises KeyInvalid (400), InFlight (409) while the first request is at work, and KeyReused
        (422) for a key that came with another method, path, query, content type or body.
        """
        return self._keyed(view, fingerprint)

    def keyed_by(self, *headers: str) -> Callable[[View], View]:
        """The same for a view that reads its body itself: that is told by these headers instead."""
        tell = gen_keyfunc(data=False, headers=headers, session=False)
        return lambda view: self._keyed(view, tell)

    def _keyed(self, view: View, tell: KeyFunc) -> View:
        def answer(proceed: Callable[[], Any]) -> Any:
            if HEADER not in request.headers:
                return proceed()
            silo = self._silo
            key = read_key(alone=not silo.owner)
            found = silo.answers.claim(_name(silo.owner, key), tell())
            if isinstance(found, Answer):
                _hand_out(silo, found)
                return _replay(found)
            silo.attach(Keyed(silo, found, lambda owner: _name(owner, key)))
            return proceed()

        return _layer("keyed", view, answer)

    def cache(self, seconds: float, keyfunc: KeyFunc | None = None) -> Callable[[View], View]:
        """Give the same request the same answer for so many seconds.

        A cached answer dies when its session changes. That is judged by the state that came about
        with it, so a view that changes state has to do so through `silo.state`. An answer that made
        its session is not cached.
        """
        tell = keyfunc or self._keyfunc

        def answer(proceed: Callable[[], Any]) -> Any:
            silo, name = self._silo, _name(tell())
            found = silo.repeats.cached(name)
            if found:
                return _replay(found)
            g.silo_caching = Caching(silo, name, seconds)
            silo.attach(g.silo_caching)
            return proceed()

        return lambda view: _layer("cache", view, answer)

    def lock(
        self,
        seconds: float,
        blocking_timeout: float | None = None,
        keyfunc: KeyFunc | None = None,
    ) -> Callable[[View], View]:
        """Let the same request in one at a time; each holds the lock for `seconds` at most.

        Others wait for `blocking_timeout` seconds (0: not at all; None: for `seconds`, by when a
        holder that died has lost it), then raise SessionBusy (409). The lock is let go once the
        state is kept.
        """
        tell = keyfunc or self._keyfunc
        wait = seconds if blocking_timeout is None else blocking_timeout

        def answer(proceed: Callable[[], Any]) -> Any:
            silo, name = self._silo, _name(tell())
            hold = silo.repeats.hold(name, seconds, wait)
            if hold is None:
                raise SessionBusy("The same call is still at work. Try again in a moment.")
            silo.attach(Turn(silo, hold))
            # Whoever held it until now may have cached just what is asked for.
            caching: Caching | None = g.pop("silo_caching", None)
            found = caching.found() if caching else None
            return _replay(found) if found else proceed()

        return lambda view: _layer("lock", view, answer)

    @property
    def _silo(self) -> Silo:
        if isinstance(self._given, Silo):
            return self._given
        return cast(Silo, self._given.extensions["silo"]) if self._given else _serving()


def gen_keyfunc(
    path: bool = True,
    methods: bool = True,
    query_string: bool = True,
    data: bool = True,
    headers: Iterable[str] = (),
    session: bool = True,
) -> KeyFunc:
    """A keyfunc that tells requests apart by these dimensions.

    `data` is the body, or of a form its fields, file names and files; `headers` are names. Without
    `session` an answer may be given to somebody else: leave it out only where nothing in it is
    anybody's own.
    """
    names = tuple(headers)

    def tell() -> str:
        parts: list[bytes] = []
        parts += [request.path.encode()] if path else []
        parts += [request.method.encode()] if methods else []
        parts += [request.query_string] if query_string else []
        parts += [request.headers.get(name, "").encode() for name in names]
        parts += [_serving().owner.encode()] if session else []
        parts += _data() if data else []
        return _hash(*parts)

    return tell


def read_key(alone: bool) -> str:
    """The client's key, `alone` if there is no session with it. Raises KeyInvalid."""
    found = KEY.fullmatch(request.headers[HEADER].strip())
    if found is None:
        raise KeyInvalid(
            f"{HEADER} must be one text of 1 to 255 visible characters, in quotes: a UUID will do."
        )
    key: str = found[1] or found[2]
    if alone and len(key) < UNGUESSABLE_CHARS:
        raise KeyInvalid(
            f"Without a session {HEADER} needs {UNGUESSABLE_CHARS} characters or more that nobody "
            "can guess: a UUID will do."
        )
    return key


def fingerprint() -> str:
    """What a request asks for, as a hash. A form is told by its content: each retry of a browser
    sets other boundaries."""
    return _hash(
        request.method.encode(),
        request.path.encode(),
        request.query_string,
        request.mimetype.encode(),
        *_data(),
    )


def _data() -> Iterator[bytes]:
    """The body, or the content of a form, in parts. Raises RequestEntityTooLarge."""
    if request.mimetype != "multipart/form-data":
        request.max_content_length = min(request.max_content_length or BODY_BYTES, BODY_BYTES)
        yield request.get_data()
        return
    for name, text in request.form.items(multi=True):
        yield from (b"field", _bytes(name), _bytes(text))
    for name, file in request.files.items(multi=True):
        yield from (b"file", _bytes(name), _bytes(file.filename), _digest(file))


def _bytes(text: str | None) -> bytes:
    """What a form calls something, which may be nothing, or no text."""
    return (text or "").encode("utf-8", "surrogatepass")


def _digest(file: FileStorage) -> bytes:
    digest = hashlib.file_digest(file.stream, "blake2b").digest()  # type: ignore[arg-type]
    file.stream.seek(0)
    return digest


def _name(*parts: str) -> str:
    """The name under which something of this endpoint is kept."""
    return _hash((request.endpoint or "").encode(), *(part.encode() for part in parts))


def _hash(*parts: bytes) -> str:
    """One hash of several parts, of which none can pass for two."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8))
        found.update(part)
    return found.hexdigest()


def _serving() -> Silo:
    return cast(Silo, current_app.extensions["silo"])


def _hand_out(silo: Silo, answer: Answer) -> None:
    """Give a client without a session the one that it was given with the first answer.

    Only for a client that has shown a key nobody can guess, and the same payload.
    """
    session = silo.store.peek(SessionKey(answer.owner)) if answer.owner else None
    if session and not silo.owner:
        silo.adopt(session)


def _replay(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, REPLAYED: "true"})


def _layer(layer: str, view: View, answer: Callable[[Callable[[], Any]], Any]) -> View:
    """The view inside a layer. Raises TypeError if the layers do not stand in their order."""
    inner: tuple[str, ...] = getattr(view, LAYERS, ())
    if inner and ORDER.index(layer) >= ORDER.index(inner[0]):
        raise TypeError(
            f"{view.__name__}: {layer} stands above {inner[0]}. Write keyed above cache above "
            "lock, each at most once: a replayed answer must not wait for a lock."
        )

    @functools.wraps(view)
    def call(*args: Any, **kwargs: Any) -> Any:
        return answer(lambda: view(*args, **kwargs))

    setattr(call, LAYERS, (layer, *inner))
    return cast(View, call)
