"""One DATABASE_URL, in the two forms its readers want."""

from __future__ import annotations

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

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
        return make_conninfo("postgresql://" + database_url.removeprefix(scheme))
    except ProgrammingError:
        # libpq's sentence quotes the URL, which holds the password.
        raise ValueError("the database URL is malformed") from None


def sqlalchemy_url(database_url: str) -> URL:
    """The URL of SQLAlchemy's psycopg dialect; a Unix socket's folder may stand in ``?host=/folder``.

    libpq itself parses the URL, so that both readers reach the same server.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(psycopg_conninfo(database_url)).items()}
    username, password, database = (parts.pop(key, None) for key in ("user", "password", "dbname"))
    return URL.create("postgresql+psycopg", username, password, database=database, query=_hosts(parts))


def _hosts(parts: dict[str, str]) -> dict[str, str | tuple[str, ...]]:
    """Several hosts, as a failover pair has them, become SQLAlchemy's list of host:port."""
    if "," not in parts.get("host", ""):
        return dict(parts)
    hosts = parts.pop("host").split(",")
    ports = parts.pop("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return {**parts, "host": tuple(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))}
