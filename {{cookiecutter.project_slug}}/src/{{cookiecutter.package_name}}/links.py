"""Download links: signed for one file of one session's report, and good for a minute."""

from __future__ import annotations

from flask import current_app
from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

from .problems import Problem
from .silo.sessions.ids import SessionKey

LINK_SECONDS = 60


class _Clock(TimestampSigner):
    """Takes the time from the app's own clock."""

    def get_timestamp(self) -> int:
        return int(current_app.extensions["silo"].store.clock())


def sign_link(key: SessionKey, job: str, file: str) -> str:
    """A token for a file of a job's report. It holds the session's key, which is no id."""
    return str(_serializer().dumps([key, job, file]))


def read_link(token: str) -> tuple[SessionKey, str, str]:
    """The session's key, the job and the file that a token is for. Raises Problem."""
    try:
        # Ages are whole seconds, rounded up or down: one less, for a link never to live longer.
        key, job, file = _serializer().loads(token, max_age=LINK_SECONDS - 1)
    except BadSignature as error:
        raise forbidden_link() from error
    return SessionKey(key), job, file


def forbidden_link() -> Problem:
    return Problem(
        "forbidden_link",
        "This link is no longer good. Go back to the page and download again.",
    )


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        current_app.config["SECRET_KEY"], salt="report-link", signer=_Clock
    )
