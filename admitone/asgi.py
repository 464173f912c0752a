"""The gateway's application for an ASGI server: ``uvicorn --factory admitone.asgi:create``."""

from __future__ import annotations

from litestar import Litestar

from admitone.logs import start_logging
from admitone.settings import Settings
from admitone.telemetry import Telemetry
from gateway.app import create_app
from gateway.settings import GatewaySettings


def create() -> Litestar:
    """One gateway process, set up by the environment."""
    settings = Settings.load()
    start_logging(as_json=settings.json_logs)
    outside = Telemetry(settings, "gateway")
    outside.begin()
    app = create_app(settings.part(GatewaySettings))
    app.on_shutdown.append(outside.end)
    return app
