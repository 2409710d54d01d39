"""How the cost of one unit changes with how many there are: it must not rise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from goals import Results, Rows, times


@dataclass(frozen=True)
class Unit:
    """One of something: in which row it is measured, how its lines end that begin with a number,
    and under which head."""

    title: str
    row: str
    ending: str
    head: str


UNITS = (
    Unit("a row of xlsx, all work on it (µs)", "growth", " rows, xlsx", "µs a row"),
    Unit("a row of csv, all work on it (µs)", "growth", " rows, csv", "µs a row"),
    Unit("a row of xlsx, memory (bytes)", "growth", " rows, xlsx", "bytes a row"),
    Unit("a row of csv, memory (bytes)", "growth", " rows, csv", "bytes a row"),
    Unit("a session read (µs)", "sessions", " (µs)", "get"),
    Unit("a session changed (µs)", "sessions", " (µs)", "change"),
    Unit("a cleanup with nothing to do (µs)", "sessions", " (µs)", "idle cleanup"),
    Unit("a session on the disk (bytes)", "sessions", " (µs)", "bytes a session"),
    Unit("a job put into the queue (µs)", "queue", " (µs)", "put in"),
    Unit("a job taken from it (µs)", "queue", " (µs)", "taken"),
)


def growth(results: Results) -> list[str]:
    """A table with a column for each number of units; empty before it is measured."""
    costs = [(unit.title, cost_of(unit, results.get(unit.row, {}))) for unit in UNITS]
    costs = [(title, found) for title, found in costs if found]
    if not costs:
        return []
    numbers = sorted({number for _, found in costs for number in found})
    table = [
        f"| of so many | {' | '.join(f'{number:,}' for number in numbers)} | last / first |",
        "|---" * (len(numbers) + 2) + "|",
    ]
    for title, found in costs:
        cells = [f"{found[number]:,}" if number in found else "" for number in numbers]
        rises = times(found[max(found)] / found[min(found)]) if found[min(found)] else ""
        table.append(f"| {title} | {' | '.join(cells)} | {rises} |")
    return table


def cost_of(unit: Unit, rows: Rows) -> dict[int, float]:
    """What one costs, of so many; at p50 where there are several percentiles."""
    found = {}
    for line, figures in rows.items():
        if line.endswith(unit.ending) and unit.head in figures:
            number = int(line.removesuffix(unit.ending).replace(",", ""))
            cost: Any = figures[unit.head]
            found[number] = cost["p50"] if isinstance(cost, dict) else cost
    return found
