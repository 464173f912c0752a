"""Writes the findings as a screen, as plain text and as JSON."""

from __future__ import annotations

from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admitone.doctor.finding import KINDS, Finding, Kind, Level

TITLES: Final[dict[Kind, str]] = {
    "up": "Is it up?",
    "behind": "Does it keep pace?",
    "setup": "Is it set up for a sale?",
}
WORDS: Final = {Level.OK: "ok", Level.WARNING: "warning", Level.ERROR: "error"}
STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def as_json(findings: list[Finding], code: int) -> str:
    return msgspec.json.encode(
        {
            "status": WORDS[Level(code)],
            "findings": [
                {"kind": one.kind, "code": one.code, "level": WORDS[one.level], "says": one.says, "fix": one.fix}
                for one in findings
            ],
        }
    ).decode()


def show(findings: list[Finding], code: int, console: Console) -> None:
    """Print the findings: as a table on a terminal, elsewhere as one line each, for logs and grep."""
    if not console.is_terminal:
        for one in findings:
            console.print(f"{WORDS[one.level]:<8}{one.code}: {one.says}" + (f" -> {one.fix}" if one.fix else ""))
        console.print(_summary(findings, code))
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for kind in KINDS:
        of_kind = [one for one in findings if one.kind == kind]
        if not of_kind:
            continue
        table.add_row("", Text(TITLES[kind], style="bold"))
        for one in of_kind:
            says = Text(one.says, overflow="fold")
            if one.fix:
                says.append(f"\n{one.fix}", style="dim")
            table.add_row(Text(WORDS[one.level], style=STYLES[one.level]), says)
    console.print(table)
    console.print(_summary(findings, code), style=STYLES[Level(code)])


def _summary(findings: list[Finding], code: int) -> str:
    if code == Level.OK:
        return f"All {len(findings)} findings are well."
    errors = sum(one.level == Level.ERROR for one in findings)
    warnings = sum(one.level == Level.WARNING for one in findings)
    return f"{errors} errors, {warnings} warnings, {len(findings) - errors - warnings} well."
