"""A gateway's application that is not started: it connects to nothing."""

from __future__ import annotations

import warnings

import pytest
from litestar import Litestar

from admitone.settings import Settings

with warnings.catch_warnings():
    # Of names that Litestar 3 will change: the product's own processes do not end by warnings.
    warnings.simplefilter("ignore", DeprecationWarning)
    from gateway.app import create_app
    from gateway.settings import GatewaySettings

NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ADMITONE_SECRET": "only the tests know this secret, 0123456789",
}


def create(**environ: str) -> Litestar:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return create_app(Settings.load(NOWHERE | environ).part(GatewaySettings))


@pytest.fixture(scope="session")
def app() -> Litestar:
    return create()
