from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest
from rich.console import Console

from admitone.crowd import display
from admitone.fan.counts import Counts
from tests.waiting import await_that


async def shown(console: Console, is_enough: Callable[[str], bool]) -> str:
    counts = Counts()
    counts.fans = 42
    counts.outcome("fan", "left_line")
    task = asyncio.create_task(display.show(counts, console))
    written = console.file
    assert isinstance(written, io.StringIO)
    await asyncio.to_thread(await_that, lambda: is_enough(written.getvalue()), each_seconds=0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return written.getvalue()


async def test_a_terminal_gets_a_live_table() -> None:
    text = await shown(Console(file=io.StringIO(), force_terminal=True, width=100), lambda text: "left_line" in text)
    assert "\x1b[" in text
    assert "left_line" in text


async def test_anything_else_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_SECONDS", 0.05)
    text = await shown(Console(file=io.StringIO(), width=100), lambda text: text.count("\n") >= 2)
    assert "\x1b[" not in text
    assert text.count("42 fans came") == len(text.splitlines()) >= 2
