"""Print the rows of all fault runs as a Markdown table: ``python -m tests.faults.table [FILE]``."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

import msgspec

from tests.faults.harness import ROWS_PATH, Row

HEAD = (
    "| fault | runs | acknowledged answers | lost | doubled | overtaken | recovery p50 | recovery max |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)


def table(path: Path = ROWS_PATH) -> str:
    """A line for each fault, in the order in which they were first run; recovery in seconds."""
    by_fault: defaultdict[str, list[Row]] = defaultdict(list)
    for line in path.read_bytes().splitlines():
        row = msgspec.json.decode(line, type=Row)
        by_fault[row.fault].append(row)
    lines = [HEAD]
    for fault, rows in by_fault.items():
        times = [seconds for row in rows for seconds in row.recovery_seconds]
        sums = [sum(getattr(row, name) for row in rows) for name in ("acknowledged", "lost", "doubled", "overtaken")]
        # A run may meet its fault several times; each time it recovered is one.
        runs = max(len(rows), len(times))
        recovery = (f"{statistics.median(times):.1f} s", f"{max(times):.1f} s") if times else ("–", "–")
        lines.append(f"| {' | '.join([fault, str(runs), *map(str, sums), *recovery])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1]) if len(sys.argv) > 1 else ROWS_PATH) + "\n")
