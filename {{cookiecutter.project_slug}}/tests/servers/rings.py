"""Writes the rings that tell Swift's servers where each other is.

    python rings.py FOLDER account=6001 container=6002 object=6003

A process of its own, because Swift loads eventlet, which objects to every later fork.
"""

from __future__ import annotations

import sys
from pathlib import Path

from swift.common.ring.builder import RingBuilder  # type: ignore[import-untyped]

HOST = "127.0.0.1"


def write(folder: Path, kind: str, port: int) -> None:
    """The ring of one kind of server, of which there is one, with one device."""
    ring = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    here = {"ip": HOST, "port": port}
    there = {f"replication_{name}": value for name, value in here.items()}
    rest = {"region": 1, "zone": 1, "device": "one", "weight": 1, "meta": ""}
    ring.add_dev({**here, **there, **rest})
    ring.rebalance()
    ring.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    for given in sys.argv[2:]:
        kind, _, port = given.partition("=")
        write(Path(sys.argv[1]), kind, int(port))
