"""URLs as they may be shown: without what lets somebody in."""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(?<=//)[^/\s]\S*@")
"""Whatever signs a password is made of; a path may have an @ in it."""
SECRETS = re.compile(r"([?&][^=&#\s]*(?:pass|secret|token|key|user)[^=&#\s]*=)[^&#\s]*", re.I)
HIDDEN = "***"


def masked(text: str) -> str:
    """A text with the credentials of every URL in it hidden."""
    return SECRETS.sub(rf"\1{HIDDEN}", CREDENTIALS.sub(f"{HIDDEN}@", text))
