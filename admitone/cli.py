"""The command ``admitone``: thin, each command a call."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from admitone import running
from admitone.dial_options import with_dials
from admitone.logs import start_logging
from admitone.settings import ROWS, Settings, SettingsError
from admitone.telemetry import TelemetryError, require_installed
from db.rooms.dials import DialValue

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Admit One: a waiting room and seat booking for ticket on-sales. All commands read the same "
    "environment variables; `admitone settings` lists them.",
)
operator_app = typer.Typer(no_args_is_help=True, help="Operators, who may steer the door.")
app.add_typer(operator_app, name="operator")
draw_app = typer.Typer(no_args_is_help=True, help="The draw of a lobby, which anybody may recheck.")
app.add_typer(draw_app, name="draw")
webhook_app = typer.Typer(no_args_is_help=True, help="Webhooks: where news of rooms and purchases is sent.")
app.add_typer(webhook_app, name="webhook")

GRACE_SECONDS = 5
SOCKETS_WAITING_MAX = 16_384


def _fail(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def _sentence(error: Exception) -> str:
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


def _settings(*, need: bool = True) -> Settings:
    """The environment, completed by what a running `admitone up` noted."""
    try:
        settings = _with_noted(Settings.load())
    except SettingsError as error:
        raise _fail(str(error)) from None
    start_logging(as_json=settings.json_logs)
    try:
        require_installed(settings)
    except TelemetryError as error:
        raise _fail(str(error)) from None
    if need and not (settings.db.url and settings.redis.url):
        raise _fail("Set DATABASE_URL and REDIS_URL, or run `admitone up` beside this, which brings its own.")
    return settings


def _with_noted(settings: Settings) -> Settings:
    """Raises SettingsError."""
    for name, value in running.read(Path(settings.embedded.data_dir)).items():
        if name != "ADMITONE_URL":
            os.environ.setdefault(name, value)
    return Settings.load()


def _need_secret(settings: Settings) -> None:
    if not settings.site.secret:
        raise _fail("Set ADMITONE_SECRET: every gateway must sign with the same one.")


@app.command()
def up(
    port: Annotated[int | None, typer.Option(help="Port of the gateway; 0 takes a free one.")] = None,
    crowd: Annotated[int, typer.Option(min=0, max=1000, help="Simulated fans about at a time.")] = 40,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Gateway processes.")] = 1,
) -> None:
    """Bring everything up and keep it up: embedded servers where no URL is given, a demo event on sale."""
    from admitone.up import up as bring_up

    try:
        settings = Settings.load()
    except SettingsError as error:
        raise _fail(str(error)) from None
    raise typer.Exit(
        bring_up(settings, port=settings.server.port if port is None else port, crowd=crowd, workers=workers)
    )


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on this one port.")] = 1,
) -> None:
    """Serve pages, API and streams."""
    import uvicorn

    settings = _settings()
    _need_secret(settings)
    # Each stream is an open file; the soft limit is there for programs that use select().
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvicorn.run(
        "admitone.asgi:create",
        factory=True,
        host=settings.server.host if host is None else host,
        port=settings.server.port if port is None else port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        backlog=SOCKETS_WAITING_MAX,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=75,
        server_header=False,
        proxy_headers=bool(settings.server.trusted_proxies),
        forwarded_allow_ips=settings.server.trusted_proxies or None,
    )


@app.command()
def worker(
    lane: Annotated[
        list[int] | None, typer.Option(help="Work only this lane (may be given again); all by default.")
    ] = None,
) -> None:
    """Apply bookings: one process a lane, one each for housekeeping, cron and webhooks."""
    from admitone.telemetry import telemetry
    from workers.pool import Pool
    from workers.settings import WorkerSettings

    settings = _settings()
    logging.getLogger("rq").setLevel(logging.WARNING)
    lanes = None if not lane else tuple(lane)
    if lanes is not None and not all(0 <= number < settings.lane.count for number in lanes):
        raise _fail(f"Lanes are numbered 0 to {settings.lane.count - 1}.")
    Pool(
        settings.part(WorkerSettings),
        lanes,
        # Nothing but a booking's way is traced.
        telemetry=lambda process: telemetry(settings, f"worker {process}", traces=process.startswith("lane-")),
    ).start()


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from db.migrate import migrate as run

    run(_settings().db.url)


@app.command()
def seed(
    stadium: Annotated[bool, typer.Option("--stadium", help="80,000 seats instead of the demo's 150.")] = False,
    on_sale_in: Annotated[
        float, typer.Option(help="Minutes until the sale begins; the lobby comes before it (ADMITONE_LOBBY_MINUTES).")
    ] = -60.0,
) -> None:
    """Make a demo event, whose sale is on unless told otherwise; prints its id."""
    from db.events.seed import room_seed, seed_demo, seed_stadium
    from db.migrate import migrate as run

    settings = _settings()
    run(settings.db.url)
    make = seed_stadium if stadium else seed_demo
    typer.echo(make(settings.db.url, room=room_seed(settings.room), on_sale_minutes=on_sale_in))


@app.command()
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

    settings = _settings(need=False)
    if not url:
        noted = running.read(Path(settings.embedded.data_dir)).get("ADMITONE_URL")
        url = noted or f"http://{settings.server.host}:{settings.server.port}"
    try:
        plan = CrowdPlan(
            base_url=url,
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
        raise _fail(str(error)) from None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run_crowd(plan, quiet=quiet))
    report.print(Console())
    if not report.clean:
        raise typer.Exit(1)


@app.command()
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

    from admitone.rehearsal.rehearse import NotPossibleError, Options, rehearse_until_signal
    from admitone.rehearsal.rehearse import remove as remove_left
    from admitone.rehearsal.report import as_json, words

    try:
        given = Settings.load()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    settings = _settings(need=False)
    missing = [name for name, value in _servers_of(settings).items() if not value]
    if missing:
        typer.echo(f"Set {' and '.join(missing)}, or run `admitone up` beside this.", err=True)
        raise typer.Exit(2)
    noted = running.read(Path(settings.embedded.data_dir)).get("ADMITONE_URL")
    try:
        options = Options(
            url=(url or noted or f"http://{settings.server.host}:{settings.server.port}").rstrip("/"),
            event_id=event,
            fans=fans,
            expected_fans=expect,
            minutes_max=minutes,
            arrive_seconds=arrive,
            think_seconds=0.0 if fast else think,
            no_shows=no_shows,
            seats_per_fan=seats,
            front=front,
            wants_limit=limit,
            generators=generators,
            keep=keep,
            ledger=ledger,
            seed=random_seed,
            embedded=tuple(name for name, value in _servers_of(given).items() if not value),
        )
        if remove:
            removed = asyncio.run(remove_left(settings, event))
            typer.echo(f"Removed {len(removed)} copies of event {event}.")
            return
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            verdict = runner.run(rehearse_until_signal(settings, options, console=Console(stderr=True), quiet=quiet))
    except (ValueError, NotPossibleError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(as_json(verdict) if json else "\n".join(words(verdict)))
    if not verdict.fit:
        raise typer.Exit(1)


@app.command()
@with_dials
def room(
    event: Annotated[int, typer.Argument(min=1, help="Event id.")],
    dials: dict[str, DialValue],
    pause: Annotated[bool | None, typer.Option("--pause/--resume", help="Call nobody for now, or go on.")] = None,
    close: Annotated[bool | None, typer.Option("--close/--open", help="Let nobody join any more, or again.")] = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Show an event's room, or steer its door."""
    from admitone.room import show_or_steer
    from db.rooms.steering import Ask, SteeringRefusedError

    settings = _settings()
    ask = Ask(paused=pause, closed=close, dials=dials)
    try:
        typer.echo(asyncio.run(show_or_steer(settings, event, ask if ask != Ask() else None, why)))
    except (LookupError, SteeringRefusedError) as error:
        raise _fail(_sentence(error)) from None


@app.command()
def codes(
    event: Annotated[int, typer.Argument(min=1, help="Event id.")],
    label: Annotated[str, typer.Option(help="What the operators call them.")] = "codes",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many random codes.")] = 1,
    code: Annotated[str | None, typer.Option(help="One code of a name of your own instead.")] = None,
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="Fans who may redeem each.")] = 1,
    hours: Annotated[float | None, typer.Option(min=0.01, max=87_600, help="Good for so long from now on.")] = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Issue access codes, which let fans wait in the priority class, and print them: nobody can later."""
    from admitone.codes import CodesError, issue

    settings = _settings()
    _need_secret(settings)
    try:
        for one in asyncio.run(issue(settings, event, label, count=count, code=code, uses=uses, hours=hours, why=why)):
            typer.echo(one)
    except CodesError as error:
        raise _fail(str(error)) from None


@app.command()
def audit(
    ledger: Annotated[Path | None, typer.Option(exists=True, help="What clients were told, to compare.")] = None,
) -> None:
    """Check every invariant in SQL; exit 1 with the rows that break one."""
    from db.audit.invariants import audit as check
    from db.audit.ledger import LedgerError

    settings = _settings()
    try:
        violations = check(
            settings.db.url,
            grace_seconds=settings.hold.grace_seconds,
            command_keep_hours=settings.lane.command_keep_hours,
            ledger=ledger,
        )
    except LedgerError as error:
        raise _fail(str(error)) from None
    for violation in violations:
        typer.echo(f"{violation.invariant}: {violation.sentence}")
        for row in violation.rows:
            typer.echo("  " + ", ".join(f"{name}={value}" for name, value in row.items()))
    if violations:
        raise typer.Exit(1)
    typer.echo("Every invariant holds.")


@app.command()
def doctor(
    url: Annotated[str, typer.Option(help="Where fans come in, e.g. https://tickets.example.org.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For alarms: one JSON object.")] = False,
) -> None:
    """Tell what is up, what is behind and what is not set up for a sale, each with the fix; exit 0, 1 or 2."""
    from admitone.doctor.examination import examine, exit_code
    from admitone.doctor.finding import Finding, Level
    from admitone.doctor.report import as_json, show
    from admitone.doctor.site import open_site

    found: list[Finding]
    try:
        given = Settings.load()
        settings = _with_noted(given)
    except SettingsError as problem:
        found = [Finding("setup", "settings", Level.ERROR, str(problem), "Correct it; no process starts with it.")]
    else:
        missing = [name for name, value in _servers_of(settings).items() if not value]
        if missing:
            says = f"{' and '.join(missing)} not set, and no `admitone up` runs in {settings.embedded.data_dir}"
            found = [Finding("setup", "settings", Level.ERROR, says, "Set them, or start `admitone up`.")]
        else:
            embedded = tuple(name for name, value in _servers_of(given).items() if not value)
            noted = running.read(Path(settings.embedded.data_dir)).get("ADMITONE_URL", "") if embedded else ""
            with open_site(settings, embedded, url or noted) as site:
                found = examine(site)
    code = exit_code(found)
    if json:
        typer.echo(as_json(found, code))
    else:
        show(found, code, Console(soft_wrap=not sys.stdout.isatty(), highlight=False, markup=False))
    raise typer.Exit(code)


def _servers_of(settings: Settings) -> dict[str, str]:
    return {"DATABASE_URL": settings.db.url, "REDIS_URL": settings.redis.url}


@operator_app.command("add")
def operator_add(
    name: str,
    password: Annotated[
        str | None, typer.Option(help="Asked for on a terminal when left out; made up otherwise.")
    ] = None,
) -> None:
    """Create an operator, or give one a new password."""
    from db.operators import add_operator

    settings = _settings()
    made = password
    if made is None:
        asks = sys.stdin.isatty()
        made = (
            typer.prompt("Password", hide_input=True, confirmation_prompt=True) if asks else secrets.token_urlsafe(12)
        )
    try:
        add_operator(settings.db.url, name, made)
    except ValueError as error:
        raise _fail(str(error)) from None
    typer.echo(f"Operator {name} may sign in." if password or sys.stdin.isatty() else f"{name} {made}")


@draw_app.command("verify")
def draw_verify(
    event: Annotated[int | None, typer.Argument(min=1, help="Event id; none with --export.")] = None,
    export: Annotated[
        Path | None, typer.Option(exists=True, help="Recheck this file of `admitone draw export` alone.")
    ] = None,
) -> None:
    """Recompute a draw from its seed and its list of fans; exit 1 with what differs from the numbers given."""
    from admitone.draw import DrawError, verify, verify_export

    if (event is None) == (export is None):
        raise _fail("Name either an event or a file with --export.")
    try:
        if export is not None:
            checked = verify_export(export)
        else:
            assert event is not None
            settings = _settings()
            checked = verify(settings.db.url, settings.redis.url, event)
    except DrawError as error:
        raise _fail(f"{error}.".capitalize()) from None
    for difference in checked.differences:
        typer.echo(difference)
    if checked.differences:
        raise typer.Exit(1)
    typer.echo(f"The draw of {checked.participants} fans is as its seed says; {checked.in_line} stand in line by it.")


@draw_app.command("export")
def draw_export(event: Annotated[int, typer.Argument(min=1, help="Event id.")]) -> None:
    """Print a draw as everybody may know it: seed, commitment and hashed fans in their order, as JSON."""
    from admitone.draw import DrawError, export

    try:
        typer.echo(export(_settings().db.url, event))
    except DrawError as error:
        raise _fail(f"{error}.".capitalize()) from None


@webhook_app.command("add")
def webhook_add(
    url: Annotated[str, typer.Argument(help="https in production.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="e.g. room.opened (may be given again); all by default.")
    ] = None,
    event: Annotated[int | None, typer.Option(min=1, help="News of this event alone.")] = None,
    description: Annotated[str, typer.Option()] = "",
) -> None:
    """Register a webhook; prints its number and its secret, this once."""
    from admitone import webhook
    from db.webhooks.endpoints import TooManyEndpointsError

    try:
        typer.echo(asyncio.run(webhook.add(_settings(), url, kind or [], event, description)))
    except (ValueError, LookupError) as error:
        raise _fail(_sentence(error)) from None
    except TooManyEndpointsError:
        raise _fail("There are as many webhooks as there may be; remove one.") from None


@webhook_app.command("list")
def webhook_list() -> None:
    """List webhooks: whether each works, what waits for it and what was given up."""
    from admitone import webhook

    for line in asyncio.run(webhook.listed(_settings())):
        typer.echo(line)


@webhook_app.command("remove")
def webhook_remove(number: Annotated[int, typer.Argument(min=1, help="As `admitone webhook list` has it.")]) -> None:
    """Remove a webhook; what waits for it is never sent."""
    from admitone import webhook

    try:
        asyncio.run(webhook.remove(_settings(), number))
    except LookupError as error:
        raise _fail(_sentence(error)) from None


@webhook_app.command("resend")
def webhook_resend(number: Annotated[int, typer.Argument(min=1, help="As `admitone webhook list` has it.")]) -> None:
    """Send again what was given up; prints how many messages."""
    from admitone import webhook

    try:
        typer.echo(asyncio.run(webhook.resend(_settings(), number)))
    except LookupError as error:
        raise _fail(_sentence(error)) from None


@app.command()
def token(
    role: Annotated[str, typer.Option(help="fan or operator.")] = "fan",
    user: Annotated[
        int | None, typer.Option(min=1, max=2**53 - 1, help="A fan's user id; a new one by default.")
    ] = None,
) -> None:
    """Print a session's token, for scripts."""
    from gateway.identity.sessions import Identity

    settings = _settings(need=False)
    _need_secret(settings)
    identity = Identity(
        settings.site.secret,
        session_seconds=settings.session.seconds,
        open_auth=False,
        secure=settings.site.env == "production",
    )
    if role == "operator":
        typer.echo(identity.new_operator("token"))
    elif role == "fan":
        typer.echo(identity.new_fan(user)[0])
    else:
        raise _fail("--role is fan or operator.")


@app.command("settings")
def list_settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/settings.md has it.")] = False,
) -> None:
    """List every setting: its variable, its default, what it means."""
    if markdown:
        typer.echo(settings_markdown(), nl=False)
        return
    table = Table("Variable", "Default", "Meaning")
    for row in ROWS:
        table.add_row(row.variable, row.default, row.sentence)
    Console().print(table)


def settings_markdown() -> str:
    """The page docs/settings.md."""
    lines = ["# Settings", "", "Written by `admitone settings --markdown`.", "", "| variable | default | meaning |"]
    lines.append("|---|---|---|")
    lines += [f"| `{row.variable}` | {row.default or '-'} | {row.sentence} |" for row in ROWS]
    return "\n".join(lines) + "\n"


def main() -> None:
    app(prog_name="admitone")
