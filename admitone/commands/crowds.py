"""Simulated fans: a crowd at an event, and the rehearsal of a sale."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from admitone.commands.environment import (
    fail,
    gateway_url,
    load_settings,
    servers_of,
)
from admitone.fan.ledger import ledger_sentence
from admitone.settings import Settings, SettingsError
from booking_lane.signals import end_process_within

LOOP_END_SECONDS_MAX = 5.0
"""A command whose work is done ends by then, even if a name is still being looked up."""


def crowd(
    url: Annotated[str, typer.Option(help="The gateway; by default that of a running `admitone up`.")] = "",
    event: Annotated[int, typer.Option(min=1, help="Event id.")] = 1,
    fans: Annotated[int, typer.Option(min=1, help="How many fans.")] = 100,
    rate: Annotated[float, typer.Option(min=0.001, help="Arrivals a second.")] = 20.0,
    seats: Annotated[int, typer.Option(min=1, max=50, help="A fan wants one to so many seats.")] = 2,
    abandon_in_line: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    abandon_after_call: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    abandon_hold: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    release_hold: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    best_available: Annotated[float, typer.Option(min=0, max=1)] = 0.3,
    think: Annotated[float, typer.Option(min=0, help="Longest pause before a choice, in seconds.")] = 0.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds until those left are sent home.")] = 600.0,
    ledger: Annotated[Path | None, typer.Option(help="Append every acknowledged answer to this file.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Local address to connect from.")] = None,
    random_seed: Annotated[int, typer.Option("--seed", help="The same seed, the same fans.")] = 1,
    forever: Annotated[bool, typer.Option("--forever", help="Keep so many fans about until stopped.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Send simulated fans through the whole sale, over real HTTP and SSE."""
    import uvloop

    from admitone.crowd import CrowdPlan, run_crowd

    settings = load_settings(need=False)
    try:
        plan = CrowdPlan(
            base_url=url or gateway_url(settings),
            event_id=event,
            fans=fans,
            rate_per_second=rate,
            seats_per_fan=seats,
            abandon_in_line=abandon_in_line,
            abandon_after_call=abandon_after_call,
            abandon_hold=abandon_hold,
            release_hold=release_hold,
            best_available=best_available,
            think_seconds_max=think,
            duration_seconds_max=duration,
            ledger=ledger,
            source_addresses=tuple(source or ()),
            seed=random_seed,
            loop_forever=forever,
        )
    except ValueError as error:
        raise fail(str(error)) from None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(run_crowd(plan, quiet=quiet))
            report.print(Console())
            end_process_within(LOOP_END_SECONDS_MAX)
    except OSError as error:
        if ledger is None or error.filename is None:
            raise
        raise fail(ledger_sentence(ledger, error)) from None
    if not report.clean:
        raise typer.Exit(1)


def rehearse(
    event: Annotated[int, typer.Argument(min=1, help="The event whose sale is rehearsed, on a copy of it.")],
    fans: Annotated[int, typer.Option(min=1, help="Simulated fans.")] = 1000,
    url: Annotated[str, typer.Option(help="Where fans come in; by default that of a running `admitone up`.")] = "",
    expect: Annotated[int | None, typer.Option(min=1, help="Fans expected at the real sale; else --fans.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="The doors close on those left by then.")] = 15.0,
    arrive: Annotated[float, typer.Option(min=0, help="Seconds in which everybody joins the line.")] = 30.0,
    think: Annotated[float, typer.Option(min=0, help="Seconds from the call to the ticket, on the mean.")] = 90.0,
    fast: Annotated[bool, typer.Option("--fast", help="Nobody thinks: --think 0.")] = False,
    limit: Annotated[bool, typer.Option("--limit", help="Then raise the rate until it holds no more.")] = False,
    no_shows: Annotated[float, typer.Option(min=0, max=0.95, help="Share who do not answer their call.")] = 0.1,
    idle: Annotated[float, typer.Option(min=0, max=0.95, help="Share who come in and do nothing there.")] = 0.0,
    seats: Annotated[int, typer.Option(min=1, max=50, help="A fan wants one to so many seats.")] = 2,
    front: Annotated[float, typer.Option(min=0, max=1, help="Share who want the first rows.")] = 0.2,
    generators: Annotated[int | None, typer.Option(min=1, help="Processes that play the fans.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the copy until the event's next rehearsal.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Only remove what earlier rehearsals left.")] = False,
    ledger: Annotated[Path | None, typer.Option(help="Append every acknowledged answer to this file.")] = None,
    random_seed: Annotated[int, typer.Option("--seed", help="The same seed, the same fans.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Rehearse a sale on a hidden copy of the event; exit 0 fit, 1 not fit, 2 could not be held."""
    import uvloop

    from admitone.rehearsal.options import NotPossibleError, Options
    from admitone.rehearsal.rehearse import rehearse_until_signal
    from admitone.rehearsal.rehearse import remove as remove_left
    from admitone.rehearsal.report import as_json, words

    try:
        given = Settings.load()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    settings = load_settings(need=False)
    missing = [name for name, value in servers_of(settings).items() if not value]
    if missing:
        typer.echo(f"Set {' and '.join(missing)}, or run `admitone up` beside this.", err=True)
        raise typer.Exit(2)
    try:
        options = Options(
            url=(url or gateway_url(settings)).rstrip("/"),
            event_id=event,
            fans=fans,
            expected_fans=expect,
            minutes_max=minutes,
            arrive_seconds=arrive,
            think_seconds=0.0 if fast else think,
            no_shows=no_shows,
            idle=idle,
            seats_per_fan=seats,
            front=front,
            wants_limit=limit,
            generators=generators,
            keep=keep,
            ledger=ledger,
            seed=random_seed,
            embedded=tuple(name for name, value in servers_of(given).items() if not value),
        )
        if remove:
            removed = asyncio.run(remove_left(settings, event))
            typer.echo(f"Removed {len(removed)} copies of event {event}.")
            return
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            verdict = runner.run(rehearse_until_signal(settings, options, console=Console(stderr=True), quiet=quiet))
            typer.echo(as_json(verdict) if json else "\n".join(words(verdict)))
            end_process_within(LOOP_END_SECONDS_MAX)
    except (ValueError, NotPossibleError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if not verdict.fit:
        raise typer.Exit(1)
