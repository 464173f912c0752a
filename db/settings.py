"""What a setting is, and the settings that every process of a site shares.

A setting is one field of the struct of the component that uses it: its type, bounds, default and sentence stand
there and nowhere else. `admitone.settings` composes the structs and reads the environment. A field's variable is
``ADMITONE_<SECTION>_<FIELD>``; a field that has another variable names it here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the settings of one component.

    Its ``repr`` shows no value, because a traceback or an error report may contain it, and some values are secret.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def setting(sentence: str, *, variable: str = "") -> Meta:
    """A setting without bounds. ``variable`` is its environment variable where that is not the usual one."""
    return Meta(description=sentence, extra={"variable": variable})


def bounded(sentence: str, least: float, most: float, *, variable: str = "") -> Meta:
    """A number from ``least`` to ``most``, both allowed."""
    return Meta(ge=least, le=most, description=sentence, extra={"variable": variable})


class SiteSettings(Section, frozen=True, kw_only=True):
    """``secret`` signs sessions, places and passes: every process of a site has the same."""

    env: Annotated[
        Literal["development", "production"],
        setting("production refuses open auth, a default secret and insecure cookies", variable="ADMITONE_ENV"),
    ] = "development"
    secret: Annotated[
        str,
        setting("signs sessions, places and passes; at least 32 characters in production", variable="ADMITONE_SECRET"),
    ] = ""

    data_keys: Annotated[
        str,
        setting(
            "secrets whose keys seal addresses, ticket codes and other secrets in Postgres, blanks between: the first"
            " seals, all open; empty: the key is made of ADMITONE_SECRET",
            variable="ADMITONE_DATA_KEYS",
        ),
    ] = ""

    public_url: Annotated[
        str,
        setting(
            "where fans find the site: https://venue.example/tickets, or only the path that it stands below, /tickets;"
            " empty: a host of its own",
            variable="ADMITONE_PUBLIC_URL",
        ),
    ] = ""

    @property
    def production(self) -> bool:
        return self.env == "production"


class DatabaseSettings(Section, frozen=True, kw_only=True):
    url: Annotated[
        str,
        setting("Postgres, e.g. postgresql://user:password@host/db; empty: embedded", variable="DATABASE_URL"),
    ] = ""
    pool_max: Annotated[int, bounded("Postgres connections of one gateway process", 1, 100)] = 2
    gateway_password: Annotated[
        str,
        setting(
            "`admitone migrate --gateway-role NAME` gives the role this password, and makes it where there is none",
            variable="ADMITONE_GATEWAY_PASSWORD",
        ),
    ] = ""
    reader_pool_max: Annotated[
        int, bounded("as many more of one gateway process, for small reads: of bookings, versions, keys", 1, 100)
    ] = 1
    pooler: Annotated[
        Literal["none", "transaction", "transaction_prepared"],
        setting(
            "what the URLs of Postgres lead to: Postgres itself, a pooler in transaction mode (PgBouncer), or one that"
            " keeps prepared statements too (1.22 and later, with max_prepared_statements)"
        ),
    ] = "none"
    citus: Annotated[
        bool,
        setting(
            "DATABASE_URL leads to the coordinator of a Citus cluster, whose tables `admitone migrate --citus` has"
            " distributed by event"
        ),
    ] = False
    replica_url: Annotated[
        str,
        setting(
            "a standby of that Postgres, which answers reads that may be a little old: halls, lists, draws, the audit;"
            " empty: none"
        ),
    ] = ""
    replica_pool_max: Annotated[int, bounded("connections of one gateway process to the standby", 1, 100)] = 4
    replica_lag_seconds_max: Annotated[
        float, bounded("how old reads of the standby may be; the primary is read while it is further behind", 0.5, 60)
    ] = 1.0
