"""Shows a rehearsal while it runs: as a live table on a terminal, elsewhere as a plain line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from admitone.rehearsal.counted import Sum, Tick
from admitone.rehearsal.watch import Sample

LINE_SECONDS: Final = 5.0


class Display:
    """The display of one rehearsal; it shows nothing if ``quiet``."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None
        self._began_at = time.monotonic()
        self._next_line_at = 0.0
        self._counted = Sum()
        self._seen: list[int] = []

    def show(self, doing: str, fans: int, ticks: Sequence[Sequence[Tick]], sample: Sample) -> None:
        """Show what the generators counted and how the site is now."""
        if self._quiet:
            return
        self._seen += [0] * (len(ticks) - len(self._seen))
        for number, of_generator in enumerate(ticks):
            for tick in of_generator[self._seen[number] :]:
                self._counted.add(tick)
            self._seen[number] = len(of_generator)
        now = time.monotonic()
        seconds = now - self._began_at
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(self._table(doing, fans, seconds, sample), refresh=True)
        elif now >= self._next_line_at:
            self._next_line_at = now + LINE_SECONDS
            self._console.print(self._line(doing, fans, seconds, sample), markup=False, highlight=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """End the live table and print a sentence."""
        self.end()
        if not self._quiet:
            self._console.print(sentence, markup=False, highlight=False)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, doing: str, fans: int, seconds: float, sample: Sample) -> str:
        counted = self._counted
        return (
            f"{seconds:6.1f} s, {doing}: {counted.joined} of {fans} fans joined, "
            f"{sample.waiting} in line, {sample.called + sample.admitted} inside; "
            f"{counted.purchases} purchases of {counted.seats} seats, "
            f"{counted.errors.total()} errors, {len(counted.violations)} violations"
        )

    def _table(self, doing: str, fans: int, seconds: float, sample: Sample) -> Table:
        counted = self._counted
        shown = Table(title=f"Rehearsal, {seconds:.0f} s: {doing}", title_justify="left", show_header=False)
        shown.add_row("fans joined", f"{counted.joined} of {fans}")
        shown.add_row("in line", str(sample.waiting))
        shown.add_row("called, inside", f"{sample.called}, {sample.admitted} of {sample.capacity}")
        shown.add_row("purchases, seats", f"{counted.purchases}, {counted.seats}")
        p95 = counted.booking_ms(0.95)
        shown.add_row("bookings p95", "-" if p95 is None else f"{p95:.0f} ms")
        shown.add_row("lane's backlog", str(sample.backlog))
        for what, number in counted.outcomes.most_common(60):
            if what.startswith(("fan ", "refused ")):
                shown.add_row(what, str(number))
        shown.add_row("errors, violations", f"{counted.errors.total()}, {len(counted.violations)}")
        return shown
