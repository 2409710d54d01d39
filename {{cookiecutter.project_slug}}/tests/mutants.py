"""Files as they come from a broken disk, a bad line or an enemy: real ones, changed by chance.

Each is processed as the app does it, in processes with a job's limits, many to a process: what one
of them kills is told, and the next process goes on with the rest.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from test_tables_formats import (
    binary_row,
    compound,
    ods,
    ods_cell,
    ods_row,
    ods_table,
    save,
    wide,
    xls_number,
    xls_stream,
    xls_text,
    xlsb,
)

LARGEST = 100_000
"""Bytes of a sample that is worth it: a small one is all structure."""
SECONDS = 120
"""For one file; the longest that any should need is a few."""

ROWS: list[list[object]] = [["Region", "Amount", "When"]]
ROWS += [[f"R{at % 5}", at * 1.5, f"2024-02-{at % 28 + 1:02}"] for at in range(60)]

Mutate = Callable[[random.Random, bytes], bytes]


def originals(folder: Path) -> list[Path]:
    """A small sound file of each format, and the small ones of `SILO_SAMPLE_INPUTS`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in ROWS)
    (folder / "a.csv").write_text(text, encoding="utf-8")
    (folder / "b.tsv").write_text("\n".join("\t".join(map(str, row)) for row in ROWS), "utf-16")
    cells = b"".join(xls_text(at, 0, f"R{at}") + xls_number(at, 1, at) for at in range(20))
    rows = [
        ods_row(ods_cell("string", f"R{at}"), ods_cell("float", str(at)), repeated=1 + at % 2)
        for at in range(20)
    ]
    records = [
        binary_row(at, (6, wide(f"R{at}")), (5, struct.pack("<d", at)), (3, b"\x07"))
        for at in range(20)
    ]
    made = [
        folder / "a.csv",
        folder / "b.tsv",
        save(folder / "c.xlsx", *ROWS),
        compound(folder / "d.xls", xls_stream([("S", 0, 0, cells)])),
        ods(folder / "e.ods", ods_table(*rows)),
        xlsb(folder / "f.xlsb", {"S": b"".join(records)}),
    ]
    samples = os.environ.get("SILO_SAMPLE_INPUTS", "")
    found = sorted(Path(samples).glob("[go]*/*")) if samples else []
    return made + [path for path in found if path.stat().st_size < LARGEST]


def mutants(folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Write so many mutants; the same for the same seed."""
    chance, files = random.Random(seed), originals(folder / "originals")
    for number in range(count):
        original = files[number % len(files)]
        data = original.read_bytes()
        fitting = BYTES + (PACKED if data[:4] == b"PK\x03\x04" else [])
        path = folder / f"{number:05}-{original.name}"
        path.write_bytes(chance.choice(fitting)(chance, data))
        yield path


# What can happen to bytes


def flip(chance: random.Random, data: bytes) -> bytes:
    """A few bits are wrong."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 40))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(chance: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: chance.randrange(1, len(data))]


def drop(chance: random.Random, data: bytes) -> bytes:
    """A piece is missing in the middle."""
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 600) :]


def repeat(chance: random.Random, data: bytes) -> bytes:
    """A piece stands there again and again."""
    at = chance.randrange(len(data))
    piece = data[at : at + chance.randrange(1, 200)]
    return data[:at] + piece * chance.choice((2, 50, 1000)) + data[at:]


def overwrite(chance: random.Random, data: bytes) -> bytes:
    """A number, or whatever stands there, is the largest or the least that it can be."""
    at, width = chance.randrange(len(data)), chance.choice((1, 2, 4, 8))
    extreme = chance.choice((b"\xff" * width, bytes(width), b"\xff" * (width - 1) + b"\x7f"))
    return data[:at] + extreme + data[at + width :]


# What can happen inside a container, whose checksums are right all the same


def inside(change: Mutate) -> Mutate:
    """Change one part of a container, and pack it again."""

    def changed(chance: random.Random, data: bytes) -> bytes:
        parts = unpacked(data)
        name = chance.choice(sorted(name for name, part in parts.items() if part))
        return packed({**parts, name: change(chance, parts[name])})

    return changed


def lose(chance: random.Random, data: bytes) -> bytes:
    """A part is missing."""
    parts = unpacked(data)
    del parts[chance.choice(sorted(parts))]
    return packed(parts)


def swap(chance: random.Random, data: bytes) -> bytes:
    """A part holds what belongs to another."""
    parts = unpacked(data)
    one, other = chance.choice(sorted(parts)), chance.choice(sorted(parts))
    return packed({**parts, one: parts[other]})


def retag(chance: random.Random, data: bytes) -> bytes:
    """A tag of the XML is missing, or stands there thrice."""
    tags = list(re.finditer(rb"<[^>]+>", data))
    if not tags:
        return flip(chance, data)
    tag = chance.choice(tags)
    times = chance.choice((0, 3))
    return data[: tag.start()] + tag[0] * times + data[tag.end() :]


def revalue(chance: random.Random, data: bytes) -> bytes:
    """A value in the XML is another."""
    values = list(re.finditer(rb'(?<==")[^"]*(?=")|(?<=>)[^<]+(?=<)', data))
    if not values:
        return overwrite(chance, data)
    value = chance.choice(values)
    return data[: value.start()] + chance.choice(VALUES) + data[value.end() :]


VALUES = [b"", b"-1", b"0", b"4294967295", b"1e999", b"NaN", b"XFD1048576", b"ZZZZ99999999"]
VALUES += [b"s", b"e", b"../../x", b"&lt;", b"&undefined;", b"x" * 40_000, b"\xed\xa0\x80"]
BYTES: list[Mutate] = [flip, cut, drop, repeat, overwrite]
PACKED: list[Mutate] = [lose, swap, *map(inside, (flip, drop, repeat, overwrite, retag, revalue))]


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return stream.getvalue()


# Processed


@dataclass(frozen=True)
class End:
    """How the processing of a file ended: `report`, `error` with its sentence, or `death`."""

    path: Path
    kind: str
    said: str = ""


def ends(paths: Sequence[Path]) -> Iterator[End]:
    """How each file ends, in order. Raises TimeoutExpired if one does not end at all."""
    left = list(paths)
    while left:
        run = subprocess.run(
            [sys.executable, "-m", "mutants", *map(str, left)],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            timeout=SECONDS * (1 + len(left) // 50),
            check=False,
        )
        said = [json.loads(line) for line in run.stdout.splitlines()]
        for path, (kind, sentence) in zip(left, said, strict=False):
            yield End(path, kind, sentence)
        left = left[len(said) :]
        if left:
            yield End(left.pop(0), "death", f"{run.returncode}: {run.stderr[-500:]!r}")


def main(paths: list[str]) -> None:
    """Process files under a job's limits, and print how each ends."""
    from {{ cookiecutter.package_name }}.pipeline import Options, process
    from {{ cookiecutter.package_name }}.silo.tasks.base import outcome_of
    from {{ cookiecutter.package_name }}.silo.tasks.child import Limits, _limit
    from {{ cookiecutter.package_name }}.step import SilentProgress
    from {{ cookiecutter.package_name }}.workbook import write_workbook

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit(Limits())
    for path in paths:
        try:
            report = process([Path(path)], Options(), SilentProgress())
            write_workbook(report, io.BytesIO())
            end = ["report", ""]
        except BaseException as error:
            outcome = outcome_of(error)
            end = ["bug" if outcome.trace else "error", outcome.trace or outcome.sentence]
        print(json.dumps(end), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
