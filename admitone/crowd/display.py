"""The crowd as it goes: a live table on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .report import Tally

LIVE_SECONDS = 0.5
LINE_SECONDS = 5.0
STAGES = ("session", "line", "reserve", "checkout")


async def show(tally: Tally, console: Console) -> None:
    """Show ``tally`` until cancelled."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            console.print(line(tally), markup=False, highlight=False, soft_wrap=True)
    with Live(table(tally), console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(table(tally), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)


def line(tally: Tally) -> str:
    """One line of plain text."""
    now = ", ".join(f"{tally.now[stage]} at {stage}" for stage in STAGES)
    return (
        f"{tally.seconds:6.1f} s: {tally.fans} fans came, {now}; {tally.purchases} purchases of "
        f"{tally.seats_bought} seats, {tally.errors.total()} errors, {tally.violations_count} violations"
    )


def table(tally: Tally) -> Table:
    """The live table."""
    shown = Table(title=f"Crowd, {tally.seconds:.0f} s", title_justify="left", show_header=False)
    shown.add_row("fans came", str(tally.fans))
    for stage in STAGES:
        shown.add_row(f"at {stage}", str(tally.now[stage]))
    shown.add_row("purchases, seats", f"{tally.purchases}, {tally.seats_bought}")
    for outcome, count in tally.outcomes["fan"].most_common(8):
        shown.add_row(outcome, str(count))
    shown.add_row("calls per second", f"{tally.calls / max(tally.seconds, 0.001):.0f}")
    reserve = tally.latency_of("reserve")
    shown.add_row("reserve p50, p99", f"{reserve.p50_ms:.0f} ms, {reserve.p99_ms:.0f} ms")
    shown.add_row("errors, violations", f"{tally.errors.total()}, {tally.violations_count}")
    return shown
