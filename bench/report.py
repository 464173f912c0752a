"""What a part measured: rows against references, printed as a table and written as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.servers import ROOT

RESULTS = ROOT / "bench" / "results"
BASELINES = ROOT / "bench" / "baseline"
HASH_CHARACTERS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its reference; ``aim`` as the issue has it, e.g. ``≥ 20``."""

    what: str
    measured: float
    unit: str
    against: str
    reference: float | None
    aim: str
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.measured / self.reference if self.reference else None

    @property
    def reached(self) -> bool | None:
        """Whether the ratio (the figure itself, where there is no reference) is within the aim; None without one."""
        if not self.aim:
            return None
        sign, bound = self.aim.split()[:2]
        value = self.measured if self.reference is None else self.ratio
        if value is None:
            return None
        return value >= float(bound) if sign == "≥" else value <= float(bound)


@dataclasses.dataclass(slots=True)
class Part:
    """A part's rows, and everything else worth keeping in ``details``."""

    name: str
    rows: list[Row] = dataclasses.field(default_factory=list)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    skipped: str = ""

    def add(
        self,
        what: str,
        measured: float,
        unit: str,
        against: str = "",
        reference: float | None = None,
        aim: str = "",
        note: str = "",
    ) -> Row:
        row = Row(what, measured, unit, against, reference, aim, note)
        self.rows.append(row)
        return row


def show(parts: list[Part], console: Console | None = None) -> None:
    """The table on stdout."""
    console = console or Console(width=170)
    table = Table("part", "what", "measured", "against", "reference", "ratio", "aim", "reached")
    for part in parts:
        if part.skipped:
            table.add_row(part.name, f"skipped: {part.skipped}")
        for row in part.rows:
            table.add_row(
                part.name,
                row.what + (f" ({row.note})" if row.note else ""),
                f"{figure(row.measured)} {row.unit}",
                row.against,
                "" if row.reference is None else f"{figure(row.reference)} {row.unit}",
                "" if row.ratio is None else f"{row.ratio:.2f}",
                row.aim,
                {True: "yes", False: "NO", None: ""}[row.reached],
            )
        table.add_section()
    console.print(table)


def figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def document(part: Part) -> dict[str, Any]:
    rows = [{**dataclasses.asdict(row), "ratio": row.ratio, "reached": row.reached} for row in part.rows]
    return {"part": part.name, "skipped": part.skipped, "rows": rows, "details": part.details}


def baselines() -> dict[str, str]:
    """The beginning of each baseline's SHA-256, by its path: results of two days are against the same baseline if these
    are equal.
    """
    return {
        path.relative_to(BASELINES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_CHARACTERS]
        for path in sorted(BASELINES.rglob("*"))
        if path.suffix in {".py", ".js", ".json"}
    }


def write(name: str, content: dict[str, Any]) -> Path:
    """Write the content to ``bench/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    stamped = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **content}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(stamped), indent=1) + b"\n")
    return path
