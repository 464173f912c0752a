"""The rows of all fault runs as a Markdown table: ``python -m tests.faults.table``.

With ``--write`` it goes where it stands in docs/guarantees.md.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.faults.harness import ROWS_PATH, Row, read_rows
from tests.services import ROOT

DOCUMENT: Final = ROOT / "docs" / "guarantees.md"
BEGIN: Final = "<!-- fault table: begin (python -m tests.faults.table) -->"
END: Final = "<!-- fault table: end -->"
HEAD: Final = (
    "| fault | runs | fans | acknowledged answers | lost | doubled | overtaken | recovery p50 | recovery max | note |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
)


def table(path: Path = ROWS_PATH) -> str:
    """A line for each fault, by its name; recovery in seconds."""
    by_fault: defaultdict[str, list[Row]] = defaultdict(list)
    for row in read_rows(path):
        by_fault[row.fault].append(row)
    return "\n".join([HEAD, *(_line(fault, by_fault[fault]) for fault in sorted(by_fault, key=str.casefold))])


def _line(fault: str, rows: list[Row]) -> str:
    times = [seconds for row in rows for seconds in row.recovery_seconds]
    names = ("fans", "acknowledged", "lost", "doubled", "overtaken")
    sums = [f"{sum(getattr(row, name) for row in rows):,}" for name in names]
    # A run may meet its fault several times; each time it recovered is one.
    runs = max(len(rows), len(times))
    recovery = [f"{statistics.median(times):.1f} s", f"{max(times):.1f} s"] if times else ["–", "–"]
    notes = "; ".join(dict.fromkeys(row.note for row in rows if row.note))
    return f"| {' | '.join([fault, str(runs), *sums, *recovery, notes])} |"


def written(document: str, found: str) -> str:
    """The document with this table in it.

    Raises:
        ValueError: it has no place for one.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{found}\n{END}{after}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text(), table()))
    else:
        sys.stdout.write(table() + "\n")
