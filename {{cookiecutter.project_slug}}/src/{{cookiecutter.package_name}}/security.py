"""What every answer carries and every call must fulfil, whoever it is from."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, abort, current_app, g, request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
GUARDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer, even of those that gunicorn gives."""

REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


def init_app(app: Flask) -> None:
    """Register the checks; before any other extension, so that their answers pass here too."""
    app.before_request(name_request)
    app.before_request(refuse_forged)
    app.after_request(secure)


def name_request() -> None:
    """Give the request an id, its proxy's if that is a sane one, for errors and the log."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def refuse_forged() -> None:
    """Refuse what another site's form or link could make a browser send.

    A form cannot set headers, so a call that changes something carries the session or a header of
    its own. Browsers that say where a call comes from are believed.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    own_header = "X-Session-ID" in request.headers or "X-Requested-With" in request.headers
    if not own_header:
        abort(403, "Send the X-Session-ID header, or X-Requested-With if you have no session yet.")
    cross = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if cross and not _is_allowed(request.headers.get("Origin", "")):
        abort(403, "This call came from a page of another site.")


def _is_allowed(origin: str) -> bool:
    return origin in current_app.config["SETTINGS"].silo_cors_origins


def secure(response: Response) -> Response:
    """Allow this page's own scripts and styles and nothing else, and keep data out of caches."""
    response.headers.update(GUARDS)
    response.headers["X-Request-ID"] = g.get("request_id", "")
    if request.endpoint != "static" or response.status_code >= 400:
        response.headers["Cache-Control"] = "no-store"
    return response
