"""A text that all processes share: whoever asks first makes it, and everybody reads the same."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], str]) -> str:
    """What the file `path` holds, made if it is not there, readable for this user alone.

    The file appears whole: it is written beside and linked into place. Raises OSError.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            draft.touch(mode=0o600)
            draft.write_text(make())
            os.link(draft, path)
        except FileExistsError:
            pass  # somebody else was first
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text()
