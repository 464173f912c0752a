"""Shared by the commands: reading the settings, also from a running `admitone up`, and ending with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from admitone import running
from admitone.logs import start_logging
from admitone.settings import FILE_ENDING, Settings, SettingsError
from admitone.telemetry import TelemetryError, require_installed
from db.sealing.keyring import Keyring, use
from gateway.wire.addresses import PublicAddress


def fail(message: str) -> typer.Exit:
    """Print the message to the standard error, and return the exception that the caller raises."""
    typer.echo(message, err=True)
    return typer.Exit(1)


def sentence(error: Exception) -> str:
    """The error's text with a capital and a full stop."""
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


def load_settings(*, need: bool = True) -> Settings:
    """The environment, completed by what a running `admitone up` noted.

    Args:
        need: end with a sentence where no database or no Redis is known.

    Raises:
        typer.Exit: a setting is wrong or missing.
    """
    try:
        settings = with_noted(Settings.load())
    except SettingsError as error:
        raise fail(str(error)) from None
    start_logging(as_json=settings.json_logs)
    try:
        require_installed(settings)
    except TelemetryError as error:
        raise fail(str(error)) from None
    use(Keyring.of(settings.site))
    if need and not (settings.db.url and settings.redis.url):
        raise fail("Set DATABASE_URL and REDIS_URL, or run `admitone up` beside this, which brings its own.")
    return settings


def with_noted(settings: Settings) -> Settings:
    """The settings, completed by what a running `admitone up` noted.

    Raises:
        SettingsError: the noted settings do not fit the given ones.
    """
    for name, value in running.read(Path(settings.embedded.data_dir)).items():
        if name != "ADMITONE_URL" and name + FILE_ENDING not in os.environ:
            os.environ.setdefault(name, value)
    return Settings.load()


def noted_url(settings: Settings) -> str:
    """The URL of the gateway that a running `admitone up` noted; empty without one."""
    return running.read(Path(settings.embedded.data_dir)).get("ADMITONE_URL", "")


def gateway_url(settings: Settings) -> str:
    """The URL of the gateway that a running `admitone up` noted, else of one that listens where the settings say."""
    root = PublicAddress.of(settings.site.public_url or "/").root
    here = f"http://{running.reachable_host(settings.server.host)}:{settings.server.port}{root}"
    return noted_url(settings) or here


def need_secret(settings: Settings) -> None:
    """End with a sentence where no secret is set."""
    if not settings.site.secret:
        raise fail("Set ADMITONE_SECRET: every gateway must sign with the same one.")


def servers_of(settings: Settings) -> dict[str, str]:
    """The variables that name the servers, and their values."""
    return {"DATABASE_URL": settings.db.url, "REDIS_URL": settings.redis.url}
