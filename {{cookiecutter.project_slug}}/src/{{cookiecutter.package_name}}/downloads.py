"""The report, and what people take away of it: its workbook, its files, or all of that as a zip."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, request, send_file, url_for

from .edits import AWAITS
from .links import LINK_SECONDS, forbidden_link, read_link, sign_link
from .models import Wanted
from .payload import read_json
from .problems import Problem
from .shelf import file_name, json_name, workbook_name, workbook_title
from .silo import SessionExpired, TaskState
from .silo.sessions.ids import SessionKey, session_key
from .values import BYTES, XLSX, ZIP, clean_name, file_names
from .views import NAMESPACE, the_files, the_settings, the_silo

ENDPOINTS = (
    "/api/report",
    "/api/report.xlsx",
    "/api/report.zip",
    "/api/report/link",
    "/api/report/files/<int:number>",
)
WORKBOOK, ALL = "workbook", "all"
PIECE_BYTES = 2**16

blueprint = Blueprint("downloads", __name__)


class Made:
    """A finished report of some session. Raises Problem if there is none, or no longer."""

    def __init__(self, key: SessionKey, state: dict[str, Any]) -> None:
        self.key = key
        self.job = finished(state)
        self.first: str = state["files"][0]["name"]

    def open(self, name: str) -> BinaryIO:
        try:
            return the_files().open(self.key, name)
        except FileNotFoundError as error:
            raise Problem("not_ready", "The report is gone. Process the files again.") from error

    def read(self) -> dict[str, Any]:
        with self.open(json_name(self.job)) as stream:
            return dict(json.load(stream))


@blueprint.get("/api/report")
def report() -> Response:
    """The report, as the page shows it."""
    made = own()
    return sent(made, json_name(made.job), "application/json")


@blueprint.post("/api/report/link")
def link() -> tuple[dict[str, Any], int]:
    """A link for the browser's own download, which cannot send a header."""
    wanted = read_json(Wanted, "What a link is asked for is", "invalid_options", absent=b"{}").file
    made = own(the_silo().snapshot(NAMESPACE))
    find(made, wanted)
    token = sign_link(made.key, made.job, wanted)
    if wanted in (WORKBOOK, ALL):
        url = url_for("downloads.workbook" if wanted == WORKBOOK else "downloads.all", token=token)
    else:
        url = url_for("downloads.file", number=int(wanted), token=token)
    return {"url": url, "expires_in": LINK_SECONDS}, 201


@blueprint.get("/api/report.xlsx")
def workbook() -> Response:
    """The workbook, for whoever sends the session or holds a link to it."""
    made = asked_for(WORKBOOK)
    find(made, WORKBOOK)
    return handed(made, workbook_name(made.job), XLSX, workbook_title(made.first))


@blueprint.get("/api/report/files/<int:number>")
def file(number: int) -> Response:
    """An attached file, for whoever sends the session or holds a link to it."""
    made = asked_for(str(number))
    name = clean_name(find(made, str(number)))
    return handed(made, file_name(made.job, number), BYTES, name)


@blueprint.get("/api/report.zip")
def all() -> Response:  # noqa: A001 - the call's name
    """The workbook and all attached files as one archive, made while it is sent."""
    made = asked_for(ALL)
    told = made.read()
    files = [(each["name"], file_name(made.job, n)) for n, each in enumerate(told["files"])]
    if told["workbook"]:
        files.insert(0, (workbook_title(made.first), workbook_name(made.job)))
    names = file_names(name for name, _ in files)
    streams = [made.open(stored) for _, stored in files]
    answer = Response(zipped(list(zip(names, streams, strict=True))), mimetype=ZIP)
    for stream in streams:
        answer.call_on_close(stream.close)
    answer.headers.set(
        "Content-Disposition", "attachment", filename=f"{PurePath(made.first).stem} report.zip"
    )
    return answer


# Whose report, and which file of it


def own(state: dict[str, Any] | None = None) -> Made:
    """The report of the session that the client sends."""
    found = the_silo().state(NAMESPACE) if state is None else state
    finished(found)  # before the id is asked for, which would make a session
    return Made(session_key(the_silo().sid), found)


def asked_for(wanted: str) -> Made:
    """The report of a link to this very file, or of the session. A link dies with its report."""
    if "token" not in request.args:
        return own()
    key, job, named = read_link(request.args["token"])
    store = the_silo().store
    session = store.peek(key)
    if session is None:
        raise SessionExpired
    state = store.state_of(session)[NAMESPACE]
    if (state["task"].state.id, named) != (job, wanted):
        raise forbidden_link()
    return Made(key, state)


def finished(state: dict[str, Any]) -> str:
    """The id of the job whose report is ready. Raises Problem if there is none."""
    task: TaskState = state["task"].state
    if not task.complete or not task.id:
        raise Problem("not_ready", "There is no report yet.")
    if state["task"].result == AWAITS:
        raise Problem("not_ready", "There is no report yet. Review the rows first.")
    return task.id


def find(made: Made, wanted: str) -> str:
    """The name of a file of the report. Raises Problem if it has no such file."""
    told = made.read()
    if wanted == ALL or (wanted == WORKBOOK and told["workbook"]):
        return wanted
    if wanted.isdecimal() and int(wanted) < len(told["files"]):
        return str(told["files"][int(wanted)]["name"])
    raise Problem("no_such_file", "The report has no such file.")


# Sending


def handed(made: Made, name: str, media: str, download: str) -> Response:
    """A file of the report: a link to it in the bucket if that is wanted, else the file itself.

    307, as the same call is to be made there; what only asks about a file is answered here, since a
    link is for the file itself.
    """
    if the_settings().silo_files_links and request.method == "GET":
        url = the_files().link(made.key, name, LINK_SECONDS)
        if url:
            answer = Response(status=307, headers={"Location": url})
            del answer.headers["Content-Type"]
            return answer
    return sent(made, name, media, download)


def sent(made: Made, name: str, media: str, download: str | None = None) -> Response:
    """A file of the report, or the part of it that is asked for.

    A name belongs to one job, so it tags what is there for whoever comes back for the rest.
    """
    stream = made.open(name)
    try:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        answer = send_file(
            stream,
            media,
            as_attachment=bool(download),
            download_name=download,
            conditional=False,
            etag=name,
        )
        answer.content_length = size
        answer.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    except BaseException:
        stream.close()
        raise
    return answer


class Passing:
    """Takes what an archive writes, to be sent on at once; it is never all there."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def zipped(files: list[tuple[str, BinaryIO]]) -> Iterator[bytes]:
    """An archive of these files, piece by piece."""
    passing, now = Passing(), time.localtime()[:6]
    with zipfile.ZipFile(cast(BinaryIO, passing), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, stream in files:
            with archive.open(zipfile.ZipInfo(name, now), "w", force_zip64=True) as entry:
                while piece := stream.read(PIECE_BYTES):
                    entry.write(piece)
                    yield passing.taken()
    yield passing.taken()
