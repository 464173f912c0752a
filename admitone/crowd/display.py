"""Shows a crowd while it runs: as a live table on a terminal, elsewhere as a plain line every few seconds."""

from __future__ import annotations

import asyncio
from collections import Counter

from rich.console import Console
from rich.live import Live
from rich.table import Table

from admitone.crowd.report import latency_of
from admitone.fan.counts import Counts

LIVE_SECONDS = 0.5
LINE_SECONDS = 5.0
STAGES = ("session", "line", "reserve", "checkout")


async def show(counts: Counts, console: Console) -> None:
    """Show ``counts`` until cancelled."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            console.print(line(counts), markup=False, highlight=False, soft_wrap=True)
    with Live(table(counts), console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(table(counts), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)


def line(counts: Counts) -> str:
    """One line of plain text."""
    now = ", ".join(f"{counts.now[stage]} at {stage}" for stage in STAGES)
    return (
        f"{counts.seconds:6.1f} s: {counts.fans} fans came, {now}; {counts.purchases} purchases of "
        f"{counts.seats} seats, {counts.errors.total()} errors, {counts.violations_count} violations"
    )


def table(counts: Counts) -> Table:
    """The live table."""
    shown = Table(title=f"Crowd, {counts.seconds:.0f} s", title_justify="left", show_header=False)
    shown.add_row("fans came", str(counts.fans))
    for stage in STAGES:
        shown.add_row(f"at {stage}", str(counts.now[stage]))
    shown.add_row("purchases, seats", f"{counts.purchases}, {counts.seats}")
    for outcome, count in Counter(counts.of("fan")).most_common(8):
        shown.add_row(outcome, str(count))
    answers = sum(classes.total() for classes in counts.waits.values())
    shown.add_row("calls per second", f"{answers / max(counts.seconds, 0.001):.0f}")
    reserve = latency_of(counts, "reserve")
    shown.add_row("reserve p50, p99", f"{reserve.p50_ms:.0f} ms, {reserve.p99_ms:.0f} ms")
    shown.add_row("errors, violations", f"{counts.errors.total()}, {counts.violations_count}")
    return shown
