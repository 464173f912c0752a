"""The gateway's application for an ASGI server: ``uvicorn --factory admitone.asgi:create``."""

from __future__ import annotations

from litestar import Litestar

from admitone.logs import start_logging
from admitone.settings import Settings
from admitone.wiring import gateway_config
from gateway.app import create_app


def create() -> Litestar:
    """One gateway process, set up by the environment."""
    start_logging()
    return create_app(gateway_config(Settings.load()))
