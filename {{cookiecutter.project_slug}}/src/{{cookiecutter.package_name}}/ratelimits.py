"""How often one client may do what costs something: begin sessions, upload, process, download.

Counted is in the app's own store, so all workers count together. Calls that bring or fetch
something are counted before their body is read, sessions and jobs where they begin. A call that is
refused does nothing else, and keeps no session alive. How often is in the settings.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial, wraps
from typing import Any, cast

from flask import Flask, current_app, g, has_request_context, request
from flask.typing import ResponseReturnValue

from .config import LIMIT, Settings
from .links import read_link
from .problems import Problem
from .silo import Silo
from .silo.counters import Counters

View = Callable[..., ResponseReturnValue]

IPV6_NETWORK_BITS = 64
"""What one subscriber is given at the least, so what counts as one client."""
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


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


def init_app(app: Flask, silo: Silo) -> None:
    """Limit the app's calls, after its views, and whatever begins a session."""
    app.extensions["ratelimits"] = Counters(silo.store.records, silo.store.clock)
    for limited in reversed(CALLS):  # the last to be put around a view is the first to count
        for endpoint in limited.endpoints:
            view = cast(View, app.view_functions[endpoint])
            app.view_functions[endpoint] = counted(limited, view)
    silo.store.before_create(partial(count, SESSIONS))


def counted(limited: Limited, view: View) -> View:
    """The view, counted before it is called."""

    @wraps(view)
    def call(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if not takes_uploads():
            count(limited)
        return view(*args, **kwargs)

    return call


def takes_uploads() -> bool:
    """Whether the call only takes uploads, which were counted when they began."""
    return request.endpoint == "arrival.upload" and request.is_json


def count(limited: Limited) -> None:
    """Count what this request is about to do, unless it is nobody's.

    Raises Problem if that is too often.
    """
    whose = limited.whose() if has_request_context() else ""
    if not whose:
        return
    settings: Settings = current_app.config["SETTINGS"]
    counters: Counters = current_app.extensions["ratelimits"]
    for seconds, allowed in windows(settings.limit(limited.name)):
        key = f"{limited.name} {allowed}/{seconds} {whose}"
        times, ends = counters.hit(key, seconds)
        if times > allowed:
            left = math.ceil(ends - current_app.extensions["silo"].store.clock())
            raise too_often(limited, min(max(left, 1), seconds))


@cache
def windows(limit: str) -> list[tuple[int, int]]:
    """Seconds, and how often within them, for each part of a setting; `off` has none.

    The shortest comes first: what it refuses is not counted in the longer ones.
    """
    parts = LIMIT.findall(limit)
    return sorted((int(many or 1) * SECONDS[unit], int(often)) for often, many, unit in parts)


def too_often(limited: Limited, seconds: int) -> Problem:
    """It says when the next call may come."""
    detail = f"{limited.said} Try again in {in_words(seconds)}."
    return Problem("too_often", detail, {"Retry-After": str(seconds)})


def in_words(seconds: int) -> str:
    """How a person would say it, and rather too long than too short."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds > size:
            return f"{math.ceil(seconds / size)} {unit}"
    return "a second" if seconds == 1 else f"{seconds} seconds"
