"""The replica for reads that may be old: whether it answers, is a standby, has caught up, and is known everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from db.connections import look
from db.connections.lag import REPLICA_AT
from db.connections.replica import seconds_behind


def examine(site: Site) -> Iterator[Finding]:
    url = site.settings.db.replica_url
    if not url or site.postgres is None:
        return
    try:
        with look.connect(url, "admitone-doctor") as standby:
            yield _behind(site, site.postgres, standby)
    except (psycopg.Error, ValueError) as problem:
        yield warning(
            "up",
            "replica",
            f"The replica does not answer: {str(problem).strip().splitlines()[0]}",
            "Start it, or correct ADMITONE_DB_REPLICA_URL. Until then the primary answers its reads.",
        )
    strangers = [one for one in site.gateways if one.replica_fresh is None]
    if strangers:
        yield warning(
            "setup",
            "replica_unused",
            f"{len(strangers)} of {len(site.gateways)} gateway processes know of no replica",
            "Set ADMITONE_DB_REPLICA_URL for every gateway, and restart those.",
        )


def _behind(
    site: Site, primary: psycopg.Connection[tuple[object, ...]], standby: psycopg.Connection[tuple[object, ...]]
) -> Finding:
    most = site.settings.db.replica_lag_seconds_max
    seconds = seconds_behind(primary, standby, most)
    if seconds is not None:
        return fine("up", "replica", f"The replica is {seconds * 1000:.0f} ms behind")
    if standby.execute(REPLICA_AT).fetchone() == (None,):
        return warning(
            "up",
            "replica",
            "The replica is no standby, so it is not read",
            "Let ADMITONE_DB_REPLICA_URL name a standby of the primary that DATABASE_URL names.",
        )
    return warning(
        "up",
        "replica",
        f"The replica is more than {most:g} s behind, so the primary answers its reads",
        "Look whether the standby follows the primary (pg_stat_wal_receiver there) and replays as fast as is written.",
    )
