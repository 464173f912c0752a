"""DATABASE_URL as psycopg takes it. SQLAlchemy's form is in `db.connections.engines`.

A URL says whether it leads to a pooler, and whether to a Citus coordinator, by parameters that `admitone.settings` adds
and that libpq never sees. So each maker of connections knows it without being told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

NO_POOLER: Final = "none"
PREPARING: Final = "transaction_prepared"
"""The pooler in between keeps prepared statements."""
_POOLER: Final = "admitone_pooler="
_CITUS: Final = "admitone_citus=on"
_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def psycopg_conninfo(database_url: str) -> str:
    """The libpq connection string that ``psycopg.connect`` takes.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    scheme = next((scheme for scheme in _SCHEMES if database_url.startswith(scheme)), None)
    if scheme is None:
        raise ValueError("the database URL must start with postgresql://")
    try:
        plain = with_citus(with_pooler(database_url, NO_POOLER), is_citus=False)
        return make_conninfo("postgresql://" + plain.removeprefix(scheme))
    except ProgrammingError:
        # libpq's sentence quotes the URL, which holds the password.
        raise ValueError("the database URL is malformed") from None


def with_pooler(database_url: str, pooler: str) -> str:
    """The URL, saying that it leads to this sort of pooler (`db.settings.DatabaseSettings.pooler`)."""
    return _with(database_url, _POOLER, "" if pooler == NO_POOLER else _POOLER + pooler)


def pooler_of(database_url: str) -> str:
    """The sort of pooler that the URL leads to, `NO_POOLER` for none."""
    parts = database_url.partition("?")[2].split("&")
    return next((part.removeprefix(_POOLER) for part in parts if part.startswith(_POOLER)), NO_POOLER)


def with_citus(database_url: str, *, is_citus: bool) -> str:
    """The URL, saying whether it leads to a Citus coordinator (`db.settings.DatabaseSettings.citus`)."""
    return _with(database_url, _CITUS, _CITUS if is_citus else "")


def leads_to_citus(database_url: str) -> bool:
    """Whether the URL leads to a Citus coordinator, so that a statement is to name the one event it is about."""
    return _CITUS in database_url.partition("?")[2].split("&")


def at_host(database_url: str, host: str, port: int) -> str:
    """The URL of a Postgres at another address, reached directly: the same user, password, database and parameters."""
    parts = urlsplit(with_citus(with_pooler(database_url, NO_POOLER), is_citus=False))
    who, at, _ = parts.netloc.rpartition("@")
    query = [one for one in parts.query.split("&") if one and not one.startswith(("host=", "hostaddr=", "port="))]
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{who}{at}{shown}:{port}", query="&".join(query)))


def _with(database_url: str, beginning: str, part: str) -> str:
    """The URL with this part in place of any that begins so; an empty one takes it away."""
    address, _, query = database_url.partition("?")
    parts = [one for one in query.split("&") if one and not one.startswith(beginning)]
    if part:
        parts.append(part)
    return "?".join([address, "&".join(parts)] if parts else [address])


# A server that went silent, as after a failover, is noticed within about ten seconds: keepalives are for an idle
# connection, and the last one, in ms, is for one whose statement was sent and never arrived.
_KEEPALIVES: Final[Mapping[str, Any]] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def conninfo_of(database_url: str, *, name: str, connect_seconds: int, session: Mapping[str, object]) -> str:
    """The libpq connection string of one client.

    Args:
        name: how Postgres lists its connections (``application_name``).
        session: Postgres' settings for them, beside those that the URL's ``options`` name.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    conninfo = psycopg_conninfo(database_url)
    given = conninfo_to_dict(conninfo).get("options")
    options = [*([str(given)] if given else []), *(f"-c {setting}={value}" for setting, value in session.items())]
    return make_conninfo(
        conninfo,
        application_name=name,
        connect_timeout=connect_seconds,
        **({"options": " ".join(options)} if options else {}),
        **_KEEPALIVES,
    )
