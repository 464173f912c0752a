"""``python -m bench``: the parts one by one, all of them, the stadium, or the quick form."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Annotated

import msgspec
import typer

from bench import report
from bench.parts import (
    bots,
    edge,
    engine,
    generator,
    guard,
    memory,
    noops,
    original,
    overload,
    pools,
    purchase,
    reads,
    reserve,
    room,
    scale,
    scale_events,
    scale_news,
    scan,
    search,
    shop,
    streams,
    told,
)
from bench.pretix.proxies import Proxy
from bench.report import Part
from bench.servers import System, machine, system

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Seconds = Annotated[float, typer.Option(min=1, help="Of each measurement.")]
Connections = Annotated[int, typer.Option(min=1)]
Baseline = Annotated[bool, typer.Option(help="Measure stock RQ too.")]


@app.callback()
def _main() -> None:
    """Benchmarks, each against a reference in the same run."""


def _run(name: str, *measures: Callable[[System], Part]) -> list[Part]:
    """Each on a system of its own, so that none inherits another's tables and caches."""
    on, references = machine(), report.baselines()
    parts = []
    for measure in measures:
        with system() as running:
            parts.append(measure(running))
        documents = [report.document(part) for part in parts]
        report.write(name, {"machine": on, "baselines": references, "parts": documents})
    report.show(parts)
    typer.echo("Baselines: " + ", ".join(f"{path} {digest}" for path, digest in references.items()))
    typer.echo(f"Written to bench/results/{name}.json")
    return parts


@app.command("reserve")
def reserve_(seconds: Seconds = 10.0, connections: Connections = 256, baseline: Baseline = False) -> None:
    """Reserve through HTTP against the no-op, and with --baseline against stock RQ."""
    _run(
        "reserve",
        generator.measure,
        lambda running: reserve.measure(running, seconds=seconds, connections=connections, baseline=baseline),
    )


@app.command("noops")
def noops_(calls: Annotated[int, typer.Option(min=500, help="Of each sort.")] = 6_000) -> None:
    """What each call of a fan costs in processor time, against the least POST under the same server."""
    _run("noops", lambda running: noops.measure(running, count=calls))


@app.command("guard")
def guard_(
    calls: Annotated[int, typer.Option(min=600, help="Of each sort, with the guard and without.")] = 6_000,
    rounds: Annotated[int, typer.Option(min=2, help="The two take turns so often.")] = 6,
) -> None:
    """What the guard against bots adds to reserve and join: processor time and latency."""
    _run("guard", lambda running: guard.measure(running, calls=calls, rounds=rounds))


@app.command("told")
def told_(
    fans: Annotated[int, typer.Option(min=1, help="Who are told of the move in one go.")] = 40_000,
    turns: Annotated[int, typer.Option(min=1, help="Of mails, and as many of rest.")] = 12,
    seconds: Annotated[float, typer.Option(min=4, help="Of each turn.")] = 10.0,
) -> None:
    """Tell fans by mail of an event's move, while another event is sold: in one go, and by turns."""
    _run("told", lambda running: told.measure(running, fans_told=fans, turns=turns, turn_seconds=seconds))


@app.command("scan")
def scan_(
    gates: Annotated[int, typer.Option(min=1, help="Each scans 20 tickets a second.")] = 4, seconds: Seconds = 20.0
) -> None:
    """Check tickets in at some gates, while another event is sold."""
    _run("scan", lambda running: scan.measure(running, gates=gates, seconds=seconds))


@app.command("bots")
def bots_(
    fans: Annotated[int, typer.Option(min=1, help="Fans of each sale.")] = 150,
    seats: Annotated[int, typer.Option(min=100, help="Seats of each hall.")] = 600,
    seconds: Annotated[float, typer.Option(min=10, help="Of each sale, at most.")] = 45.0,
    campus: Annotated[int, typer.Option(min=0, max=5000, help="Fans of one address, in a sale of their own.")] = 0,
    browsers: Annotated[int, typer.Option(min=0, max=8, help="Bots in real Chromium, in a sale of their own.")] = 0,
) -> None:
    """Bots among fans: their share of the seats, precision and recall of the limits, what fans feel."""
    _run(
        "bots",
        lambda running: bots.measure(
            running, fans_count=fans, seats=seats, seconds=seconds, campus=campus, browsers=browsers
        ),
    )


@app.command("edge")
def edge_(
    per_minute: Annotated[int, typer.Option(min=60, help="Reads of the selling event.")] = 100_000,
    seconds: Seconds = 30.0,
    few: Annotated[int, typer.Option(min=1, help="Loads of the page before doors, for comparison.")] = 1_000,
    many: Annotated[int, typer.Option(min=1, help="Loads of the page before doors.")] = 20_000,
    loads_seconds: Annotated[
        float | None, typer.Option(min=1, help="Of few and of many loads; or else SECONDS.")
    ] = None,
    generators: Annotated[int, typer.Option(min=1, help="Processes that make the many loads.")] = 1,
) -> None:
    """A selling event and the page before doors, read through Varnish and nginx. Fails where an aim is missed: the
    gateway was asked too often, or somebody read what was too old or another fan's.
    """
    parts = _run(
        "edge",
        lambda running: edge.measure(
            running,
            per_minute=per_minute,
            seconds=seconds,
            few=few,
            many=many,
            loads_seconds=loads_seconds,
            generators=generators,
        ),
    )
    if any(row.reached is False for part in parts for row in part.rows):
        raise typer.Exit(1)


@app.command("shop")
def shop_(
    fans: Annotated[int, typer.Option(min=1, help="Who come to doors.")] = 5_000,
    visitors: Annotated[int, typer.Option(min=1, help="Of them, who are in the shop at a time.")] = 16,
    arrive_seconds: Annotated[float, typer.Option(min=0, help="They come within so long.")] = 60.0,
    minutes: Annotated[float, typer.Option(min=0.2, help="Of each of the two sales, at most.")] = 6.0,
    proxy: Annotated[Proxy, typer.Option(help="What stands before the shop.")] = "nginx",
    target_ms: Annotated[int, typer.Option(help="The autopilot's; on a busy machine far more.")] = shop.TARGET_MS,
) -> None:
    """Doors at pretix, without Admit One and with it; `make demo-shop` installs pretix."""
    _run(
        "shop",
        lambda running: shop.measure(
            running,
            fans=fans,
            visitors=visitors,
            arrive_seconds=arrive_seconds,
            seconds_max=60 * minutes,
            proxy=proxy,
            target_ms=target_ms,
        ),
    )


@app.command("engine")
def engine_(seconds: Seconds = 5.0) -> None:
    """The booking engine against pgbench."""
    _run("engine", lambda running: engine.measure(running, seconds=seconds))


@app.command("purchase")
def purchase_(seconds: Seconds = 10.0, baseline: Baseline = True) -> None:
    """Checkout against stock RQ, and the whole purchase."""
    _run("purchase", lambda running: purchase.measure(running, seconds=seconds, baseline=baseline))


@app.command("original")
def original_(seconds: Seconds = 8.0) -> None:
    """Reserve and whole purchase against the design that we began from: Express, holds in Redis alone."""
    _run("original", lambda running: original.measure(running, seconds=seconds))


@app.command("reads")
def reads_(seconds: Seconds = 6.0) -> None:
    """Initial call and seats map of the 80,000-seat event against the no-op GET."""
    _run("reads", lambda running: reads.measure(running, seconds=seconds))


@app.command("search")
def search_(
    events: Annotated[int, typer.Option(min=1_000)] = search.EVENTS,
    per_second: Annotated[float, typer.Option(min=1, help="Queries a second.")] = search.PER_SECOND,
    seconds: Seconds = 20.0,
) -> None:
    """Search, half of the queries never asked before. tests/relevance says how well it finds."""
    _run("search", lambda running: search.measure(running, seconds=seconds, events=events, per_second=per_second))


@app.command("streams")
def streams_(fans: Annotated[int, typer.Option(min=1)] = 15_000, seconds: Seconds = 15.0) -> None:
    """Streaming fans on one gateway against bare ASGI and nchan."""
    _run("streams", lambda running: streams.measure(running, count=fans, seconds=seconds))


@app.command("room")
def room_(fans_max: Annotated[int, typer.Option(min=2_000)] = 1_000_000) -> None:
    """The waiting room's scripts with up to a million in line."""
    sizes = [size for size in room.SIZES if size < fans_max]
    _run("room", lambda _: room.measure(sizes=[*sizes, fans_max]))


@app.command("scale")
def scale_(
    fans: Annotated[int, typer.Option(min=100, max=1_000_000, help="In line at one event.")] = 100_000,
    gateways: Annotated[int, typer.Option(min=1, max=200, help="Simulated in this process.")] = 100,
    seconds: Annotated[int, typer.Option(min=1, help="To simulate; best a multiple of 8.")] = 16,
    events: Annotated[int, typer.Option(min=1, max=5_000, help="With more than one, their lines are small.")] = 1,
    halt: Annotated[float, typer.Option(min=1, help="The door calls nobody after so many seconds.")] = inf,
) -> None:
    """One event's line at many gateways: Valkey's CPU for a simulated second. With --events, so many events with a few
    fans each, at 1, 10 and as many gateways.
    """
    if events == 1:
        _run("scale", partial(scale.measure, fans=fans, gateways=gateways, seconds=seconds, halts_after_seconds=halt))
        return
    each = max(1, fans // events)
    numbers = sorted({1, min(10, gateways), gateways})
    _run(
        "scale-events",
        *(partial(scale_events.measure, events=events, gateways=one, fans=each, seconds=seconds) for one in numbers),
    )


@app.command("scale-news")
def scale_news_() -> None:
    """News of batches at 1, 10 and 100 gateways: messages and bytes for a command."""
    _run("scale-news", scale_news.measure)


@app.command("pools")
def pools_(
    readers: Annotated[int, typer.Option(min=2, help="Who ask again at once.")] = 32,
    turns: Annotated[int, typer.Option(min=1)] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="Of each turn.")] = 5.0,
) -> None:
    """A gateway with the connections to Postgres that it has by default, beside one with sixteen."""
    _run("pools", lambda running: pools.measure(running, readers=readers, turns=turns, seconds=seconds))


@app.command("overload")
def overload_(seconds: Seconds = 30.0) -> None:
    """1.5 times the peak, open-loop, over four gateways."""
    _run("overload", lambda running: overload.measure(running, seconds=seconds))


@app.command("memory")
def memory_(minutes: Annotated[float, typer.Option(min=0.2)] = 10.0) -> None:
    """Memory of a gateway with 5,000 fans and of a worker under load."""
    _run("memory", lambda running: memory.measure(running, minutes=minutes))


@app.command("stadium")
def stadium_(
    fans: Annotated[int, typer.Option(min=1)] = 40_000,
    seats: Annotated[int, typer.Option(min=0, help="Twice the fans unless given; never fewer.")] = 0,
    gateways: Annotated[int, typer.Option(min=1, help="Gateway processes.")] = 3,
    rate: Annotated[int, typer.Option(min=1, max=1_000_000, help="Admissions a minute.")] = 60_000,
    capacity: Annotated[int, typer.Option(min=1, help="Fans called and admitted at a time.")] = 800,
    front: Annotated[float, typer.Option(min=0, max=1, help="Share of fans who go for the best seats.")] = 0.2,
    name: Annotated[str, typer.Option(help="Of the files in bench/results.")] = "stadium",
    profile: Annotated[bool, typer.Option("--profile", help="With py-spy; slows what it looks at.")] = False,
    payment_ms: Annotated[
        int | None, typer.Option(min=0, help="Each ticket is paid, by a test provider that takes so long to answer.")
    ] = None,
) -> None:
    """Sell out a stadium, everything through real HTTP and SSE."""
    from bench import stadium

    with system() as running:
        result = stadium.run(
            running,
            fans_count=fans,
            seats=max(seats, 2 * fans),
            gateways=gateways,
            rate_per_minute=rate,
            capacity=capacity,
            front_share=front,
            name=name,
            profile=profile,
            payment_ms=payment_ms,
        )
    if result["failedRequests"] or not result["audit"]["clean"] or result["unfinishedFans"]:
        raise typer.Exit(1)


@app.command("quick")
def quick_() -> None:
    """Engine, HTTP and SSE ratios in a smaller form, as one JSON line."""
    from bench import quick

    before = round(os.getloadavg()[0], 2)
    with system() as running:
        told = {"loadAverageBefore": before, **quick.measure(running), "baselines": report.baselines()}
        typer.echo(msgspec.json.encode(told).decode())


@app.command("all")
def all_(minutes: Annotated[float, typer.Option(min=0.2, help="Of the memory part.")] = 10.0) -> None:
    """Every part, one after another."""
    _run(
        "parts",
        generator.measure,
        noops.measure,
        guard.measure,
        engine.measure,
        reserve.measure,
        purchase.measure,
        original.measure,
        reads.measure,
        streams.measure,
        lambda _: room.measure(),
        overload.measure,
        lambda running: memory.measure(running, minutes=minutes),
    )


if __name__ == "__main__":
    app(prog_name="python -m bench")
