"""Every error that silo raises. Each states one fact and carries the data that belongs to it."""

from __future__ import annotations

NO_SPACE = "The server's disk is full or read-only. Try again later."


class SiloError(Exception):
    """The root: `except SiloError` catches whatever silo raises on purpose."""


class SessionExpired(SiloError):
    """The session was idle for longer than its time to live; its state and files are gone."""

    def __init__(self) -> None:
        super().__init__("Your session has expired. Upload your files again to go on.")


class SessionBusy(SiloError):
    """Somebody else works on the session: a running task, or another request for too long."""

    def __init__(self, message: str = "This session is busy. Try again in a moment.") -> None:
        super().__init__(message)


class KeyInvalid(SiloError):
    """An Idempotency-Key that is none."""


class InFlight(SiloError):
    """The first request of an Idempotency-Key is still at work."""

    def __init__(self) -> None:
        super().__init__("This very call is still being worked on. Try again in a moment.")


class KeyReused(SiloError):
    """An Idempotency-Key that came before, with another request."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key belongs to another call. Send a new key with each new call."
        )


class NamespaceError(SiloError):
    """A namespace that nobody registered."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        super().__init__(f"Namespace {namespace!r} is not registered. Call register() first.")


class NotEncodable(SiloError):
    """A value in a session's state that is not JSON-like; `path` says where it stands."""

    def __init__(self, path: str, value: object) -> None:
        self.path = path
        super().__init__(
            f"{path} holds a {type(value).__name__}, and session state holds only dict (with text "
            "keys), list, str, int, finite float, bool, None and BackgroundTask."
        )


class SnapshotChanged(SiloError):
    """A safe request (GET, HEAD, OPTIONS) changed state; the change would have been lost."""

    def __init__(self) -> None:
        super().__init__(
            "A GET, HEAD or OPTIONS request changed session state. Such a request reads a snapshot "
            "and nothing is kept of it: change state in POST, PUT, PATCH or DELETE."
        )


class StoreUnavailable(SiloError):
    """The store does not answer; it may in a moment."""

    def __init__(self) -> None:
        super().__init__("The server is busy. Try again in a moment.")


class StoreFull(SiloError):
    """The store can be read but not written, most often because the disk is full."""

    def __init__(self) -> None:
        super().__init__(NO_SPACE)


class FilesUnavailable(SiloError):
    """The bucket of the files does not answer, or refuses to; it may answer in a moment."""

    def __init__(self) -> None:
        super().__init__("The file storage does not answer. Try again in a moment.")


class PartMoved(SiloError):
    """Somebody else adds to a part of a file; `size` says where it ends."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"The part ends at byte {size}, and somebody else adds to it.")


class UnreadableFile(SiloError):
    """A stored file that is damaged, or encrypted with a key that is gone."""

    def __init__(self) -> None:
        super().__init__("A stored file can no longer be read. Upload your files again.")


class TooManyStreams(SiloError):
    """A session that listens to as many streams as it may."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"You follow {limit} streams already. Close a page that you do not need.")


class StreamsFull(SiloError):
    """This process serves as many streams as it may; another, or a moment later, there is room."""

    def __init__(self) -> None:
        super().__init__("Too many people are watching right now. Try again in a moment.")


class EventRefused(SiloError):
    """An event that cannot be published."""


class StreamEnded(EventRefused):
    """An event for a stream that has ended."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        super().__init__(f"Stream {stream!r} has ended. Call forget() to use its name again.")


class TaskError(SiloError, RuntimeError):
    """A task that cannot be started: already running, or a target the runner cannot take."""


class TaskRunning(TaskError):
    """A task that was to be started or reset while it is queued or running."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Task {name!r} is already running.")


class UserError(SiloError):
    """Raised by a task to tell the person something: its text is shown as it is written."""


class Cancelled(SiloError):
    """Raised in a task at its next progress call once it was cancelled, or its process stops."""

    def __init__(self) -> None:
        super().__init__("Cancelled.")
