"""A gateway's application that is not started: it connects to nothing."""

from __future__ import annotations

import math
import secrets
import warnings

import pytest
from litestar import Litestar

from admitone.settings import Settings
from db.operators.roles import Grants

with warnings.catch_warnings():
    # Of names that Litestar 3 will change: the product's own processes do not end by warnings.
    warnings.simplefilter("ignore", DeprecationWarning)
    from gateway.app import create_app
    from gateway.identity.sessions import Session
    from gateway.services import Services
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


def operator_token(app: Litestar, grants: Grants, *, is_token: bool = False) -> str:
    """The token of an operator with these roles, of whom Postgres seems to have been asked just now."""
    services: Services = app.state["services"]
    session = Session(0, "operator", secrets.token_urlsafe(9), "Ada", grants=grants, is_token=is_token)
    services.operators._read[session.jti] = (math.inf, session)
    return services.identity.operator_token(session.jti, session.name)


@pytest.fixture(scope="session")
def app() -> Litestar:
    return create()
