"""Doors at a shop that we did not write, without Admit One and with it: errors, times, orders, who overtook whom."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, Final

from bench.pretix.fans import Watch, overtaken, run_fans
from bench.pretix.proxies import Proxy, start_proxy
from bench.pretix.site import PATH, PretixSite, orders, start_anew, start_pretix
from bench.processes import apart
from bench.report import Part
from bench.servers import ROOT, System, await_answer, free_port

RATE_PER_MINUTE: Final = 600
"""The ceiling: the autopilot finds what the shop bears by the shop's own answers."""
TARGET_MS: Final = 3000
"""A page of pretix takes most of a second of a core, so that a nearer target would keep the shop half empty."""


def protect(
    system: System, shop: PretixSite, *, visitors: int, rate: int, idle_seconds: int = 60, target_ms: int = TARGET_MS
) -> tuple[int, int]:
    """Put a room before the shop, steered by the autopilot; gives the room's number and the gateway's port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Asked of gunicorn, past the check: a probe has no pass.
    probe = f"http://127.0.0.1:{shop.port}{PATH}"
    environ = {"ADMITONE_PUBLIC_URL": url, "ADMITONE_TRUSTED_PROXIES": "127.0.0.1"}
    made = _admitone(
        system,
        *("shop", "add", shop.url, "--name", "The Show", "--visitors", str(visitors), "--rate", str(rate)),
        *("--idle-seconds", str(idle_seconds), "--probe-url", probe, "--target-ms", str(target_ms)),
    )
    event_id = int(made.removeprefix("room "))
    _admitone(system, "room", str(event_id), "--autopilot")
    gateway = system.start(
        "gateway", *("bench.serve", "gateway", "--host", "127.0.0.1", "--port", str(port)), port=port, environ=environ
    )
    # Until it answers, the shipped file leaves the shop open.
    await_answer(gateway, "/health/live")
    return event_id, port


def _admitone(system: System, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "admitone", *arguments],
        cwd=ROOT, env=system.environ(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout


def measure(
    system: System,
    *,
    fans: int,
    visitors: int,
    arrive_seconds: float,
    seconds_max: float,
    proxy: Proxy,
    target_ms: int,
) -> Part:
    """The same fans twice at the same shop: first without a line, then through it."""
    part = Part(
        "shop",
        details={
            "fans": fans, "visitors": visitors, "arriveSeconds": arrive_seconds, "proxy": proxy,
            "load": round(os.getloadavg()[0], 2),
        },
    )  # fmt: skip
    shop = start_pretix(system)
    plain = start_proxy(system, proxy, shop, None)
    print(f"{fans} fans at the shop without a line:", flush=True)
    without = apart(lambda: run_fans(shop, fans, arrive_seconds, seconds_max))
    orders_without = orders(system)
    system.stop(plain)
    start_anew(system, shop)
    event_id, port = protect(system, shop, visitors=visitors, rate=RATE_PER_MINUTE, target_ms=target_ms)
    start_proxy(system, proxy, shop, port, event_id)
    print(f"{fans} fans at the shop through the line:", flush=True)
    with_line = apart(lambda: run_fans(shop, fans, arrive_seconds, seconds_max, port))
    part.details |= {
        "without": _document(without, orders_without),
        "with": _document(with_line, orders(system) - orders_without),
        "loadAfter": round(os.getloadavg()[0], 2),
    }
    for name, watch, before in (("without a line", without, None), ("with Admit One", with_line, without)):
        of = "" if before is None else "without"
        before_ms = None if before is None else before.page_ms(0.95)
        before_orders = None if before is None else before.orders_per_minute
        part.add(f"{name}: p95 of the shop's pages", watch.page_ms(0.95), "ms", of, before_ms)
        part.add(f"{name}: failed requests", sum(watch.failures.values()), "requests")
        part.add(f"{name}: orders a minute", watch.orders_per_minute, "orders", of, before_orders)
        part.add(f"{name}: fans who ordered", len(watch.ordered), "fans")
        part.add(f"{name}: fans who had not ordered at the end", watch.unserved, "fans")
        part.add(f"{name}: pairs in which the later fan was in first", round(100 * overtaken(watch.fans), 1), "%")
    return part


def _document(watch: Watch, orders_made: int) -> dict[str, Any]:
    return {
        "ordered": len(watch.ordered),
        "ordersInShop": orders_made,
        "seconds": round(watch.ended_at - watch.began_at, 1),
        "pages": len(watch.pages),
        "pageMs": {"p50": watch.page_ms(0.5), "p95": watch.page_ms(0.95), "max": watch.page_ms(1.0)},
        "ordersPerMinute": watch.orders_per_minute,
        "failures": dict(watch.failures),
        "unserved": watch.unserved,
        "overtakenShare": round(overtaken(watch.fans), 4),
    }
