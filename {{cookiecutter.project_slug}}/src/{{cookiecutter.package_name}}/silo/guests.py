"""What a request that may come again has under way, to be settled with its response.

Each is a `Guest` of the request: see `Silo.attach`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .answers import Answer, Claim, releasing
from .records import Step
from .sessions.locks import Hold

if TYPE_CHECKING:
    from flask import Response

    from .extension import Silo

ANSWER_BYTES = 2**18
"""The largest answer that is kept. A larger one is given once, and a retry is a new request."""
KEPT_HEADERS = ("Content-Type", "Location")


class Keyed:
    """A claim that waits for its answer.

    The answer is kept under the name that the key has in the session, too: a client that had none
    may have learnt it from the answer's head, before it lost the rest. `name_in` gives that name.
    """

    def __init__(self, silo: Silo, claim: Claim, name_in: Callable[[str], str]) -> None:
        self._silo = silo
        self._claim = claim
        self._name_in = name_in
        self._taken = False

    def steps(self, response: Response) -> list[Step]:
        self._taken = True
        answer = answer_of(self._silo, response)
        if answer is None:
            return [releasing(self._claim)]
        return self._silo.answers.keeping(self._claim, answer, self._name_in(answer.owner))

    def settle(self, response: Response | None) -> None:
        if response is not None and self._taken and response.status_code < 400:
            return
        answer = answer_of(self._silo, response) if response is not None else None
        if answer is None:
            self._silo.answers.release(self._claim)
        else:
            self._silo.answers.keep(self._claim, answer, self._name_in(answer.owner))


class Caching:
    """An answer that is to be cached when it comes."""

    def __init__(self, silo: Silo, name: str, seconds: float) -> None:
        self._silo = silo
        self._name = name
        self._seconds = seconds
        self._owner = silo.owner
        session = silo.session
        self._seen = session.version if session else None
        self._over = False

    def found(self) -> Answer | None:
        """The answer that somebody else has cached meanwhile, if any."""
        answer = self._silo.repeats.cached(self._name)
        self._over = answer is not None
        return answer

    def steps(self, response: Response) -> list[Step]:
        return self._put(response, None)

    def settle(self, response: Response | None) -> None:
        if response is not None:
            self._silo.store.records.apply(*self._put(response, self._seen))

    def _put(self, response: Response, seen: int | None) -> list[Step]:
        answer = None if self._over else answer_of(self._silo, response)
        self._over = True
        if answer is None or answer.owner != self._owner:
            return []
        return [self._silo.repeats.caching(self._name, answer, self._seconds, seen)]


class Turn:
    """A lock to be let go."""

    def __init__(self, silo: Silo, hold: Hold) -> None:
        self._records = silo.store.records
        self._hold = hold

    def steps(self, response: Response) -> list[Step]:
        return []

    def settle(self, response: Response | None) -> None:
        self._records.apply(*self._hold.unlock)


def answer_of(silo: Silo, response: Response) -> Answer | None:
    """What to keep of a response; None if it is an error, too large, or a stream."""
    if response.status_code >= 400 or response.is_streamed:
        return None
    body = response.get_data()
    if len(body) > ANSWER_BYTES:
        return None
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, body, silo.owner)
