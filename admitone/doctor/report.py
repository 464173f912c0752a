"""The findings as a screen, as plain text, as JSON."""

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


def as_json(found: list[Finding], code: int) -> str:
    return msgspec.json.encode(
        {
            "status": WORDS[Level(code)],
            "findings": [
                {"kind": one.kind, "code": one.code, "level": WORDS[one.level], "says": one.says, "fix": one.fix}
                for one in found
            ],
        }
    ).decode()


def show(found: list[Finding], code: int, console: Console) -> None:
    """A table on a terminal; elsewhere a line a finding, for logs and grep."""
    if not console.is_terminal:
        for one in found:
            console.print(f"{WORDS[one.level]:<8}{one.code}: {one.says}" + (f" -> {one.fix}" if one.fix else ""))
        console.print(_summary(found, code))
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for kind in KINDS:
        of_kind = [one for one in found if one.kind == kind]
        if not of_kind:
            continue
        table.add_row("", Text(TITLES[kind], style="bold"))
        for one in of_kind:
            says = Text(one.says, overflow="fold")
            if one.fix:
                says.append(f"\n{one.fix}", style="dim")
            table.add_row(Text(WORDS[one.level], style=STYLES[one.level]), says)
    console.print(table)
    console.print(_summary(found, code), style=STYLES[Level(code)])


def _summary(found: list[Finding], code: int) -> str:
    if code == Level.OK:
        return f"All {len(found)} findings are well."
    errors = sum(one.level == Level.ERROR for one in found)
    warnings = sum(one.level == Level.WARNING for one in found)
    return f"{errors} errors, {warnings} warnings, {len(found) - errors - warnings} well."
