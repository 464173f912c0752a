"""The processes of a site: everything at once, a gateway, a worker."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    need_secret,
)
from admitone.settings import Settings, SettingsError
from db.lanes.maps import LANES_MAX
from gateway.branding.brand import BrandError, brand_of
from gateway.wire.proxies import TrustedProxies
from tickets.wallets import WalletError, Wallets
from workers.parts import Part

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
"""These commands alone (`admitone.__main__`)."""

GRACE_SECONDS = 5
SOCKETS_WAITING_MAX = 16_384


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
        raise fail(str(error)) from None
    raise typer.Exit(
        bring_up(settings, port=settings.server.port if port is None else port, crowd=crowd, workers=workers)
    )


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on this one port.")] = 1,
    serve: Annotated[
        str, typer.Option(help="Only these parts, with commas between: pages,search,booking,streams,operators.")
    ] = "",
) -> None:
    """Serve pages, API and streams."""
    import uvicorn

    # What a gateway loads as it starts stays. To look through it again and again was a sixth of its start; once it has
    # started, `gateway.lifespan` turns the collector on.
    gc.disable()
    if serve:
        # The processes read their settings from the environment.
        os.environ["ADMITONE_GATEWAY_SERVE"] = serve
    settings = load_settings()
    need_secret(settings)
    if bool(settings.server.tls_cert) != bool(settings.server.tls_key):
        raise fail("Set both ADMITONE_TLS_CERT and ADMITONE_TLS_KEY, or none of them.")
    try:
        brand_of(settings.brand)
        Wallets.of(settings.wallet)
    except (BrandError, WalletError) as error:
        raise fail(str(error)) from None
    proxies = TrustedProxies.of(settings.connection.trusted_proxies)
    # Each stream is an open file; the soft limit is there for programs that use select().
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # When all is done, uvicorn raises the signal that it ended for once more. An orderly end is not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "admitone.asgi:create",
        factory=True,
        host=_listens_on(settings.server.host if host is None else host, workers),
        port=settings.server.port if port is None else port,
        workers=workers,
        loop="uvloop",
        http="gateway.wire.bounded_connection:BoundedConnection",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        backlog=SOCKETS_WAITING_MAX,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=75,
        server_header=False,
        ssl_certfile=settings.server.tls_cert or None,
        ssl_keyfile=settings.server.tls_key or None,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies.allowed_ips,
    )


def _listens_on(host: str, workers: int) -> str:
    """The host as uvicorn must be told it: one process takes ``::`` for IPv6 alone, several take it for IPv4 as well.
    For one process an empty host is both.
    """
    return "" if host == "::" and workers == 1 else host


@app.command()
def worker(
    lane: Annotated[
        list[int] | None, typer.Option(help="Work only this lane (may be given again); all by default.")
    ] = None,
    part: Annotated[
        list[Part] | None, typer.Option(help="Do only this part of the work (may be given again); all by default.")
    ] = None,
) -> None:
    """Apply bookings: one process a lane, and one for each other part of the work."""
    from admitone.telemetry import telemetry
    from workers.pool import Pool
    from workers.settings import WorkerSettings

    settings = load_settings()
    logging.getLogger("rq").setLevel(logging.WARNING)
    lanes = None if not lane else tuple(lane)
    if lanes is not None and not all(0 <= number < LANES_MAX for number in lanes):
        raise fail(f"Lanes are numbered 0 to {LANES_MAX - 1}.")
    parts = frozenset(part or Part)
    if lanes is not None and Part.LANES not in parts:
        raise fail("--lane names lanes, and --part leaves them out: give --part lanes as well.")
    Pool(
        settings.part(WorkerSettings),
        lanes,
        parts=parts,
        # Only the way of a booking is traced, and only lanes work on bookings.
        telemetry=lambda process: telemetry(settings, f"worker {process}", traces=process.startswith("lane-")),
    ).start()
