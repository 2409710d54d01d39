"""How often one client may do what costs something: begin sessions, upload, process, download.

Flask-Limiter counts, in the app's own store, so all workers count together. Calls that bring or
fetch something are counted before their body is read, sessions and jobs where they begin. A call
that is refused does nothing else, and keeps no session alive. How often is in the settings.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, cast

from flask import Flask, current_app, g, has_request_context, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter, RequestLimit
from limits import parse_many

from .config import OFF, Settings
from .links import read_link
from .problems import Problem
from .silo import Silo
from .silo.counters import RecordsStorage

View = Callable[..., ResponseReturnValue]

IPV6_NETWORK_BITS = 64
"""What one subscriber is given at the least, so what counts as one client."""


def storage_of(silo: Silo) -> tuple[str, dict[str, Any]]:
    """Where counts are kept: the URL of a storage of `limits`, and what it is made with."""
    scheme = RecordsStorage.STORAGE_SCHEME[0]
    return f"{scheme}://", {"records": silo.store.records, "clock": silo.store.clock}


# Whom a count belongs to


def client() -> str:
    """The key that the client has shown, or else its address."""
    key = g.get("key")
    return f"key:{key.id}" if key else f"address:{network(request.remote_addr or '')}"


def session() -> str:
    """The key of the session that the client sends; empty without one."""
    silo: Silo = current_app.extensions["silo"]
    return silo.owner


def reader() -> str:
    """The same, or the key of the session that the client's link is for."""
    try:
        return session() or read_link(request.args.get("token", ""))[0]
    except Problem:
        return ""


def network(address: str) -> str:
    """The address, or of IPv6 the network: a client has as many addresses there as it likes."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found.packed, IPV6_NETWORK_BITS), strict=False))


# What is counted


@dataclass(frozen=True)
class Limited:
    """What is counted together, for whom `whose` tells, if anybody.

    `name` is the setting's and the count's; `endpoints` are the calls, if it is calls.
    """

    name: str
    whose: Callable[[], str]
    said: str
    endpoints: tuple[str, ...] = ()

    def exempt(self) -> bool:
        """Whether this very call is not counted: it is nobody's, or brings nothing new.

        To take uploads brings none; they were counted when they began.
        """
        takes = request.endpoint == "arrival.upload" and request.is_json
        return takes or not self.whose()


UPLOADS = ("arrival.upload", "resumable.create")
DOWNLOADS = (
    "downloads.report",
    "downloads.link",
    "downloads.workbook",
    "downloads.file",
    "downloads.all",
)
CALLS = (
    Limited("uploads", session, "You upload too often.", UPLOADS),
    Limited("address_uploads", client, "Too many uploads come from where you are.", UPLOADS),
    Limited("downloads", reader, "You download too often.", DOWNLOADS),
)
SESSIONS = Limited("sessions", client, "Too many people begin where you are.")
JOBS = Limited("jobs", session, "You start jobs too often.")


def init_app(app: Flask, silo: Silo, settings: Settings) -> None:
    """Limit the app's calls, after its views, and whatever begins a session."""
    app.extensions["ratelimits"] = limiter = make_limiter(app, silo)
    for limited in CALLS:
        allowed = settings.limit(limited.name)
        if allowed == OFF:
            continue
        limit = limiter.shared_limit(
            allowed,
            limited.name,
            key_func=limited.whose,
            exempt_when=limited.exempt,
            on_breach=partial(refuse, limited),
        )
        for endpoint in limited.endpoints:
            view = cast(View, app.view_functions[endpoint])
            app.view_functions[endpoint] = limit(view)
    silo.store.before_create(partial(count, SESSIONS))


def make_limiter(app: Flask, silo: Silo) -> Limiter:
    """A limiter that looks at the calls which have a limit, and at no other.

    It would ask itself at every call whether that has one, which takes a third as long as a short
    call does, unless it finds itself at work in the app already.
    """
    uri, options = storage_of(silo)
    limiter = Limiter(client, storage_uri=uri, storage_options=options)
    app.extensions["limiter"] = {limiter}
    limiter.init_app(app)
    return limiter


def count(limited: Limited) -> None:
    """Count what this request is about to do. Raises Problem if that is too often."""
    if not has_request_context():
        return
    limiter: Limiter = current_app.extensions["ratelimits"]
    settings: Settings = current_app.config["SETTINGS"]
    allowed = settings.limit(limited.name)
    for limit in parse_many(allowed) if allowed != OFF else ():
        whose = [limited.whose(), limited.name]
        if not limiter.limiter.hit(limit, *whose):
            refuse(limited, RequestLimit(limiter, limit, whose, True, True))


def refuse(limited: Limited, breached: RequestLimit) -> NoReturn:
    """Raises Problem that says when the next call may come."""
    now = current_app.extensions["silo"].store.clock()
    left = math.ceil(breached.window.reset_time - now)
    seconds = min(max(left, 1), breached.limit.get_expiry())
    detail = f"{limited.said} Try again in {in_words(seconds)}."
    raise Problem("too_often", detail, {"Retry-After": str(seconds)})


def in_words(seconds: int) -> str:
    """How a person would say it, and rather too long than too short."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds > size:
            return f"{math.ceil(seconds / size)} {unit}"
    return "a second" if seconds == 1 else f"{seconds} seconds"
