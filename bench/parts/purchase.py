"""Checkout against stock RQ's, and the whole purchase: reserve, checkout with a real captcha, the ticket read.

The captchas' proofs of work are computed beforehand; the gateway verifies each for real. The baseline's checkout
verifies none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import fans
from bench.client import Address, request
from bench.load import Flow, closed_loop, repeat
from bench.parts.reserve import CONNECTIONS, WARM_SECONDS
from bench.processes import apart
from bench.report import Part
from bench.servers import System, await_answer, free_port
from bench.stats import Load

TIGERFANS_TICKETS_PER_SECOND = 977
"""The best published Python figure, on 4 cores with TigerBeetle (TigerFans); a purchase there is one ticket."""
BASELINE_HOLDS = 700
PURCHASES_PER_SECOND_MAX = 1000
"""So many seats, fans and captchas are made ready; a faster system would be measured for a shorter time."""

Held = tuple[str, bytes]
"""(session, reservation id)."""
HOLDING_CONNECTIONS = 128


def hold(address: Address, event_id: int, tokens: Sequence[str], seats: int) -> list[Held]:
    """A hold of two seats for each session.

    Raises:
        RuntimeError: the server refused some.
    """
    made = [fans.reserve(token, event_id, pair) for token, pair in zip(tokens, fans.pairs(seats), strict=False)]
    load, held = apart(lambda: fans.noting(address, "reserve", b"reservationId", made, HOLDING_CONNECTIONS))
    load.require("reserve", "200")
    return list(zip(tokens, held, strict=True))


def _checkout_load(address: Address, event_id: int, held: list[Held], captchas: list[str], seconds: float) -> Load:
    raw = [
        fans.checkout(token, event_id, reservation_id, captcha)
        for (token, reservation_id), captcha in zip(held, captchas, strict=False)
    ]
    load = load_of(address, repeat("checkout", iter(raw)), seconds)
    load.require("checkout", "200")
    return load


def load_of(address: Address, flows: Iterator[Flow], seconds: float) -> Load:
    return apart(
        lambda: closed_loop(
            [address],
            flows,
            connections=CONNECTIONS,
            seconds=seconds,
            warm_seconds=min(WARM_SECONDS, seconds / 4),
            sources=fans.SOURCES,
        )
    )


def purchases(event_id: int, tokens: Sequence[str], captchas: list[str], seats: int) -> Iterator[Flow]:
    """A flow for each session and its captcha."""
    ready = zip(tokens, captchas, fans.pairs(seats), strict=False)
    return (_purchase(event_id, token, captcha, pair) for token, captcha, pair in ready)


def _purchase(event_id: int, token: str, captcha: str, pair: fans.Pair) -> Flow:
    status, body = yield "reserve", fans.reserve(token, event_id, pair)
    found = fans.member(body, b"reservationId")
    if status != 200 or not found:
        return
    status, body = yield "checkout", fans.checkout(token, event_id, found, captcha)
    bought = fans.member(body, b"purchaseId")
    if status == 200 and bought:
        yield "ticket", request("GET", f"/api/purchases/{bought.decode()}", token=token)


def stock(system: System, seconds: float) -> Load:
    """The baseline's checkout, best of one and two workers."""
    return max((_stock(system, seconds, workers) for workers in (1, 2)), key=lambda load: load.rate("checkout", "200"))


def _stock(system: System, seconds: float, workers: int) -> Load:
    port = free_port()
    app = system.start("baseline", "bench.baseline.serve", "app:create", str(port), port=port)
    started = [system.start(f"baseline-worker-{number}", "bench.baseline.worker") for number in range(workers)]
    await_answer(app, "/schema")
    with system.connect() as connection:
        event_id = fans.new_event(connection, 10_000)
    tokens = [token for token, _ in fans.sessions(BASELINE_HOLDS)]
    held = hold(app.address, event_id, tokens, 10_000)
    found = _checkout_load(app.address, event_id, held, ["none"] * len(held), seconds)
    system.stop(*started, app)
    with system.redis() as client:
        client.flushdb()
    return found


def measure(system: System, *, seconds: float = 10.0, baseline: bool = True) -> Part:
    part = Part("purchase")
    count = int((seconds + WARM_SECONDS) * PURCHASES_PER_SECOND_MAX)
    with system.connect() as connection:
        checkout_event, purchase_event = fans.new_event(connection, 2 * count), fans.new_event(connection, 2 * count)
    (gateway,) = system.gateways()
    worker = system.worker()
    tokens = [token for token, _ in fans.sessions(2 * count)]
    captchas = fans.solutions(gateway.address, tokens)
    held = hold(gateway.address, checkout_event, tokens[:count], 2 * count)
    bought = _checkout_load(gateway.address, checkout_event, held, captchas[:count], seconds)
    whole = load_of(gateway.address, purchases(purchase_event, tokens[count:], captchas[count:], 2 * count), seconds)
    for step in ("reserve", "checkout", "ticket"):
        whole.require(step, "200")
    system.stop(worker, gateway)
    part.details = {"checkout": bought.document(), "purchase": whole.document()}
    rate = bought.rate("checkout", "200")
    if baseline:
        reference = stock(system, seconds)
        part.details["stockRqCheckout"] = reference.document()
        against = "stock RQ, best of 1 and 2 workers"
        part.add("checkout, 256 connections", rate, "/s", against, reference.rate("checkout", "200"), "≥ 25")
    else:
        part.add("checkout, 256 connections", rate, "/s")
    part.add(
        "whole purchase: reserve, checkout, ticket read",
        2 * whole.rate("ticket", "200"),
        "tickets/s",
        "TigerFans as published, 4 cores",
        TIGERFANS_TICKETS_PER_SECOND,
        "≥ 1",
        f"{whole.rate('ticket', '200'):.0f} purchases/s of two tickets",
    )
    return part
